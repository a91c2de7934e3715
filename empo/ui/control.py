"""Stopping: one handle per running turn, found by the visitor's session."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from empo.errors import Busy
from empo.models.engine import Stop


class Control:
    """A running turn. `cancel` stops all voices; `stopped` are columns stopped on their own."""

    def __init__(self) -> None:
        self.cancel = Stop()

    @property
    def stopped(self) -> set[int]:
        return self.cancel.rows


class Running:
    """The turns that run now, by session: one at a time each. Thread-safe."""

    def __init__(self) -> None:
        self._controls: dict[str, Control] = {}
        self._lock = threading.Lock()

    @contextmanager
    def turn(self, session: str) -> Iterator[Control]:
        """The handle of a new turn; whatever ends the block cancels the turn.

        Raises:
            Busy: this session's last turn still runs.
        """
        control = Control()
        with self._lock:
            if session in self._controls:
                raise Busy("The last message is still being answered; stop it first.")
            self._controls[session] = control
        try:
            yield control
        finally:
            control.cancel.set()
            with self._lock:
                del self._controls[session]

    def stop(self, session: str, column: int | None = None) -> None:
        """Stop all voices of the session's turn, or one column; nothing where none runs."""
        with self._lock:
            control = self._controls.get(session)
        if control is None:
            return
        if column is None:
            control.cancel.set()
        else:
            control.stopped.add(column)
