"""What an evaluation is asked for, and what it works on."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from empo.data.recorded import Levels
from empo.errors import EmpoError, UsageError
from empo.types import Quantisation, Turn

METRICS = (
    "diff_epitome",
    "level",
    "kappa",
    "distinct",
    "self_bleu_4",
    "vad",
    "nidf",
    "vader",
    "words",
    "repetition",
    "bertscore_f1",
    "perplexity",
    "pair_accuracy",
)
OF_MODELS = ("perplexity", "pair_accuracy")
"""Metrics of a model's probabilities, which need no generated reply."""
SPLITS = ("train", "valid", "test")
Progress = Callable[[str, float], None]
"""What is being done, and the share of it that is done, 0..1."""


def duration(seconds: float) -> str:
    """Seconds for a person: 40 s, 12 min, 3 h."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


class Stopped(EmpoError):
    """Somebody stopped the evaluation; the same request goes on from where it was."""


@dataclass(frozen=True, slots=True)
class Request:
    """Either models of a stack on dialogues, or files of recorded replies.

    `models` empty: all of the stack. `data`: a file of dialogues or a folder with the splits.
    `limit` dialogues are drawn by `seed` (files are often sorted by emotion). `recompute`: EPITOME
    levels by the scorer even where a file has some. `texts` False: no dialogue in replies.jsonl.
    """

    out: Path
    data: Path
    stack: str = "nano"
    models: tuple[str, ...] = ()
    replies: tuple[Path, ...] = ()
    split: str = "test"
    limit: int | None = None
    metrics: tuple[str, ...] = METRICS
    vad: Path | None = None
    intensity: Path | None = None
    seed: int = 0
    prompt: str | None = None
    quantisation: Quantisation | None = None
    recompute: bool = False
    texts: bool = True
    situations: tuple[str, ...] = ()
    """Things a person says, to be answered instead of dialogues."""
    tasks: tuple[str, ...] = ()
    """Tasks of general knowledge (`forgetting`), with `task_path` for files of one's own."""
    task_path: Path | None = None

    def checked(self) -> Request:
        """The request itself.

        Raises:
            UsageError: it contradicts itself, or names an unknown metric or split.
        """
        if self.replies and (self.models or self.situations):
            raise UsageError("Give either --model or --replies, not both.")
        if self.replies and self.tasks:
            raise UsageError("--tasks asks models; recorded replies cannot answer.")
        if unknown := [name for name in self.metrics if name not in METRICS]:
            raise UsageError(
                f"There is no metric “{unknown[0]}”; choose from {', '.join(METRICS)}."
            )
        if not self.metrics:
            raise UsageError(f"Choose at least one metric of {', '.join(METRICS)}.")
        if self.split not in SPLITS:
            raise UsageError(f"There is no split “{self.split}”; choose {', '.join(SPLITS)}.")
        if self.limit is not None and self.limit < 1:
            raise UsageError(f"--limit must be at least 1, not {self.limit}.")
        if len(set(self.models)) < len(self.models):
            raise UsageError("A model is named twice.")
        return self

    @property
    def generates(self) -> bool:
        """Whether some metric looks at replies, so that models must give some."""
        return not self.replies and any(name not in OF_MODELS for name in self.metrics)


@dataclass(slots=True)
class Item:
    """A dialogue to be answered. `turns` ends with the speaker's last utterance."""

    id: str
    turns: tuple[Turn, ...]
    human: str | None = None
    emotion: str | None = None
    human_levels: Levels | None = None

    @property
    def said(self) -> str:
        return self.turns[-1].text


@dataclass(slots=True)
class System:
    """What one system replied, item by item; None: it did not answer that one."""

    name: str
    replies: list[str | None]
    levels: list[Levels | None] = field(default_factory=list)


@dataclass(slots=True)
class Work:
    """What the steps of an evaluation share."""

    request: Request
    items: list[Item]
    systems: list[System]
    tell: Progress
    stop: threading.Event

    def pause(self) -> None:
        """Raises Stopped where somebody has stopped the evaluation."""
        if self.stop.is_set():
            raise Stopped("The evaluation was stopped; the same request goes on with it.")
