"""What the training entries share: the command line, and a recipe in the trainer's own words."""

from __future__ import annotations

import argparse
import math
import random
from collections.abc import Sequence
from typing import Any, TypeVar

from train.recipe import Recipe

T = TypeVar("T")


def arguments(about: str | None, argv: Sequence[str] | None) -> argparse.Namespace:
    """`--recipe NAME`, any number of `--set key=value`, `--run FOLDER`."""
    parser = argparse.ArgumentParser(
        description=about, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--recipe", required=True, help="a recipe's name, or a YAML file")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--run", metavar="FOLDER", help="where trainer state goes")
    return parser.parse_args(argv)


def sample(items: Sequence[T], count: int | None, seed: int) -> Sequence[T]:
    """`count` of `items` drawn by `seed` (None: all): the data files are sorted by emotion."""
    if count is None or count >= len(items):
        return items
    return random.Random(seed).sample(items, count)


def common(recipe: Recipe, rows: int, folder: str) -> dict[str, Any]:
    """The arguments that every TRL trainer takes, for `rows` training rows.

    Evaluates `recipe.evaluations` times, evenly spread, the last time at the end.
    """
    import torch

    optimiser = recipe.optimiser
    per_step = optimiser.batch * optimiser.accumulate
    steps = math.ceil(math.ceil(rows / per_step) * optimiser.epochs)
    cuda = torch.cuda.is_available()
    return {
        "output_dir": folder,
        "seed": recipe.seed,
        "use_cpu": not cuda,
        "bf16": cuda,
        "num_train_epochs": optimiser.epochs,
        "learning_rate": optimiser.learning_rate,
        "lr_scheduler_type": optimiser.schedule,
        "warmup_steps": round(optimiser.warmup * steps),
        "per_device_train_batch_size": optimiser.batch,
        "per_device_eval_batch_size": 2 * optimiser.batch,
        "gradient_accumulation_steps": optimiser.accumulate,
        "adam_beta2": optimiser.beta2,
        "weight_decay": optimiser.weight_decay,
        "max_grad_norm": optimiser.clip,
        "eval_strategy": "steps" if recipe.valid else "no",
        "eval_steps": max(1, steps // recipe.evaluations),
        "save_strategy": "no",
        "logging_steps": max(1, min(25, steps // 10)),
        "gradient_checkpointing": False,
        "dataloader_pin_memory": cuda,
        "report_to": "none",
        "disable_tqdm": True,
    }
