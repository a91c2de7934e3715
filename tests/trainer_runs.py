"""Folders of runs as trainers leave them, made without training, for the tests of the Train tab."""

from __future__ import annotations

import time
from typing import Any

from empo.training.folder import RunFolder, append_line, make_folder, write_json
from empo.training.process import Identity
from empo.training.recipe import changed_spec
from empo.training.status import RunStatus, write_status
from empo.ui.run_desk import template

EVIL = "<img src=x onerror=window.hurt=1><script>window.hurt=1</script>{{hurt}}"


def made(
    name: str,
    state: Any,
    steps: int = 8,
    process: Identity | None = None,
    changes: tuple[str, ...] = (),
    said: str = "Oh no.",
) -> RunFolder:
    """A run of nano-dpo that has logged half of its steps (finished: all)."""
    spec = changed_spec(template("dpo", "nano") | {"name": name}, changes)
    folder = make_folder(spec)
    done = steps if state == "finished" else steps // 2
    for step in range(1, done + 1):
        row = {"step": step, "seconds": 2.0 * step, "loss": 0.7 - 0.01 * step}
        row |= {"rewards/margins": 0.1 * step, "rewards/accuracies": 0.5, "learning_rate": 1e-4}
        append_line(folder / "metrics.jsonl", row | {"rewards/chosen": 0.1, "rewards/rejected": 0})
    for step in (0, done):
        row = {"step": step, "context": f"I lost it. {said}", "reply": said, "human": "Poor you."}
        append_line(folder / "samples.jsonl", row)
    (folder / "log.txt").write_text(f"said {said}\n", "utf-8")
    if state == "finished":
        result = {"verdict": "unclear", "sentence": f"It cannot be told. {said}", "table": []}
        write_json(folder / "result.json", result)
    status = RunStatus(
        name, "dpo", state, done, steps, seconds=2.0 * done, created=time.time(), process=process
    )
    write_status(folder, status)
    return folder
