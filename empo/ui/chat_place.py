"""Keeps the chat where it belongs: off the GPU while a run holds it, back there afterwards."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

from empo.giving_way import Place, Reading, place, read
from empo.models.engine import Engine
from empo.models.stacks import Stack
from empo.training.queue import EVALUATE
from empo.training.status import RunStatus
from empo.ui.run_view import clock
from empo.ui.run_watch import RunWatch, at_work
from empo.ui.services import EngineHolder, Report

AGAIN = 30.0  # seconds before the models are tried once more that could not come back
Put = Callable[[Report, bool], Engine]  # loads the engine; True: on the processor
Look = Callable[[Stack, bool], Reading]  # the machine as it is; True: a run is at work


class ChatPlace:
    """Moves the engine of its `holder` to where `empo.giving_way` says; told of runs by `watch`.

    The place is chosen when a run begins and kept until none is at work any more: a moment between
    two runs in line brings nothing back.
    """

    def __init__(
        self,
        stack: Stack,
        put: Put,
        watch: RunWatch,
        after: Callable[[], None] | None = None,
        look: Look = read,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._stack, self._put, self._watch = stack, put, watch
        self._look, self._now = look, now
        self._place: Place = "home"
        self._run: RunStatus | None = None
        self._tried: float | None = None  # when it was last moved
        self._moving = threading.Lock()
        self.holder = EngineHolder(self._first, after)
        watch.ask(self.heard)

    # -- loading, for the first time and after a move

    def _first(self, report: Report) -> Engine | None:
        """When the app starts: a run may be at work already."""
        self._watch.look()
        self._run = self._watch.at_work
        if self._run is not None:
            self._place = place(self._look(self._stack, True))
        return self._load(report)

    def _load(self, report: Report) -> Engine | None:
        if self._place == "parked":
            return None
        return self._put(report, self._place == "cpu")

    # -- giving way and coming back

    def heard(self, found: Sequence[RunStatus]) -> None:
        """Give way to a run that has begun; come back when none is left."""
        if not self.holder.wait(0):
            return  # the first loading decides by itself
        with self._moving:
            self._run = at_work(found)
            wanted = self._wanted()
            if wanted != self._place:
                self._place = wanted
                self._move()
            elif self._failed_to_return():
                self._move()
            self.holder.say(self.said)

    def _wanted(self) -> Place:
        if self._run is None:
            return "home"
        if self._place != "home":
            return self._place
        return place(self._look(self._stack, True))

    def _move(self) -> None:
        self._tried = self._now()
        self.holder.exchange(self._load, _moving(self._place))

    def _failed_to_return(self) -> bool:
        """Whether the last move went wrong and has rested: what a run held may come free late."""
        if self.holder.status.state != "failed" or self._tried is None:
            return False
        return self._now() - self._tried >= AGAIN

    # -- what is said

    @property
    def away(self) -> bool:
        """Whether a run has the GPU and the chat is elsewhere."""
        return self._place != "home"

    @property
    def said(self) -> str:
        """Where the chat is and until when, in a sentence; "" when it is at home."""
        if self._run is None or self._place == "home":
            return ""
        what = "evaluation" if self._run.kind == EVALUATE else "run"
        until = f"until the {what} {self._run.name} ends ({_left(self._run)})"
        if self._place == "parked":
            return (
                f"The models are parked {until}: it needs the GPU. Recorded replies can be read "
                "meanwhile, and what you write now can be sent then."
            )
        return f"The models answer from the processor, more slowly, {until}: it has the GPU."

    def released(self) -> int:
        """Bytes of the GPU that come free when the chat gives way."""
        if self.holder.status.state != "ready" or self.away:
            return 0
        engine = self.holder.engine
        sizes = getattr(engine, "tensor_bytes", {})
        return int(sizes.get("stack", 0)) if engine.device.startswith("cuda") else 0


def _moving(to: Place) -> str:
    return {
        "home": "The GPU is free again: the models come back to the GPU.",
        "cpu": "A run takes the GPU: the models move to the processor.",
        "parked": "A run takes the GPU: the models are being parked.",
    }[to]


def _left(run: RunStatus) -> str:
    """How long the run still takes, for a person."""
    steady = run.kind == EVALUATE or run.phase == "training"
    if run.seconds_left is None or not steady:
        return "how long that takes is not known yet"
    return f"about {clock(run.seconds_left)}"
