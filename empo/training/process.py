"""Who works on a run: a process told by its id, its start and a lock, never by its id alone.

The lock is the kernel's (`flock`): it ends with its holder, however that ends. Before a process has
taken it (Python takes seconds to start), its id together with its time of creation says who it is.
"""

from __future__ import annotations

import fcntl
import os
import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

import psutil


@dataclass(frozen=True, slots=True)
class Identity:
    """A process: its id and when it was created (seconds since the epoch, as the kernel says)."""

    pid: int
    created: float

    @classmethod
    def of(cls, pid: int) -> Identity | None:
        """Of the process `pid`; None where there is none, or it has already ended."""
        try:
            process = psutil.Process(pid)
            if process.status() == psutil.STATUS_ZOMBIE:
                return None
            return cls(pid, process.create_time())
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            return None

    @classmethod
    def mine(cls) -> Identity:
        return cls(os.getpid(), psutil.Process().create_time())

    @classmethod
    def read(cls, raw: Any) -> Identity | None:
        """From what `as_json` gave; None where it is something else."""
        try:
            return cls(int(raw["pid"]), float(raw["created"]))
        except (TypeError, KeyError, ValueError):
            return None

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    def alive(self) -> bool:
        """Whether this very process still runs; another with the same id does not count."""
        now = Identity.of(self.pid)
        return now is not None and abs(now.created - self.created) < 0.05


def take(path: Path, seconds: float = 2.0) -> IO[str] | None:
    """The lock at `path` until the returned file is closed; None where another process has it.

    Tries for `seconds`: a reader that looks whether it is held holds it for a moment itself.
    """
    file = path.open("a", encoding="utf-8")
    end = time.monotonic() + seconds
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return file
        except BlockingIOError:
            if time.monotonic() > end:
                file.close()
                return None
            time.sleep(0.02)


def held(path: Path) -> bool:
    """Whether some process holds the lock at `path`."""
    if not path.is_file():
        return False
    with path.open("r", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


@contextmanager
def in_turn(path: Path) -> Iterator[None]:
    """One process or thread at a time inside; the others wait."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def cap_files(gigabytes: float) -> None:
    """No file that this process writes may grow beyond `gigabytes`."""
    limit = int(gigabytes * 1e9)
    hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit if hard < 0 else min(limit, hard), hard))
