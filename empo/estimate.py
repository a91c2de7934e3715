"""How long a run will take, before it is started: by an earlier run's pace, or by arithmetic."""

from __future__ import annotations

import math
import re
import time
from dataclasses import dataclass
from functools import cache

from empo.budget import base_weights, has_gpu
from empo.errors import EmpoError
from empo.training.elsewhere import is_elsewhere
from empo.training.folder import run_folders
from empo.training.recipe import RunSpec

TOKENS = 60  # of a training row (one reply with its prompt), about
PASSES = 4  # operations a weight and token: two forward, two back (the base's own stay as they are)
USED = 0.3  # share of a machine's matrix speed that training reaches, about
MIN_STEPS = 5


@dataclass(frozen=True, slots=True)
class Estimate:
    """`steps` of the optimiser; `seconds` (None: nothing to go by) and what they rest on."""

    steps: int
    seconds: float | None
    basis: str


def steps_of(spec: RunSpec, rows: int | None = None) -> int:
    """Steps of a run on `rows` training rows (None: the specification's limit)."""
    rows = min(n for n in (rows, spec.limit, 10**9) if n is not None)
    batch = spec.optimiser.batch * spec.optimiser.accumulate
    return min(math.ceil(math.ceil(rows / batch) * spec.optimiser.epochs), spec.limits.steps)


def estimate(spec: RunSpec, rows: int | None = None) -> Estimate:
    """For this machine: training alone, without the measuring that follows."""
    steps = steps_of(spec, rows)
    if (pace := _pace(spec)) is not None:
        each, name = pace
        return Estimate(steps, steps * each, f"by the pace of the run {name}")
    if has_gpu() or (work := operations(spec)) is None:
        return Estimate(steps, None, "known after the first steps")
    return Estimate(steps, steps * work / (USED * _cpu_speed()), "roughly, by this machine's speed")


def operations(spec: RunSpec) -> float | None:
    """Floating-point operations of one step; None where the size of the base is not known."""
    weights = base_weights(spec) or _named_size(spec.base)
    if weights is None:
        return None
    sides = 2 if spec.kind == "dpo" else 1
    rows = spec.optimiser.batch * spec.optimiser.accumulate * sides
    return PASSES * weights * rows * min(TOKENS, spec.optimiser.max_length)


def _named_size(name: str) -> float | None:
    """Weights by a name such as zephyr-7b or Qwen2.5-0.5B."""
    found = re.search(r"(\d+(?:\.\d+)?)[bB]\b", name.replace("_", "-"))
    return float(found[1]) * 1e9 if found else None


def _pace(spec: RunSpec) -> tuple[float, str] | None:
    """Seconds a step of the newest run of the same kind on the same base, by samples a step."""
    found = []
    for folder in run_folders():
        if is_elsewhere(folder):  # another machine has another pace
            continue
        try:
            other = folder.spec()
        except EmpoError:
            continue
        if (other.kind, other.base) != (spec.kind, spec.base):
            continue
        last = next((r for r in reversed(folder.rows("metrics.jsonl")) if "seconds" in r), None)
        if last and last.get("step", 0) >= MIN_STEPS:
            rows = other.optimiser.batch * other.optimiser.accumulate
            each = last["seconds"] / last["step"] / rows
            found.append((folder.spec_file.stat().st_mtime, each, folder.name))
    if not found:
        return None
    _, each, name = max(found)
    return each * spec.optimiser.batch * spec.optimiser.accumulate, name


@cache
def _cpu_speed() -> float:
    """Operations a second of a plain matrix product on this machine, measured once."""
    import numpy as np

    side = 768
    one = np.ones((side, side), dtype=np.float32)
    best = math.inf
    for _ in range(8):
        start = time.perf_counter()
        one @ one
        best = min(best, time.perf_counter() - start)
    return 2 * side**3 / best
