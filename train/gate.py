"""The gate of a run: it stops itself where it has forgotten more general knowledge than it may.

The probe (`empo.models.probe`) is asked before the first step and at every evaluation; each answer
is a row of `metrics.jsonl` with `probe`, the share of right answers, and `probe_seconds`, the time
that asking took.
"""

from __future__ import annotations

import time
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from empo.models.likelihood import Reader
from empo.models.probe import right_answers
from empo.training.folder import append_line
from empo.training.progress import Progress, agreed
from empo.training.recipe import Gate

ACTION = (
    "Its checkpoint is whole: a run that resumes it goes on, and is stopped again if it stays "
    "below; a lower optimiser.learning_rate or fewer steps forget less."
)


class GateKeeper(TrainerCallback):
    """Asks the policy, and ends training by `progress` where the gate closes."""

    def __init__(self, gate: Gate, progress: Progress) -> None:
        self.gate, self.progress = gate, progress
        self.before: float | None = None

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **more: Any
    ) -> None:
        rows = self.progress.folder.rows("metrics.jsonl")
        first = next((row["probe"] for row in rows if "probe" in row), None)
        self.before = self._ask(state.global_step, **more)[0] if first is None else first

    def on_evaluate(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **more: Any
    ) -> TrainerControl:
        now, seconds, questions = self._ask(state.global_step, **more)
        fall = (self.before or 0.0) - now
        reason = agreed("gate" if fall > self.gate.fall + 1e-9 else None, args)
        if reason != "gate":
            return control
        self.progress.gate_said = (
            f"its probe of general knowledge fell from {self.before:.3f} to {now:.3f} "
            f"({questions} questions, {seconds:.1f} s), more than gate.fall={self.gate.fall:g} "
            "allows."
        )
        if state.global_step < state.max_steps:
            self.progress.ended_by = "gate"
            control.should_training_stop = control.should_save = True
        return control

    def _ask(
        self, step: int, model: Any = None, processing_class: Any = None, **_: Any
    ) -> tuple[float, float, int]:
        """The share of right answers, the seconds it took, the number of questions."""
        start = time.monotonic()
        inner = getattr(model, "module", model)  # several processes: within its wrapper
        was = inner.training
        inner.eval()
        right = right_answers(Reader(inner, processing_class).turns)
        inner.train(was)
        seconds, share = time.monotonic() - start, sum(right) / len(right)
        if self.progress.first:
            row = {"step": step, "seconds": round(self.progress.seconds(), 3)}
            row |= {"probe": share, "probe_seconds": round(seconds, 3)}
            append_line(self.progress.folder / "metrics.jsonl", row)
        return share, seconds, len(right)
