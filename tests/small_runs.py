"""Runs that take seconds: a tiny random base, few pairs, and what watches and kills them."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from empo import runs
from empo.training.checkpoints import MANIFEST, checkpoints
from empo.training.folder import RunFolder, run_folder
from empo.training.recipe import RunSpec, parse_spec
from empo.training.status import ACTIVE, RunStatus

PATIENCE = 240.0  # seconds, on a machine that does other things as well


def small_spec(base: Path | str, name: str, kind: str = "dpo", **changes: Any) -> RunSpec:
    """About 60 steps of a run of `kind` over `base`."""
    raw: dict[str, Any] = {
        "kind": kind,
        "name": name,
        "base": str(base),
        "limit": 120,
        "valid": 4,
        "evaluations": 1,
        "samples": 1,
        "measure": 0,
        "checkpoint_every": 5,
        "lora": {"rank": 4, "alpha": 8},
        "optimiser": {"epochs": 1, "learning_rate": 0.005, "batch": 2, "max_length": 256},
    }
    return parse_spec(raw | changes)


def wait(until: Callable[[], Any], what: str, pause: float = 0.05) -> Any:
    """What `until` returns once it is true."""
    end = time.monotonic() + PATIENCE
    while not (found := until()):
        assert time.monotonic() < end, f"waited in vain for {what}"
        time.sleep(pause)
    return found


def ended(name: str) -> RunStatus:
    """The status of the run once nobody works on it and it is not in line."""

    def over() -> RunStatus | None:
        runs.runs()
        status = runs.run(name).status
        return None if status.state in (*ACTIVE, "queued") else status

    return wait(over, f"{name} to end\n{runs.log_tail(name)}", 0.2)


def at_step(name: str, step: int) -> None:
    """Wait until its present process has logged `step`."""
    wait(
        lambda: (
            runs.run(name).status.phase == "training"
            and any(row["step"] >= step for row in runs.metrics(name))
        ),
        f"step {step} of {name}:\n{runs.log_tail(name)}",
        0.005,
    )


def kill(name: str) -> RunStatus:
    """kill -9 of the trainer; the status that a reader then sees."""
    process = runs.run(name).status.process
    assert process is not None
    os.kill(process.pid, signal.SIGKILL)
    wait(lambda: runs.run(name).status.state not in ACTIVE, "the trainer to die")
    return runs.run(name).status


def kill_while_saving(name: str, after: int) -> int:
    """kill -9 between the first file of a checkpoint after step `after` and its manifest.

    The trainer is halted first, so that it is certain where it was. Returns that step.
    """
    folder = run_folder(name)
    process = wait(lambda: runs.run(name).status.process, "the process")

    def halted() -> int | None:
        step = _open_checkpoint(folder, after)
        if step is None:
            return None
        os.kill(process.pid, signal.SIGSTOP)
        time.sleep(0.01)
        if _open_checkpoint(folder, after) == step:
            return step
        os.kill(process.pid, signal.SIGCONT)
        return None

    step = wait(halted, "a checkpoint to be written", 0.001)
    os.kill(process.pid, signal.SIGKILL)
    wait(lambda: runs.run(name).status.state not in ACTIVE, "the trainer to die")
    return step


def _open_checkpoint(folder: RunFolder, after: int) -> int | None:
    for path in checkpoints(folder):
        step = int(path.name.split("-")[1])
        if step > after and path.is_dir() and not (path / MANIFEST).exists():
            return step
    return None


def losses(name: str) -> dict[int, float]:
    """The training loss by step; a step that is there twice is an error."""
    rows = [row for row in runs.metrics(name) if "loss" in row]
    assert len({row["step"] for row in rows}) == len(rows), "a step is logged twice"
    return {row["step"]: row["loss"] for row in rows}
