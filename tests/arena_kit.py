"""What the tests of the arena share: engines whose models differ in speed, and a clock to turn."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import event

from empo.arena.store import Store
from empo.models.engine import Engine, Row, Step
from empo.models.stacks import Source, Stack
from empo.settings import settings
from empo.types import ModelSpec, Quantisation, Reply
from empo.ui.arena import ArenaHandlers
from empo.ui.control import Running
from empo.ui.services import EngineHolder, Services
from empo.ui.waiting import Line

# No word that is in the page anyway.
SLOW, QUICK, THIRD = "canary-tortoise", "canary-hare", "canary-heron"
HASHES = {SLOW: "feedc0de", QUICK: "0ddba11c", THIRD: "decafbad"}


def canary_stack(names: Sequence[str] = (SLOW, QUICK)) -> Stack:
    """A stack whose names, labels and paths are found nowhere else."""
    models = tuple(
        ModelSpec(n, f"Label {n}", f"plain {n}", "base", note=f"note {n}") for n in names
    )
    return Stack("canary-stack", "Title canary-stack", Source("/canary/base"), {}, models, "none")


class Turnable:
    """A clock that goes on only when somebody waits."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@dataclass
class Paced:
    """Every model says `text`, or what `said` holds of it, at a speed of its own.

    `speeds`: characters a second by model. One step is one moment at which somebody's next
    characters are there; `log` keeps (time, model, text so far) of the last batch.
    """

    stack: Stack
    speeds: Mapping[str, float]
    clock: Any
    sleep: Any
    text: str = "I am sorry. How are you now?"
    said: Mapping[str, str] = field(default_factory=dict)
    fails: Mapping[str, Exception] = field(default_factory=dict)
    quantisation: Quantisation = "none"
    device: str = "canary-device"
    log: list[tuple[float, str, str]] = field(default_factory=list)
    running: int = 0
    asked: list[Row] = field(default_factory=list)

    def stream(self, rows: Sequence[Row], cancel: threading.Event | None = None) -> Iterator[Step]:
        start = self.clock()
        self.log.clear()
        self.asked.extend(rows)
        self.running += 1
        try:
            for at, row, size in self._moments(rows):
                self.sleep(max(0.0, start + at - self.clock()))
                if cancel is not None and cancel.is_set():
                    return
                yield self._step(rows[row], row, size, start)
            for row in rows:
                if row.model in self.fails:
                    raise self.fails[row.model]
        finally:
            self.running -= 1

    def _moments(self, rows: Sequence[Row]) -> list[tuple[float, int, int]]:
        found = []
        for number, row in enumerate(rows):
            chunk, speed = 4, self.speeds[row.model]
            whole = len(self._words(row))
            sizes = [*range(chunk, whole, chunk), whole]
            found += [(size / speed, number, size) for size in sizes]
        return sorted(found)

    def _words(self, row: Row) -> str:
        text = self.said.get(row.model, self.text)
        return text * 4 if row.messages[-1].text.startswith("long") else text

    def _step(self, row: Row, number: int, size: int, start: float) -> Step:
        words, now = self._words(row), self.clock()
        self.log.append((now - start, row.model, words[:size]))
        ended = {}
        if size >= len(words):
            ended[number] = Reply(row.model, words, size, now - start, 0.1, "end")
        return Step({number: words[max(0, size - 4) : size]}, ended)

    def waiting(self) -> int:
        return self.running

    def close(self) -> None:
        """Nothing to let go of."""


def services(engine: Engine, replies: Path, limit: int = 8) -> Services:
    """Services around an engine that is ready; no scorer."""
    holder = EngineHolder(lambda report: engine)
    holder.load_here()
    return Services(engine.stack, holder, settings(), Line(limit), Running(), replies, dict(HASHES))


def quick_store(folder: Path) -> Store:
    """A store that does not wait for the disk: durability has its own tests."""
    store = Store(f"sqlite:///{folder / 'arena.sqlite3'}")
    event.listen(store.database.engine, "connect", _careless)
    store.database.engine.dispose()
    return store


def _careless(connection: Any, record: object) -> None:
    connection.execute("PRAGMA synchronous=OFF").close()
    connection.execute("PRAGMA journal_mode=MEMORY").close()


def arena(
    engine: Engine, folder: Path, seed: int = 0, kind: type[ArenaHandlers] = ArenaHandlers
) -> ArenaHandlers:
    """Handlers on a store of their own, with seeded draws and the engine's clock."""
    store = quick_store(folder)
    clock, sleep = getattr(engine, "clock", None), getattr(engine, "sleep", None)
    more = {"clock": clock, "sleep": sleep} if clock else {}
    return kind(services(engine, folder), lambda: store, random.Random(seed), **more)
