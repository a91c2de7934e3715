"""What each kind of pairs teaches: python -m train.pairs_study [--budget N] [--pairs N] [--json]

Trains one DPO adapter a strategy (recipe nano-dpo, --budget pairs each, same seed) and tests each
on held-out pairs of every strategy, made of the test split, which no training reads: how often the
reward log π − log π_sft is higher for the chosen reply, with 95 % intervals by dialogue. What needs
no model (length, word overlap, a classifier of emotions) stands beside. Adapters go to --keep
FOLDER, and one that lies there already is not trained again.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from empo.data.dialogues import load_split
from empo.data.strategies import PRESETS, strategy
from empo.errors import EmpoError, UsageError
from empo.metrics.paired import clustered_mean, wins
from empo.models.likelihood import Likelihood
from empo.models.stacks import Source, Stack
from empo.pairs.make import make_pairs
from empo.pairs.plots import TELLS, percent
from empo.pairs.report import Baselines, draw, tells
from empo.settings import ROOT, settings
from empo.training.recipe import DpoRecipe, load_recipe, rooted
from empo.types import ModelSpec, PreferencePair, Turn

RECIPE = "nano-dpo"
DEFAULT = ("paper", "balanced", "hard")
REFERENCE = "sft"
Pairs = Sequence[PreferencePair]


def train(name: str, budget: int, seed: int, folder: Path) -> Path:
    """The adapter of strategy `name` in `folder`, trained now unless it is there.

    Raises:
        EmpoError: the training failed; its last line.
    """
    out = folder / f"{name}-{budget}-{seed}"
    if (out / "adapter_config.json").is_file():
        return out
    facts = {"strategy": name, "limit": budget, "seed": seed, "out": out, "valid": 0}
    changes = [part for key, value in facts.items() for part in ("--set", f"{key}={value}")]
    command = [sys.executable, "-m", "train.dpo", "--recipe", RECIPE, *changes]
    print(f"Training {RECIPE} on {budget:,} pairs of {name} …", file=sys.stderr, flush=True)
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        said = (done.stderr.strip() or "no message").splitlines()[-1]
        raise EmpoError(f"The training on {name} failed: {said}")
    return out


def stack_of(adapters: dict[str, Path]) -> Stack:
    """The recipe's base and start (`sft`), and the trained `adapters`, as one stack."""
    recipe = load_recipe(RECIPE, DpoRecipe)
    sources = {REFERENCE: Source(str(rooted(recipe.start)))}
    sources |= {name: Source(str(path)) for name, path in adapters.items()}
    models = tuple(ModelSpec(name, name, "", "dpo", {name: 1.0}) for name in sources)
    base = Source(str(rooted(recipe.base)))
    return Stack("pairs-study", "pairs study", base, sources, models, "none")


def rewards(likelihood: Likelihood, name: str, pairs: Pairs) -> tuple[list[float], list[float]]:
    """log π(reply) of the chosen and of the rejected reply of each pair, under the voice `name`."""
    sides = []
    for side in ("chosen", "rejected"):
        dialogues = [(*pair.prompt, Turn("assistant", getattr(pair, side))) for pair in pairs]
        sides.append([-turns[-1].nats for turns in likelihood.score(name, dialogues)])
    return sides[0], sides[1]


def accuracies(stack: Stack, held: dict[str, Pairs], seed: int) -> dict[str, dict[str, Any]]:
    """{trained on: {tested on: accuracy with its interval}}."""
    likelihood = Likelihood(stack)
    found: dict[str, dict[str, Any]] = {m.name: {} for m in stack.models if m.name != REFERENCE}
    for test, pairs in held.items():
        clusters = [pair.dialogue_id for pair in pairs]
        start = rewards(likelihood, REFERENCE, pairs)
        for name, row in found.items():
            print(f"Testing {name} on {test} …", file=sys.stderr, flush=True)
            own = rewards(likelihood, name, pairs)
            better, worse = (
                [a - b for a, b in zip(mine, theirs, strict=True)]
                for mine, theirs in zip(own, start, strict=True)
            )
            mean = clustered_mean(wins(better, worse), clusters, seed)
            row[test] = asdict(mean) if mean else None
    return found


def study(names: Sequence[str], budget: int, count: int, seed: int, folder: Path) -> dict[str, Any]:
    """Everything, as JSON holds it; `count` held-out pairs of each strategy.

    Raises:
        EmpoError: no data, or a training failed.
    """
    data = settings().data_dir
    dialogues, fitting = load_split(data, "test"), load_split(data, "valid")
    held = {name: draw(make_pairs(dialogues, name, seed), count, seed) for name in names}
    adapters = {name: train(name, budget, seed, folder) for name in names}
    baselines = Baselines(fitting)
    return {
        "recipe": RECIPE,
        "budget": budget,
        "seed": seed,
        "held_out": {name: len(pairs) for name, pairs in held.items()},
        "accuracy": accuracies(stack_of(adapters), held, seed),
        "baselines": {name: tells(pairs, baselines, seed) for name, pairs in held.items()},
    }


def markdown(found: dict[str, Any]) -> str:
    """The table: a row for each training set, then the baselines; columns are held-out sets."""
    tests = list(found["held_out"])
    head = ["trained on", *(f"{name} (n = {found['held_out'][name]:,})" for name in tests)]
    lines = [head, ["---"] * len(head)]
    for name, row in found["accuracy"].items():
        lines.append([name, *(percent(row[test], 1) for test in tests)])
    for tell, (title, _) in TELLS.items():
        cells = [percent(found["baselines"][test][tell], 1) for test in tests]
        lines.append([title.lower(), *cells])
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--budget", type=int, default=1600, help="pairs to train on (1600)")
    parser.add_argument("--pairs", type=int, default=500, help="held-out pairs of each kind (500)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--strategies", default=",".join(DEFAULT), metavar="A,B")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="where adapters stay")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    args = parser.parse_args(argv)
    names = args.strategies.split(",")
    for name in names:
        if name not in PRESETS:
            strategy(name)
    if args.budget < 1 or args.pairs < 1:
        raise UsageError("--budget and --pairs must be at least 1.")
    with tempfile.TemporaryDirectory() as scratch:
        folder = (args.keep or Path(scratch)).absolute()
        found = study(names, args.budget, args.pairs, args.seed, folder)
    print(json.dumps(found, indent=1) if args.json else markdown(found))
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except EmpoError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)
