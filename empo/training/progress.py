"""The callback between a trainer and its run's folder.

Appends `metrics.jsonl`, keeps `status.json` up to date, seals checkpoints, and ends the run when it
is asked to or has reached a limit. With several processes only the first one writes, and all end at
the same step.
"""

from __future__ import annotations

import math
import time
from dataclasses import replace
from typing import Any, Literal

import torch
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from empo.training.checkpoints import seal, tidy
from empo.training.folder import RunFolder, append_line
from empo.training.recipe import Recipe
from empo.training.status import RunStatus, write_status

Ending = Literal["stop", "signal", "time", "disk", "gate"]
_PAUSE = 1.0  # seconds between two status.json
_DISK_PAUSE = 20.0  # seconds between two looks at the folder's size
_NOT_KEPT = ("total_flos", "train_runtime", "eval_runtime", "eval_steps_per_second")


class Progress(TrainerCallback):
    """Tells the folder what the trainer does, and the trainer what the folder asks.

    `ended_by` says why training ended before its last step; None where it did not. `gate_said`:
    what the gate of the run has to say, where it closed.
    """

    def __init__(self, folder: RunFolder, spec: Recipe, status: RunStatus, first: bool = True):
        self.folder = folder
        self.spec = spec
        self.status = status
        self.first = first
        self.ended_by: Ending | None = None
        self.gate_said = ""
        self.signalled = False
        self._before = status.seconds  # spent by earlier processes
        self._start = time.monotonic()
        self._written = 0.0
        self._looked = 0.0

    def seconds(self) -> float:
        """Spent on training so far, by all processes of this run."""
        return self._before + time.monotonic() - self._start

    def say(self, phase: str) -> None:
        """What is being done now."""
        self._write(replace(self.status, phase=phase))

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        self._start = time.monotonic()
        self._write(replace(self.status, steps=state.max_steps, phase="training"))

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, Any] | None = None,
        **_: Any,
    ) -> None:
        values = {k: _sound(v) for k, v in (logs or {}).items() if k not in _NOT_KEPT}
        if self.first and values and "train_loss" not in values:
            head = {"step": state.global_step, "seconds": round(self.seconds(), 3)}
            append_line(self.folder / "metrics.jsonl", head | values)

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> TrainerControl:
        now = time.monotonic()
        self.status = replace(
            self.status,
            step=state.global_step,
            epoch=round(float(state.epoch or 0), 4),
            seconds=round(self.seconds(), 3),
        )
        if now - self._written > _PAUSE:
            self._write(self.status)
        reason = agreed(self._reason(now), args)
        if reason and state.global_step < state.max_steps:
            self.ended_by = reason
            control.should_training_stop = control.should_log = True
            control.should_save = True
            control.should_evaluate = False
        return control

    def _reason(self, now: float) -> Ending | None:
        if self.signalled:
            return "signal"
        if self.folder.stop_file.exists():
            return "stop"
        limits = self.spec.limits
        if self.seconds() > limits.minutes * 60:
            return "time"
        if now - self._looked > _DISK_PAUSE:
            self._looked = now
            if self.folder.size() > limits.disk_gb * 1e9:
                return "disk"
        return None

    def on_save(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        if self.first:
            seal(self.folder.checkpoints / f"checkpoint-{state.global_step}")
            tidy(self.folder)

    def _write(self, status: RunStatus) -> None:
        self.status = write_status(self.folder, status) if self.first else status
        self._written = time.monotonic()


def _sound(value: Any) -> Any:
    """JSON has no not-a-number: None."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value


_ORDER: tuple[Ending | None, ...] = (None, "stop", "time", "disk", "gate", "signal")


def agreed(reason: Ending | None, args: TrainingArguments) -> Ending | None:
    """The same answer in all processes: what any of them says, the gravest first."""
    if args.world_size < 2:
        return reason
    code = torch.tensor([_ORDER.index(reason)], device=args.device)
    torch.distributed.all_reduce(code, op=torch.distributed.ReduceOp.MAX)
    return _ORDER[int(code.item())]
