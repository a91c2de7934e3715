"""What the training entries share: the command line, and a recipe in the trainer's own words."""

from __future__ import annotations

import argparse
import math
import random
import sys
import tempfile
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from empo.errors import EmpoError, UsageError
from empo.prompts import neutralise, role_markers
from empo.training.recipe import Recipe, load_recipe, rooted
from empo.types import Turn

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

T = TypeVar("T")
_FINE = 500  # logged lines of a run, at most about


def arguments(about: str | None, argv: Sequence[str] | None) -> argparse.Namespace:
    """`--recipe NAME`, any number of `--set key=value`, `--run FOLDER`."""
    parser = argparse.ArgumentParser(
        description=about, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--recipe", help="train straight to the recipe's out: a name or YAML file")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument(
        "--run",
        metavar="FOLDER",
        help="alone: do the run in FOLDER, as its spec.json says; with --recipe: trainer state",
    )
    return parser.parse_args(argv)


def main(
    about: str | None,
    kind: type[Recipe],
    name: str,
    build: Callable[..., Any],
    argv: Sequence[str] | None,
) -> int:
    """An entry's work: the run in `--run FOLDER`, or a recipe straight to its `out`."""
    args = arguments(about, argv)
    if args.recipe is None:
        if args.run is None or args.set:
            raise UsageError("Give --run FOLDER alone, or --recipe NAME with any --set key=value.")
        from train.run import execute

        return execute(args.run, name, build)
    recipe = load_recipe(args.recipe, kind, args.set)
    if recipe.out is None:
        raise UsageError(
            f"The recipe {recipe.name} has no out: python -m empo runs start --recipe {args.recipe}"
        )
    if recipe.gate:
        raise UsageError("A gate stops a run: use python -m empo runs start, or take it out.")
    from train.adapters import save_adapter
    from train.stopping import StopFile

    with tempfile.TemporaryDirectory() as scratch:
        state = args.run or scratch
        trainer = build(recipe, state, [StopFile(state)], keep=False)
        trainer.train()
        save_adapter(trainer.model, rooted(recipe.out), recipe.base)
    print(f"Saved the adapter to {recipe.out}.")
    return 0


def finish(work: Callable[[], int]) -> None:
    """End the process with the exit code of `work`; what a person may meet is one sentence."""
    try:
        sys.exit(work())
    except EmpoError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)


def sample(items: Sequence[T], count: int | None, seed: int) -> Sequence[T]:
    """`count` of `items` drawn by `seed` (None: all): the data files are sorted by emotion."""
    if count is None or count >= len(items):
        return items
    return random.Random(seed).sample(items, count)


def as_messages(turns: Sequence[Turn], markers: Sequence[str] = ()) -> list[dict[str, str]]:
    """`turns` as messages; what a template may read as a role marker is taken apart."""
    return [{"role": t.role, "content": neutralise(t.text, markers)} for t in turns]


def markers_of(tokenizer: PreTrainedTokenizerBase) -> tuple[str, ...]:
    """What no text of a training row may hold."""
    return role_markers(tokenizer.chat_template or "", tokenizer.all_special_tokens)


def within(rows: Sequence[T], lengths: Sequence[int], percentile: float | None) -> list[T]:
    """The rows whose length is not above the `percentile` of all (None: all rows)."""
    if percentile is None or not rows:
        return list(rows)
    limit = sorted(lengths)[math.ceil(percentile / 100 * len(lengths)) - 1]
    return [row for row, length in zip(rows, lengths, strict=True) if length <= limit]


def tokens(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str]) -> list[int]:
    """How many tokens each text has."""
    if not texts:
        return []
    return [len(ids) for ids in tokenizer(list(texts), add_special_tokens=False)["input_ids"]]


def common(recipe: Recipe, rows: int, folder: str, keep: bool = False) -> dict[str, Any]:
    """The arguments that every TRL trainer takes, for `rows` training rows.

    Evaluates `recipe.evaluations` times, evenly spread, the last time at the end. With `keep`,
    checkpoints go to `folder` and nearly every step is logged.
    """
    import torch

    from train.processes import processes

    optimiser = recipe.optimiser
    per_step = optimiser.batch * optimiser.accumulate * processes().num_processes
    steps = math.ceil(math.ceil(rows / per_step) * optimiser.epochs)
    capped = min(steps, recipe.limits.steps)
    cuda = torch.cuda.is_available()
    return {
        "output_dir": folder,
        "seed": recipe.seed,
        "use_cpu": not cuda,
        "bf16": cuda,
        "num_train_epochs": optimiser.epochs,
        "max_steps": capped if capped < steps else -1,
        "learning_rate": optimiser.learning_rate,
        "lr_scheduler_type": optimiser.schedule,
        "warmup_steps": round(optimiser.warmup * capped),
        "per_device_train_batch_size": optimiser.batch,
        "per_device_eval_batch_size": 2 * optimiser.batch,
        "gradient_accumulation_steps": optimiser.accumulate,
        "adam_beta2": optimiser.beta2,
        "weight_decay": optimiser.weight_decay,
        "max_grad_norm": optimiser.clip,
        "eval_strategy": "steps" if recipe.valid else "no",
        "eval_steps": max(1, capped // recipe.evaluations),
        "save_strategy": "steps" if keep else "no",
        "save_steps": recipe.checkpoint_every or max(1, capped // 10),
        "logging_steps": max(1, capped // _FINE) if keep else max(1, min(25, capped // 10)),
        "gradient_checkpointing": recipe.gradient_checkpointing,
        "dataloader_pin_memory": cuda,
        "report_to": "none",
        "disable_tqdm": True,
    }
