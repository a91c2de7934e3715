"""Train the live scorer, or measure it.

    python -m train.scorer               from MiniLM: train, calibrate, write assets/models/scorer
    python -m train.scorer --resume      the same, from the emotion stage saved in --work
    python -m train.scorer --refit       keep the shipped encoder; fit again what stands on it
    python -m train.scorer --folds       cross-validate the linear models; train nothing
    python -m train.scorer --listener    only recompute what a typical human listener scores
    python -m train.scorer --evaluate    the figures of the model card as tables (--json: as JSON)
    python -m train.scorer --rounding    what few-bit weights cost, on validation rows

Data come from EMPO_DATA: EPITOME and EmpatheticDialogues (python -m empo fetch), and, for the
in-domain check, the recorded replies. Training needs requirements-train.txt (MiniLM, onnx).
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from empo.data.dialogues import load_split
from empo.data.emotions import EMOTIONS
from empo.settings import ROOT, settings
from empo.training.recipe import load_recipe, rooted
from empo.types import MECHANISMS
from train.scoring import data
from train.scoring.recipe import ScorerRecipe

if TYPE_CHECKING:
    from train.scoring.fit import Watch
    from train.scoring.network import Network
    from train.scoring.vocabulary import Vocabulary

WORK = ROOT / "runs" / "scorer"
SAVE_EVERY = 50


def main(argv: Sequence[str] | None = None) -> None:
    args = _arguments(argv)
    recipe = load_recipe(args.recipe, ScorerRecipe, args.set)
    folder = settings().data_dir
    out = rooted(recipe.out)
    if args.evaluate:
        from train.scoring.figures import as_table, figures

        found = figures(out, folder)
        print(json.dumps(found, indent=1) if args.json else as_table(found))
        return
    if args.rounding:
        _rounding(recipe, folder, out, args.work)
        return
    if args.folds:
        from train.scoring.publish import folds

        folds(recipe, folder, out)
        return
    if args.refit:
        from train.scoring.publish import refit

        refit(recipe, folder, out)
    elif not args.listener:
        _train(recipe, folder, out, args.work, args.resume)
    from train.scoring.listener import add_listener

    add_listener(out, load_split(folder, "valid"))


class Rows(NamedTuple):
    """The training texts."""

    pairs: list[data.Pair]
    feelings: list[data.Feeling]
    texts: list[str]


def read_rows(folder: Path) -> Rows:
    """All that is trained on: EPITOME's and ED's training splits."""
    pairs = data.read_epitome(folder, "train")
    situations, utterances = data.read_emotions(folder, "train")
    dialogues = load_split(folder, "train")
    texts = [turn.text for dialogue in dialogues for turn in dialogue.turns]
    texts += [row.text for row in situations]
    texts += [text for pair in pairs for text in (pair.post, pair.reply)]
    return Rows(pairs, situations + utterances, texts)


def _train(recipe: ScorerRecipe, folder: Path, out: Path, work: Path, resume: bool) -> None:
    import torch

    from train.scoring import network as networks
    from train.scoring import quantise
    from train.scoring.encoding import encode_pairs
    from train.scoring.minilm import minilm
    from train.scoring.publish import ENCODER_BITS, publish
    from train.scoring.refit import refit_rationales
    from train.scoring.vocabulary import trim

    base = minilm(recipe.base, recipe.base_sha256)
    rows = read_rows(folder)
    vocabulary = trim(base / "tokenizer.json", rows.texts, recipe.vocabulary)
    torch.manual_seed(recipe.seed)
    network = networks.from_minilm(
        base, vocabulary.kept, len(EMOTIONS), recipe.positions, recipe.epitome.frozen
    )
    work.mkdir(parents=True, exist_ok=True)
    learn(network, vocabulary, rows, recipe, work, resume)
    with quantise.rounded(network, ENCODER_BITS):
        pairs = encode_pairs(vocabulary.tokenizer, rows.pairs, recipe.post, recipe.reply)
        refit_rationales(network, pairs, recipe.seed)
    publish(network, vocabulary.tokenizer, recipe, rows.pairs, folder, out)


def learn(
    network: Network,
    vocabulary: Vocabulary,
    rows: Rows,
    recipe: ScorerRecipe,
    work: Path,
    resume: bool,
) -> None:
    """Both stages, in place; each leaves its weights in `work`."""
    import torch

    from train.scoring import fit, quantise
    from train.scoring.encoding import encode_feelings, encode_pairs
    from train.scoring.publish import ENCODER_BITS

    tokenizer = vocabulary.tokenizer
    feelings = encode_feelings(tokenizer, rows.feelings, recipe.speaker)
    pairs = encode_pairs(tokenizer, rows.pairs, recipe.post, recipe.reply)
    first, second = work / "emotions.pt", work / "epitome.pt"
    if resume:
        network.load_state_dict(torch.load(first, weights_only=True))
    else:
        fit.fit_emotions(network, feelings, recipe.emotions, recipe.seed, fit.Clock("emotions"))
        torch.save(network.state_dict(), first)
    torch.manual_seed(recipe.seed)
    with quantise.rounded(network, ENCODER_BITS):
        fit.fit_epitome(network, pairs, feelings, recipe.epitome, recipe.seed, _saver(second))
    torch.save(network.state_dict(), second)


def _saver(path: Path) -> Watch:
    """Prints the loss, and now and then leaves the weights at `path`."""
    import torch

    from train.scoring import fit, quantise

    clock = fit.Clock("epitome", every=25)

    def watch(step: int, steps: int, loss: float, network: Network) -> None:
        clock(step, steps, loss, network)
        if step % SAVE_EVERY == 0:
            torch.save(quantise.plain_names(network.state_dict()), path)

    return watch


def _rounding(recipe: ScorerRecipe, folder: Path, out: Path, work: Path) -> None:
    """Print validation accuracy with the float32 weights of the last run, and as shipped."""
    import torch
    from tokenizers import Tokenizer
    from transformers import BertConfig

    from train.scoring import fit, quantise
    from train.scoring.encoding import encode_pairs
    from train.scoring.minilm import minilm
    from train.scoring.network import Network
    from train.scoring.publish import ENCODER_BITS

    tokenizer = Tokenizer.from_file(str(out / "tokenizer.json"))
    base = BertConfig.from_pretrained(minilm(recipe.base, recipe.base_sha256))
    base.vocab_size, base.max_position_embeddings = tokenizer.get_vocab_size(), recipe.positions
    network = Network(base, len(EMOTIONS), recipe.epitome.frozen).eval()
    network.load_state_dict(torch.load(work / "epitome.pt", weights_only=True))
    rows = encode_pairs(tokenizer, data.read_epitome(folder, "val"), recipe.post, recipe.reply)
    plain = fit.accuracy(network, rows)
    with quantise.rounded(network, ENCODER_BITS):
        shipped = fit.accuracy(network, rows)
    for name, a, b in zip(MECHANISMS, plain, shipped, strict=True):
        print(f"{name}: accuracy {a:.3f} in float32, {b:.3f} as shipped")


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m train.scorer",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--recipe", default="scorer", help="a recipe's name, or a YAML file")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--work", type=Path, default=WORK, help="where the stages' weights go")
    parser.add_argument("--resume", action="store_true", help="start after the emotion stage")
    parser.add_argument("--refit", action="store_true", help="keep the encoder that is shipped")
    parser.add_argument("--folds", action="store_true", help="only cross-validate linear models")
    parser.add_argument("--listener", action="store_true", help="only the typical listener")
    parser.add_argument("--evaluate", action="store_true", help="only measure; train nothing")
    parser.add_argument("--rounding", action="store_true", help="only what few bits cost")
    parser.add_argument("--json", action="store_true", help="figures as JSON")
    return parser.parse_args(argv)


if __name__ == "__main__":
    main()
