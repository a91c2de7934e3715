"""Who votes, without saying who: names of voters, and how often one of them may play.

A voter is `signed:HASH` (of the name they signed in with) or `anon:HASH` (of whatever tells
visitors apart: a cookie, an address), keyed with a secret of this server. What was hashed is kept
nowhere, and exports can be published.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import threading
import time
from pathlib import Path
from typing import Final

from limits import RateLimitItem, parse
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from empo.errors import Busy, EmpoError

KEY_FILE: Final = "voter.key"
_KEY_BYTES = 32
_SIGNED, _ANONYMOUS = "signed:", "anon:"
JUMP: Final = 5.0  # seconds that the clock may drift from the monotonic one unnoticed


class Voters:
    """Names of voters, keyed with the secret in the folder `home` (made there, mode 0600).

    Raises:
        EmpoError: the secret cannot be made or read.
    """

    def __init__(self, home: Path) -> None:
        self._key = server_key(home)

    def anonymous(self, mark: str) -> str:
        """The voter behind `mark`, which itself is stored nowhere."""
        return f"{_ANONYMOUS}{self._hash('anon', mark)}"

    def signed_in(self, user: str) -> str:
        """The voter who is signed in as `user`."""
        return f"{_SIGNED}{self._hash('user', user)}"

    def _hash(self, kind: str, mark: str) -> str:
        text = f"{kind}\0{mark}".encode("utf-8", "surrogatepass")
        return hmac.new(self._key, text, hashlib.sha256).hexdigest()[:32]


def is_signed_in(voter: str) -> bool:
    """Whether a voter of the store was signed in."""
    return voter.startswith(_SIGNED)


def server_key(home: Path) -> bytes:
    """The secret of this server: 32 bytes in a file that only its owner can read.

    Raises:
        EmpoError: it cannot be made or read.
    """
    path = home / KEY_FILE
    try:
        home.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            _make_key(path)
        if path.stat().st_mode & 0o077:
            path.chmod(0o600)
        key = bytes.fromhex(path.read_text("ascii").strip())
    except (OSError, ValueError) as error:
        raise EmpoError(f"The key of the voters, {path.name}, cannot be used: {error}.") from error
    if len(key) < _KEY_BYTES:
        raise EmpoError(f"The key of the voters, {path.name}, is damaged: put back the old one.")
    return key


def _make_key(path: Path) -> None:
    """Written beside and linked: whole or not there, and of two processes one wins."""
    beside = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(secrets.token_hex(_KEY_BYTES))
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(beside, path)
        except FileExistsError:
            return
    finally:
        beside.unlink()


class Caps:
    """How many battles one voter may open in a while, and how many votes they may cast in a day.

    Thread-safe. Windows move, so that no midnight doubles what is allowed. Battles are counted in
    memory; votes by the store, which remembers them over a restart.
    """

    def __init__(
        self, battles: tuple[str, ...] = ("20/minute", "400/day"), votes_a_day: int = 150
    ) -> None:
        self.votes_a_day = votes_a_day
        self._limits: tuple[RateLimitItem, ...] = tuple(map(parse, battles))
        self._storage = MemoryStorage()
        self._window = MovingWindowRateLimiter(self._storage)
        self._lock = threading.Lock()
        self._offset = time.time() - time.monotonic()

    def open_battle(self, voter: str) -> None:
        """Count one more battle of `voter`.

        Raises:
            Busy: they have opened as many as they may.
        """
        with self._lock:
            self._mind_the_clock()
            for limit in self._limits:
                if not self._window.test(limit, voter):
                    raise Busy(
                        f"You have started {limit.amount} battles within one "
                        f"{limit.GRANULARITY.name}: take a little time, then go on."
                    )
            for limit in self._limits:
                self._window.hit(limit, voter)

    def vote_again(self, votes: int) -> None:
        """Whether a voter with that many `votes` in the last 24 hours may go on.

        Raises:
            Busy: they have voted as often as they may.
        """
        if votes >= self.votes_a_day:
            raise Busy(
                f"You have voted {votes} times in 24 hours, as often as one person may: thank "
                "you, and come back tomorrow."
            )

    def _mind_the_clock(self) -> None:
        """Start anew when the clock was set: the windows are in wall time."""
        offset = time.time() - time.monotonic()
        if abs(offset - self._offset) > JUMP:
            self._storage.reset()
            self._offset = offset
