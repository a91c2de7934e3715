"""Pretrain the embedded base: python -m train.pretrain --recipe nano-base [--set k=v …]

Goes on from the recipe's base (or, with `fresh`, from random weights of its shape) on the token
files of EMPO_DATA, and writes the model to the recipe's `out`. Checkpoints and metrics.jsonl go to
`--run FOLDER` (default: runs/NAME); the same command goes on from the last whole checkpoint. A file
STOP in that folder, Ctrl-C or SIGTERM ends it after a step, with a checkpoint. `--measure` only
shows the validation loss of `out`.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from empo.errors import Busy
from empo.pairs.learning import learning_split
from empo.settings import settings
from empo.training.checkpoints import tidy_for_resume
from empo.training.folder import RunFolder, keep_until, write_json
from empo.training.process import take
from empo.training.recipe import load_recipe, rooted
from empo.training.status import LOCK
from train.entry import as_messages, finish, markers_of
from train.pretraining.likeness import most_like
from train.pretraining.recipe import PretrainRecipe
from train.pretraining.windows import Windows, read_tokens, stacked, windows

if TYPE_CHECKING:
    from torch import Tensor


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--recipe", default="nano-base", help="a recipe's name, or a YAML file")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--run", metavar="FOLDER", help="checkpoints and figures (runs/NAME)")
    parser.add_argument("--measure", action="store_true", help="only the validation loss of out")
    args = parser.parse_args(argv)
    recipe = load_recipe(args.recipe, PretrainRecipe, args.set)
    if args.measure:
        measure(recipe)
        return 0
    folder = Path(args.run).expanduser().resolve() if args.run else rooted(f"runs/{recipe.name}")
    folder.mkdir(parents=True, exist_ok=True)
    with _alone(RunFolder(folder)):
        pretrain(recipe, RunFolder(folder))
    return 0


def pretrain(recipe: PretrainRecipe, folder: RunFolder) -> dict[str, Any] | None:
    """The whole pretraining; what `result.json` says, or None where it was stopped before its end.

    Raises:
        DataError, StackError, UsageError: the data, the base or a checkpoint do not fit.
    """
    import torch

    from train.pretraining.loop import Loop
    from train.pretraining.network import Network, in_parts
    from train.pretraining.state import Learner

    torch.manual_seed(recipe.seed)
    tokens = _most_like(recipe, read_tokens(settings().data_dir / recipe.train))
    valid = _windows(recipe, read_tokens(settings().data_dir / recipe.valid))
    network = Network(rooted(recipe.base), recipe.fresh, recipe.compiled)
    learner = Learner(network.weights, recipe)
    folder.checkpoints.mkdir(parents=True, exist_ok=True)
    if found := tidy_for_resume(folder):
        learner.load(found)
    keep_until(folder / "metrics.jsonl", learner.step)
    every = in_parts(valid, recipe.steps.micro)
    loop = Loop(
        recipe, folder, network, learner, in_parts(_some(valid, recipe), recipe.steps.micro)
    )
    if learner.step == 0:
        learner.before = loop.loss(learner.weights, every)
    if not loop.run(tokens):
        print(f"Stopped after step {learner.step}; the same command goes on from there.")
        return None
    kinds = {"last": learner.weights} | ({"mean": learner.mean} if learner.mean else {})
    if recipe.of_base:
        base = Network(rooted(recipe.base), compiled=False).weights
        kinds = {name: _between(w, base, recipe.of_base) for name, w in kinds.items()}
    losses = {name: loop.loss(weights, every) for name, weights in kinds.items()}
    kept = min(losses, key=lambda name: losses[name])
    _save(kinds[kept], rooted(recipe.base), rooted(recipe.out))
    result = {"before": learner.before, **losses, "kept": kept, **learner.told()}
    write_json(folder / "result.json", result)
    shutil.rmtree(folder.checkpoints)  # there is nothing left to go on with
    print(json.dumps(result, indent=1))
    return result


def _alone(folder: RunFolder) -> Any:
    """The lock of `folder`, an open file.

    Raises:
        Busy: another process works in it.
    """
    lock = take(folder / LOCK)
    if lock is None:
        raise Busy(f"Another process pretrains in {folder.path} already.")
    return lock


def measure(recipe: PretrainRecipe) -> None:
    """Print the validation loss of `out`: of all documents, and of those that `share` chooses."""
    from train.pretraining.network import Network, in_parts

    network = Network(rooted(recipe.out), compiled=False)
    tokens = read_tokens(settings().data_dir / recipe.valid)
    parts = {"all documents": tokens}
    if recipe.share < 1:
        parts[f"the {recipe.share:.0%} most like the dialogues"] = _most_like(recipe, tokens)
    for name, part in parts.items():
        loss = network.measure(in_parts(_windows(recipe, part), recipe.steps.micro))
        print(f"Validation loss of {recipe.out}, {name}: {loss:.4f} nats a token.")


def _most_like(recipe: PretrainRecipe, tokens: np.ndarray) -> np.ndarray:
    """The part of `tokens` that is most like the dialogues, as large as `share`."""
    if recipe.share == 1:
        return tokens
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(rooted(recipe.base), trust_remote_code=False)
    markers = markers_of(tokenizer)
    rows = [as_messages(dialogue.turns, markers) for dialogue in learning_split("ed", "train")]
    dialogues = tokenizer.apply_chat_template(rows, tokenize=True, return_dict=False)
    return most_like(tokens, np.concatenate(dialogues).astype(np.uint16), recipe.share)


def _windows(recipe: PretrainRecipe, tokens: np.ndarray) -> Windows:
    """All of `tokens` as windows."""
    return stacked(list(windows(tokens, recipe.window)))


def _some(rows: Windows, recipe: PretrainRecipe) -> Windows:
    """The same few of `rows` for every recipe and seed."""
    count = len(rows.tokens)
    drawn = random.Random(0).sample(range(count), min(recipe.watched, count))
    return Windows(*(part[drawn] for part in rows))


def _between(
    weights: dict[str, Tensor], base: dict[str, Tensor], share: float
) -> dict[str, Tensor]:
    """`share` of the way from `weights` back to `base`."""
    return {name: weight.lerp(base[name], share) for name, weight in weights.items()}


def _save(weights: dict[str, Tensor], base: Path, out: Path) -> None:
    """Write `weights` to `out` in bf16, with the configuration and the tokenizer of `base`."""
    import torch
    from safetensors.torch import save_file

    out.mkdir(parents=True, exist_ok=True)
    for path in base.iterdir():
        if path.suffix in (".json", ".jinja") and not (out / path.name).exists():
            shutil.copyfile(path, out / path.name)
    state = {name: weight.to("cpu", torch.bfloat16) for name, weight in weights.items()}
    half = out / "model.safetensors.part"
    save_file(state, half, metadata={"format": "pt"})
    half.replace(out / "model.safetensors")


if __name__ == "__main__":
    finish(main)
