"""The line before the models: first come, first served, everybody sees their place."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from empo.errors import Busy


class Line:
    """At most `limit` turns wait or run; one runs at a time. Thread-safe."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._waiting: list[object] = []
        self._changed = threading.Condition()

    def __len__(self) -> int:
        return len(self._waiting)

    @contextmanager
    def place(self) -> Iterator[Place]:
        """Stand in line; leaving the block makes room.

        Raises:
            Busy: the line is full.
        """
        ticket = object()
        with self._changed:
            if len(self._waiting) >= self.limit:
                raise Busy(
                    f"{self.limit} people are being answered or waiting already; "
                    "try again in a minute."
                )
            self._waiting.append(ticket)
        try:
            yield Place(self, ticket)
        finally:
            with self._changed:
                self._waiting.remove(ticket)
                self._changed.notify_all()

    def _position(self, ticket: object) -> int:
        return self._waiting.index(ticket)

    def _wait(self, ticket: object, seconds: float) -> None:
        with self._changed:
            if self._waiting[0] is not ticket:
                self._changed.wait(seconds)


class Place:
    """A place in a `Line`."""

    def __init__(self, line: Line, ticket: object) -> None:
        self._line, self._ticket = line, ticket

    @property
    def ahead(self) -> int:
        """How many are before us; 0: it is our turn."""
        return self._line._position(self._ticket)

    def wait(self, seconds: float) -> None:
        """Until somebody leaves the line, at most `seconds`; not at all when it is our turn."""
        self._line._wait(self._ticket, seconds)
