"""Looks at runs and evaluations every two seconds, in a thread of its own, and tells who asked.

The disk is the only truth: a run that was started by the command line, by another tab or before the
app came up is seen like any other.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence

from empo import runs
from empo.errors import EmpoError
from empo.training.queue import EVALUATE, standing
from empo.training.status import ACTIVE, RunStatus

PAUSE = 2.0  # seconds between two looks
Heard = Callable[[Sequence[RunStatus]], None]


class RunWatch:
    """The runs, and the evaluations in their line, as of the last look. Thread-safe."""

    def __init__(self, pause: float = PAUSE) -> None:
        self._pause = pause
        self._asked: list[Heard] = []
        self._found: tuple[RunStatus, ...] = ()
        self._looking = threading.Lock()
        self._wake = threading.Event()
        self._started = self._stopped = False
        self._warned = ""

    def ask(self, heard: Heard) -> None:
        """Call `heard` with all runs after every look, in the order in which it was asked for."""
        self._asked.append(heard)

    def start(self) -> None:
        """Look from now on; a second call does nothing."""
        if not self._started:
            self._started = True
            threading.Thread(target=self._run, name="run-watch", daemon=True).start()

    def wake(self) -> None:
        """Look at once: something has just been started or stopped."""
        self._wake.set()

    def stop(self) -> None:
        """Look no more."""
        self._stopped = True
        self._wake.set()

    def look(self) -> None:
        """One look; a listener that fails does not keep the others from hearing."""
        with self._looking:
            try:
                evaluations = [s for s in standing() if s.kind == EVALUATE]
                self._found = (*runs.runs(), *evaluations)
            except (EmpoError, OSError) as error:
                self._warn(f"the runs cannot be read: {error}")
                return
            for heard in self._asked:
                try:
                    heard(self._found)
                except Exception:
                    logging.getLogger(__name__).exception("a look at the runs failed")

    def _warn(self, text: str) -> None:
        """Once, not every two seconds."""
        if text != self._warned:
            self._warned = text
            logging.getLogger(__name__).warning(text)

    @property
    def at_work(self) -> RunStatus | None:
        """The run that a process of this machine works on, as of the last look."""
        return at_work(self._found)

    def _run(self) -> None:
        while not self._stopped:
            self.look()
            self._wake.wait(self._pause)
            self._wake.clear()


def at_work(found: Sequence[RunStatus]) -> RunStatus | None:
    """The run whose process is here: also one that has just ended and still holds its memory."""
    for status in found:
        if status.where or status.process is None:  # done on another machine, or nobody's
            continue
        if status.state in ACTIVE or status.process.alive():
            return status
    return None
