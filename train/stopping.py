"""Ending a run early from outside: a file named STOP in its folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from transformers import TrainerCallback, TrainerControl


class StopFile(TrainerCallback):
    """Stop after the current step once `folder/STOP` exists; what was learnt is saved as usual."""

    def __init__(self, folder: str) -> None:
        self.file = Path(folder) / "STOP"

    def on_step_end(
        self, args: Any, state: Any, control: TrainerControl, **_: Any
    ) -> TrainerControl:
        control.should_training_stop |= self.file.exists()
        return control
