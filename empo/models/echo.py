"""An engine without weights: it says back what it heard, for tests and trial pages."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from itertools import zip_longest

from empo.errors import UsageError
from empo.models.engine import Row, Step, ended_rows
from empo.models.stacks import Stack
from empo.types import Quantisation, Reply


class EchoEngine:
    """Answers each row with "model heard: …", one word a step, `delay` seconds apart."""

    quantisation: Quantisation = "none"
    device = "none"

    def __init__(self, stack: Stack, delay: float = 0.0) -> None:
        self.stack = stack
        self.delay = delay
        self._running = 0

    def stream(self, rows: Sequence[Row], cancel: threading.Event | None = None) -> Iterator[Step]:
        if not rows:
            raise UsageError("There is nothing to answer: no model was chosen.")
        start = time.monotonic()
        self._running += 1
        try:
            replies = [f"{row.model} heard: {row.messages[-1].text}".split(" ") for row in rows]
            words = [r[: row.sampling.max_new_tokens] for r, row in zip(replies, rows, strict=True)]
            live = set(range(len(rows)))
            for n, column in enumerate(zip_longest(*words)):
                time.sleep(self.delay)
                all_ = cancel is not None and cancel.is_set()
                cut = live if all_ else live & set(ended_rows(cancel))
                texts = {i: (" " if n else "") + w for i in live if (w := column[i]) is not None}
                ended = {
                    i: Reply(
                        rows[i].model,
                        " ".join(words[i][: n + 1]),
                        n + 1,
                        time.monotonic() - start,
                        self.delay,
                        "cancelled" if i in cut else "end",
                    )
                    for i in texts
                    if i in cut or n + 1 == len(words[i])
                }
                yield Step(texts, ended)
                live = live - set(ended)
                if not live:
                    return
        finally:
            self._running -= 1

    def exchange(self, stack: Stack) -> None:
        """Serve `stack` from now on."""
        self.stack = stack

    def waiting(self) -> int:
        return self._running

    def close(self) -> None:
        """Nothing to let go of."""
