"""General knowledge beside empathy: does a model still know what its base knew?

Tasks of lm-evaluation-harness (`pip install -r requirements-eval.txt`; MMLU, ARC, HellaSwag, … need
their data from the Hub), or `probe`, forty questions of our own that need neither. Each model is
measured as it is served: the base with its adapters laid over it, in 4 bits where the stack is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from empo.evaluation.request import Work
from empo.evaluation.summary import Number, number
from empo.metrics.bootstrap import draws, mean_interval
from empo.models.stacks import Stack
from empo.types import ModelSpec

PROBE = "probe"


def knowledge(work: Work, stack: Stack, specs: Sequence[ModelSpec]) -> dict[str, dict[str, Number]]:
    """Model → task → share of right answers with its interval.

    Raises:
        UsageError: lm-evaluation-harness is not installed, or has no such task.
        StackError: a model cannot be loaded or scored.
    """
    from empo.models.likelihood import as_served
    from empo.models.probe import probe

    found: dict[str, dict[str, Number]] = {spec.name: {} for spec in specs}
    asked = PROBE in work.request.tasks
    served = as_served(stack, work.request.quantisation) if asked else None
    for spec in specs if served else ():
        work.pause()
        work.tell(f"probe, {spec.name}", 0.0)
        right = np.array(probe(stack, spec.name, likelihood=served), float)
        drawn = draws(len(right), work.request.seed)
        found[spec.name][PROBE] = number(
            float(right.mean()), mean_interval(right, drawn), len(right)
        )
    if others := [task for task in work.request.tasks if task != PROBE]:
        from empo.models.harness import harness

        for spec in specs:
            work.pause()
            work.tell(f"{', '.join(others)}, {spec.name}", 0.0)
            results = harness(
                stack, spec.name, others, work.request.task_path, work.request.limit,
                work.request.quantisation,
            )  # fmt: skip
            found[spec.name] |= {task: _of(*result) for task, result in results.items()}
    return found


def _of(value: float, error: float | None, n: int) -> Number:
    """A number from the harness's value and standard error."""
    edges = None if error is None else (value - 1.96 * error, value + 1.96 * error)
    return number(value, edges, n)


def dropped(report: Mapping[str, Any], most: float) -> list[str]:
    """A sentence for each task that a model does worse in than the first one, by more than `most`.

    What stops a run: an empty list lets it go on.
    """
    systems = report["systems"]
    first = next(iter(systems))
    found = []
    for name, metrics in systems.items():
        for task, own in metrics.get("forgetting", {}).items():
            before = systems[first]["forgetting"][task]["value"]
            if before - own["value"] > most:
                found.append(
                    f"{task}: {name} is at {own['value']:.3f}, {first} at {before:.3f}: it fell by "
                    f"more than {most:g}."
                )
    return found
