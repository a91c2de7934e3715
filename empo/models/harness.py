"""Tasks of lm-evaluation-harness on one model of a stack, as it is served.

EleutherAI's harness (Gao et al. 2024, zenodo 10.5281/zenodo.12608602) is an extra, for it brings
thirty packages: `pip install -r requirements-eval.txt`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from empo.errors import DataError, UsageError
from empo.models.likelihood import as_served
from empo.models.stacks import Stack
from empo.types import Quantisation

if TYPE_CHECKING:
    from transformers import PreTrainedModel

Result = tuple[float, float | None, int]
"""Value, standard error (None: unknown), number of questions."""
BATCH = 8
_METRICS = ("acc_norm", "acc", "exact_match", "prompt_level_strict_acc", "f1")


def harness(
    stack: Stack,
    model: str,
    tasks: Sequence[str],
    task_path: Path | None = None,
    limit: int | None = None,
    quantisation: Quantisation | None = None,
) -> dict[str, Result]:
    """What the harness measures of `model` in `tasks`; `limit`: only so many questions each.

    `task_path`: a folder with task files of one's own. Only these are looked at where it is given.

    Raises:
        UsageError: the harness is not installed, or knows no such task.
        DataError: a task's data cannot be read or fetched.
        StackError: the model cannot be loaded.
    """
    try:
        from lm_eval import simple_evaluate
        from lm_eval.models.huggingface import HFLM
        from lm_eval.tasks import TaskManager
    except ImportError as error:
        raise UsageError(
            "Tasks need lm-evaluation-harness: pip install -r requirements-eval.txt "
            "(or --tasks probe, which needs nothing)."
        ) from error
    manager = TaskManager(
        include_path=str(task_path) if task_path else None, include_defaults=not task_path
    )
    if unknown := [task for task in tasks if task not in manager.all_tasks]:
        raise UsageError(f"lm-evaluation-harness knows no task “{unknown[0]}”.")
    served, tokenizer = _served(stack, model, quantisation)
    wrapped = HFLM(
        pretrained=served, tokenizer=tokenizer, batch_size=BATCH, max_length=stack.context
    )
    try:
        found = simple_evaluate(
            model=wrapped,
            tasks=list(tasks),
            task_manager=manager,
            apply_chat_template=True,
            limit=limit,
            bootstrap_iters=0,
        )
    except (OSError, ConnectionError, FileNotFoundError) as error:
        said = " ".join(str(error).split())[:200]
        raise DataError(f"The data of {', '.join(tasks)} cannot be had: {said}") from error
    return {task: _result(task, found) for task in tasks}


def _served(
    stack: Stack, model: str, quantisation: Quantisation | None
) -> tuple[PreTrainedModel, Any]:
    """The model with its adapter chosen, and its tokenizer."""
    likelihood = as_served(stack, quantisation)
    likelihood.choose(model)
    return likelihood.model, likelihood.tokenizer


def _result(task: str, found: Any) -> Result:
    """The first of the usual metrics that the task has."""
    row = found["results"][task]
    # A group such as mmlu has the questions of its parts.
    parts = {
        name: counts["effective"]
        for name, counts in found.get("n-samples", {}).items()
        if name == task or name.startswith(f"{task}_")
    }
    questions = parts.get(task) or sum(parts.values())
    for metric in _METRICS:
        for key, value in row.items():
            if key.split(",")[0] == metric and isinstance(value, int | float):
                error = row.get(f"{metric}_stderr,{key.split(',')[1]}")
                known = isinstance(error, int | float) and error == error
                return float(value), float(error) if known else None, questions
    raise DataError(f"The task {task} gives none of {', '.join(_METRICS)}.")
