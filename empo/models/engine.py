"""What every backend answers to: rows in, streamed text out.

A comparison is one call of `Engine.stream` with one `Row` per voice. Backends: `local` (row-masked
LoRA over one base), `echo` (no weights; for tests and for trying the page).
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from empo.models.stacks import Stack
from empo.types import Quantisation, Reply, Sampling, Turn


@dataclass(frozen=True, slots=True)
class Row:
    """One voice of a batch.

    `messages` ends with a user turn and may begin with a system turn. `adapters` holds the weight
    of each adapter of the stack (empty: the base). `stop` are strings that end the reply.
    """

    model: str
    messages: tuple[Turn, ...]
    adapters: Mapping[str, float] = field(default_factory=dict)
    sampling: Sampling = field(default_factory=Sampling)
    stop: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Step:
    """What one forward pass brought: new text by row, and the replies that ended with it."""

    texts: Mapping[int, str]
    replies: Mapping[int, Reply] = field(default_factory=dict)


class Stop(threading.Event):
    """A `cancel` that can also end rows on their own: those in `rows`, which may grow meanwhile."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: set[int] = set()


def ended_rows(cancel: threading.Event | None) -> Collection[int]:
    """The rows that `cancel` ends on their own by now."""
    return cancel.rows if isinstance(cancel, Stop) else ()


class Engine(Protocol):
    """A loaded stack. Thread-safe: requests of several threads wait for each other in order."""

    stack: Stack
    quantisation: Quantisation
    device: str

    def stream(self, rows: Sequence[Row], cancel: threading.Event | None = None) -> Iterator[Step]:
        """Answer all `rows` in one batch; every row ends with a `Reply` in some step.

        Setting `cancel`, or closing the iterator, stops the work within two tokens; with `cancel`
        the replies so far still come, `stopped_by="cancelled"`; a `Stop` may end single rows in the
        same way, which then cost no more. The concatenated texts of a row equal the text of its
        reply.

        Raises:
            UsageError: no rows, an empty message, an unknown adapter, a message that cannot fit.
            Busy: too many requests wait already.
        """
        ...

    def waiting(self) -> int:
        """Requests that wait or run now."""
        ...

    def close(self) -> None:
        """Stop the thread and let go of the weights."""
        ...
