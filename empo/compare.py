"""One turn of a comparison: the same message to several voices, in one batch."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence

from empo.errors import UsageError
from empo.models.engine import Engine, Row, Step
from empo.prompts import system_prompt, with_system
from empo.types import ModelSpec, Sampling, Turn


def rows_of(
    histories: Sequence[Sequence[Turn]],
    specs: Sequence[ModelSpec],
    sampling: Sampling,
    prompt: str,
) -> tuple[Row, ...]:
    """One row per voice: `histories[i]`, which ends with a user turn, for `specs[i]`.

    Raises:
        UsageError: an unknown prompt, or a history that does not end with the user's turn.
    """
    rows = []
    for history, spec in zip(histories, specs, strict=True):
        if not history or history[-1].role != "user" or not history[-1].text.strip():
            raise UsageError("The message is empty: write something first.")
        messages = with_system(history, system_prompt(prompt, spec.stage))
        rows.append(Row(spec.name, messages, spec.adapters, sampling))
    return tuple(rows)


def compare(
    engine: Engine,
    histories: Sequence[Sequence[Turn]],
    specs: Sequence[ModelSpec],
    sampling: Sampling,
    prompt: str,
    cancel: threading.Event | None = None,
) -> Iterator[Step]:
    """Answer in one batch; row i of every step is `specs[i]`.

    Raises:
        UsageError: as `rows_of` and `Engine.stream`.
    """
    yield from engine.stream(rows_of(histories, specs, sampling, prompt), cancel)
