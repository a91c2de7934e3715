"""Battles that nobody has voted on yet: what was said in them is here, in memory, and nowhere else.

A battle ends without a trace of its words when its time is over, when its voter opens too many
others, or when the program stops. Times are monotonic: no change of the clock ends one early.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from empo.types import Battle, Transcript

LIFE: Final = 3600.0  # seconds from the last thing that happened in a battle
PER_VOTER: Final = 4  # open battles of one voter; the oldest gives way
IN_ALL: Final = 5_000


def token_hash(token: str) -> str:
    """What is stored of a token: who reads the store cannot vote with it."""
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()


@dataclass(frozen=True, slots=True)
class Draft:
    """An open battle. `transcript` is None while a reply is still being written."""

    battle: Battle
    voter: str
    transcript: Transcript | None = None
    lengths: tuple[int, int] = (0, 0)
    scores: tuple[Mapping[str, float], Mapping[str, float]] = field(default=({}, {}))
    flags: tuple[str, ...] = ()


class Drafts:
    """Open battles by the hash of their token; thread-safe."""

    def __init__(self, life: float = LIFE, clock: Callable[[], float] = time.monotonic) -> None:
        self._life, self._clock = life, clock
        self._drafts: dict[str, tuple[float, Draft]] = {}  # in the order of their ends
        self._lock = threading.Lock()

    def __len__(self) -> int:
        with self._lock:
            self._forget()
            return len(self._drafts)

    def put(self, key: str, draft: Draft) -> None:
        """Add `draft`, or renew the one with that key."""
        with self._lock:
            self._forget()
            self._drafts.pop(key, None)
            mine = [k for k, (_, other) in self._drafts.items() if other.voter == draft.voter]
            for old in mine[: max(0, len(mine) + 1 - PER_VOTER)]:
                del self._drafts[old]
            while len(self._drafts) >= IN_ALL:
                del self._drafts[next(iter(self._drafts))]
            self._drafts[key] = (self._clock() + self._life, draft)

    def get(self, key: str, voter: str) -> Draft | None:
        """The open battle of this voter with that key, if its time is not over."""
        with self._lock:
            self._forget()
            _, draft = self._drafts.get(key, (0.0, None))
        return draft if draft is not None and draft.voter == voter else None

    def change(self, key: str, draft: Draft, **values: object) -> None:
        self.put(key, replace(draft, **values))

    def drop(self, key: str) -> None:
        with self._lock:
            self._drafts.pop(key, None)

    def _forget(self) -> None:
        now = self._clock()
        while self._drafts and next(iter(self._drafts.values()))[0] <= now:
            del self._drafts[next(iter(self._drafts))]
