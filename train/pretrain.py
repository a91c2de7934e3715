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
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from empo.settings import settings
from empo.training.checkpoints import tidy, tidy_for_resume
from empo.training.folder import RunFolder, append_line, keep_until, write_json
from empo.training.recipe import load_recipe, rooted
from train.entry import finish
from train.pretraining.recipe import PretrainRecipe
from train.pretraining.windows import Windows, read_tokens, stacked, windows

if TYPE_CHECKING:
    from torch import Tensor

    from train.pretraining.network import Network
    from train.pretraining.state import Learner


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
        print(f"Validation loss of {recipe.out}: {_measured(recipe):.4f} nats a token.")
        return 0
    folder = Path(args.run).expanduser().resolve() if args.run else rooted(f"runs/{recipe.name}")
    pretrain(recipe, RunFolder(folder))
    return 0


def pretrain(recipe: PretrainRecipe, folder: RunFolder) -> dict[str, Any] | None:
    """The whole pretraining; what `result.json` says, or None where it was stopped before its end.

    Raises:
        DataError, StackError, UsageError: the data, the base or a checkpoint do not fit.
    """
    import torch

    from train.pretraining.network import Network, in_parts
    from train.pretraining.state import Learner

    random.seed(recipe.seed)
    torch.manual_seed(recipe.seed)
    data = settings().data_dir
    tokens, valid = (read_tokens(data / name) for name in (recipe.train, recipe.valid))
    network = Network(rooted(recipe.base), recipe.fresh, recipe.compiled)
    learner = Learner(network.weights, recipe)
    folder.checkpoints.mkdir(parents=True, exist_ok=True)
    if found := tidy_for_resume(folder):
        learner.load(found)
    keep_until(folder / "metrics.jsonl", learner.step)
    folder.stop_file.unlink(missing_ok=True)
    every = stacked(list(windows(valid, recipe.window)))
    drawn = random.Random(0).sample(range(len(every.tokens)), len(every.tokens))[: recipe.watched]
    watched = Windows(*(part[drawn] for part in every))
    parts = in_parts(watched, recipe.steps.micro)
    with _listening() as told:
        whole = _train(recipe, folder, network, learner, tokens, parts, told)
    if not whole:
        print(f"Stopped after step {learner.step}; the same command goes on from there.")
        return None
    result = _finish(recipe, network, learner, in_parts(every, recipe.steps.micro))
    write_json(folder / "result.json", result)
    print(json.dumps(result, indent=1))
    return result


def _train(
    recipe: PretrainRecipe,
    folder: RunFolder,
    network: Network,
    learner: Learner,
    tokens: Any,
    watched: list[Windows],
    told: list[int],
) -> bool:
    """Steps until the end; False where somebody stopped it before."""
    from train.pretraining.network import in_parts

    stream = windows(tokens, recipe.window, recipe.seed, learner.rows)
    measured, saved = _share(learner, recipe.evaluations), _share(learner, recipe.checkpoints)
    begun, begun_rows = time.monotonic() - learner.seconds, learner.rows
    started = time.monotonic()
    while learner.rows < learner.total:
        rows = stacked(list(islice(stream, learner.batch)))
        network.take(learner.weights)
        loss, grads = network.backward(in_parts(rows, recipe.steps.micro))
        rate, norm = learner.learn(grads, len(rows.tokens))
        learner.seconds = time.monotonic() - begun
        speed = (learner.rows - begun_rows) * recipe.window / (time.monotonic() - started)
        row = {"step": learner.step, "tokens": learner.rows * recipe.window, "loss": loss}
        row |= {"rate": rate, "norm": norm, "tokens_per_second": speed}
        row |= {"seconds": learner.seconds}
        if learner.step == 1 or measured < _share(learner, recipe.evaluations):
            measured = _share(learner, recipe.evaluations)
            row["valid"] = _loss(network, learner.weights, watched)
            if learner.mean:
                row["valid_mean"] = _loss(network, learner.mean, watched)
        append_line(folder / "metrics.jsonl", row)
        if "valid" in row or learner.step % 10 == 0:
            _show(row, learner.total * recipe.window)
        stop = bool(told) or folder.stop_file.exists()
        if stop or saved < _share(learner, recipe.checkpoints):
            saved = _share(learner, recipe.checkpoints)
            learner.save(folder.checkpoints)
            tidy(folder)
        if stop and learner.rows < learner.total:
            folder.stop_file.unlink(missing_ok=True)
            return False
    return True


@contextmanager
def _listening() -> Iterator[list[int]]:
    """A list that is filled once SIGTERM or SIGINT asks for the end."""
    told: list[int] = []
    numbers = (signal.SIGTERM, signal.SIGINT)
    before = [
        signal.signal(number, lambda number, frame: told.append(number)) for number in numbers
    ]
    try:
        yield told
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


def _share(learner: Learner, parts: int) -> int:
    """How many of `parts` equal shares are done."""
    return learner.rows * parts // learner.total


def _show(row: dict[str, Any], total: int) -> None:
    left = (total - row["tokens"]) / row["tokens_per_second"]
    valid = "".join(f"  {key} {row[key]:.4f}" for key in ("valid", "valid_mean") if key in row)
    print(
        f"step {row['step']}  {row['tokens'] / 1e6:.2f} of {total / 1e6:.2f} M tokens"
        f"  loss {row['loss']:.3f}{valid}  rate {row['rate']:.2e}"
        f"  {row['tokens_per_second']:,.0f} tokens/s  {left / 60:.1f} min left",
        flush=True,
    )


def _loss(network: Network, weights: dict[str, Tensor], parts: list[Windows]) -> float:
    network.take(weights)
    return network.measure(parts)


def _measured(recipe: PretrainRecipe) -> float:
    from train.pretraining.network import Network, in_parts

    valid = read_tokens(settings().data_dir / recipe.valid)
    rows = stacked(list(windows(valid, recipe.window)))
    network = Network(rooted(recipe.out), compiled=False)
    return network.measure(in_parts(rows, recipe.steps.micro))


def _finish(
    recipe: PretrainRecipe, network: Network, learner: Learner, parts: list[Windows]
) -> dict[str, Any]:
    """Write the better of the last weights and their mean to `out`; the figures of all three."""
    import torch
    from safetensors.torch import save_file

    from train.pretraining.network import Network as Fresh

    before = Fresh(rooted(recipe.base), recipe.fresh, compiled=False).measure(parts)
    kinds = {"last": learner.weights} | ({"mean": learner.mean} if learner.mean else {})
    losses = {name: _loss(network, weights, parts) for name, weights in kinds.items()}
    kept = min(losses, key=lambda name: losses[name])
    out, base = rooted(recipe.out), rooted(recipe.base)
    out.mkdir(parents=True, exist_ok=True)
    for path in base.iterdir():
        if path.suffix in (".json", ".jinja") and path.resolve() != (out / path.name).resolve():
            shutil.copyfile(path, out / path.name)
    state = {name: w.to("cpu", torch.bfloat16) for name, w in kinds[kept].items()}
    half = out / "model.safetensors.part"
    save_file(state, half, metadata={"format": "pt"})
    half.replace(out / "model.safetensors")
    return {
        "before": before,
        **losses,
        "kept": kept,
        "steps": learner.step,
        "tokens": learner.rows * recipe.window,
        "seconds": learner.seconds,
        "recipe": recipe.model_dump(mode="json"),
    }


if __name__ == "__main__":
    finish(main)
