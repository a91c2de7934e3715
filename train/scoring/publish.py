"""What stands on the finished encoder: linear models, evidence, calibration; and the files."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer

from empo.types import MECHANISMS
from train.scoring import data, graph, quantise
from train.scoring.calibrate import calibrate
from train.scoring.network import Network
from train.scoring.recipe import ScorerRecipe
from train.scoring.replies import read_replies
from train.scoring.shipped import shipped_network
from train.scoring.wide import cross_validated, fit_wide, opinions, write_wide

ENCODER_BITS = 4


def publish(
    network: Network,
    tokenizer: Tokenizer,
    recipe: ScorerRecipe,
    pairs: Sequence[data.Pair],
    folder: Path,
    out: Path,
) -> None:
    """Write what the app loads: graph, linear models (fitted to `pairs`), tokenizer, card."""
    out.mkdir(parents=True, exist_ok=True)
    valid = data.read_epitome(folder, "val")
    _, utterances = data.read_emotions(folder, "valid")
    with quantise.rounded(network, ENCODER_BITS):
        fitted = fit_wide(read_replies(network, tokenizer, pairs, recipe.read))
        write_wide(out / "wide.npz", fitted)
        replies = read_replies(network, tokenizer, valid, recipe.read)
        told = list(opinions(out / "wide.npz", fitted, replies))
        card = calibrate(network, tokenizer, recipe, told, replies, valid, utterances)
    evidence = torch.tensor(fitted.evidence, dtype=torch.float32)
    network.evidence.weight.data, network.evidence.bias.data = evidence[:, :-1], evidence[:, -1]
    graph.write(network, out / "scorer.onnx", ENCODER_BITS)
    tokenizer.no_truncation()
    tokenizer.save(str(out / "tokenizer.json"), pretty=False)
    text = json.dumps(card.model_dump(), indent=1)
    (out / "scorer.json").write_text(text + "\n", "utf-8")


def refit(recipe: ScorerRecipe, folder: Path, out: Path) -> None:
    """Linear models, evidence and calibration anew, on the encoder that is shipped."""
    network = shipped_network(out / "scorer.onnx", recipe.epitome.frozen, ENCODER_BITS)
    tokenizer = Tokenizer.from_file(str(out / "tokenizer.json"))
    publish(network, tokenizer, recipe, data.read_epitome(folder, "train"), folder, out)


def folds(recipe: ScorerRecipe, folder: Path, out: Path) -> None:
    """Print how right the linear models are on pairs they were not fitted to."""
    network = shipped_network(out / "scorer.onnx", recipe.epitome.frozen, ENCODER_BITS)
    tokenizer = Tokenizer.from_file(str(out / "tokenizer.json"))
    pairs = data.read_epitome(folder, "train") + data.read_epitome(folder, "val")
    found = cross_validated(read_replies(network, tokenizer, pairs, recipe.read), recipe.seed)
    levels = np.array([pair.levels for pair in pairs])
    for i, name in enumerate(MECHANISMS):
        accuracy = (found[:, i].argmax(-1) == levels[:, i]).mean()
        loss = -found[np.arange(len(pairs)), i, levels[:, i]].mean()
        print(f"{name}: accuracy {accuracy:.3f}, log loss {loss:.3f} on {len(pairs)} pairs")
