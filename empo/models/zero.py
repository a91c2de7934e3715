"""Hugging Face's ZeroGPU: a turn, however many voices, is one call of a `spaces.GPU` function.

There the weights are loaded by the main thread before the page is launched; each call then runs in
a forked worker that has the GPU for the seconds asked for. So nothing of a call may depend on a
thread, a lock or an event of this process: rows go in and steps come out, pickled, and a stop is a
matter of not asking for the next step. Off Spaces nothing of this module is used.

Sources: spaces 0.51 (zero/decorator.py, zero/wrappers.py). Not tried on a real ZeroGPU Space.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from typing import Any, Protocol, TypeVar

from empo.errors import UsageError
from empo.models.engine import Row, Step, ended_rows
from empo.models.stacks import Stack
from empo.sampling import check_sampling
from empo.types import Quantisation, Reply

ATTACH = 12.0  # seconds to hand the weights to a worker and read the prompt, seen generously
PER_TOKEN = 0.08  # seconds for one forward pass of a 7B model in nf4 with three voices
LONGEST = 120  # seconds; a visitor's daily share is about two minutes


T = TypeVar("T")


class Decoding(Protocol):
    """What answers rows on the device, without threads: `empo.models.decoding.Decoder`."""

    device: Any

    def decode(self, rows: Sequence[Row], stopped: Callable[[int], bool]) -> Iterator[Step]: ...


def duration(rows: Sequence[Row]) -> int:
    """GPU seconds to ask for: what the longest reply may take, at most `LONGEST`."""
    tokens = max(row.sampling.max_new_tokens for row in rows)
    return min(LONGEST, round(ATTACH + PER_TOKEN * tokens))


class ZeroEngine:
    """`Engine` over `spaces.GPU`; `gpu` is that decorator (or another with its face)."""

    def __init__(
        self, stack: Stack, quantisation: Quantisation, decoder: Decoding, gpu: Callable[..., Any]
    ) -> None:
        self.stack = stack
        self.quantisation = quantisation
        self.device = str(decoder.device)
        self._waiting = 0
        self._lock = threading.Lock()

        def answer(rows: tuple[Row, ...]) -> Iterator[Step]:
            yield from decoder.decode(rows, lambda row: False)

        self._answer = gpu(duration=duration)(answer)

    def stream(self, rows: Sequence[Row], cancel: threading.Event | None = None) -> Iterator[Step]:
        """See `Engine.stream`."""
        self._check(rows)
        with self._lock:
            self._waiting += 1
        try:
            with closing(self._answer(tuple(rows))) as steps:
                yield from _until_stopped(rows, steps, cancel or threading.Event())
        finally:
            with self._lock:
                self._waiting -= 1

    def waiting(self) -> int:
        return self._waiting

    def close(self) -> None:
        """Nothing to let go of: the worker ends with each call."""

    def _check(self, rows: Sequence[Row]) -> None:
        if not rows:
            raise UsageError("There is nothing to answer: no model was chosen.")
        for row in rows:
            check_sampling(row.sampling)
            if unknown := set(row.adapters) - set(self.stack.adapters):
                raise UsageError(f"The stack {self.stack.name} has no adapter “{min(unknown)}”.")


def _until_stopped(
    rows: Sequence[Row], steps: Iterator[Step], cancel: threading.Event
) -> Iterator[Step]:
    """`steps`, until `cancel`: then every unfinished row ends as cancelled with what it had.

    A row that is ended on its own goes on in the worker, which cannot be told; it is not passed on.
    """
    start, first = time.monotonic(), 0.0
    texts = [""] * len(rows)
    tokens = [0] * len(rows)
    live = set(range(len(rows)))
    for step in steps:
        step = Step(_only(step.texts, live), _only(step.replies, live))
        for row, text in step.texts.items():
            texts[row] += text
            tokens[row] += 1
        live -= set(step.replies)
        now = time.monotonic() - start
        first = first or now
        yield step
        if stopped := live if cancel.is_set() else live & set(ended_rows(cancel)):
            yield Step(
                {},
                {
                    i: Reply(rows[i].model, texts[i], tokens[i], now, first, "cancelled")
                    for i in stopped
                },
            )
            live = live - stopped
        if not live:
            return


def _only(found: Mapping[int, T], rows: set[int]) -> dict[int, T]:
    return {row: value for row, value in found.items() if row in rows}


def load_zero_engine(
    stack: Stack, quantisation: Quantisation | None, report: Callable[[str, float], None]
) -> ZeroEngine:
    """Load `stack` in this thread, which must be the main one, before the page is launched.

    Raises:
        StackError, OutOfMemory: as `load_engine`.
    """
    # Transformers loads in a pool of threads otherwise, which the stand-in tensors do not survive.
    os.environ["HF_DEACTIVATE_ASYNC_LOAD"] = "1"
    import spaces  # before torch

    from empo.models.loading import load_engine

    engine = load_engine(stack, quantisation, report)
    decoder = engine.decoder
    engine.close()  # its thread; a forked worker has none
    return ZeroEngine(stack, engine.quantisation, decoder, spaces.GPU)
