"""The connection to the store of votes: SQLite or PostgreSQL, durable, one writer at a time.

SQLite: rollback journal and `synchronous=FULL` on every connection, so that what was acknowledged
is on the disk; a write-ahead log only from 3.51.3, since earlier versions can corrupt it
(https://sqlite.org/wal.html, “the WAL-reset bug”). PostgreSQL: `synchronous_commit=on`. Erased
words are overwritten in SQLite's file at once; PostgreSQL reuses their space when it vacuums.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError, TimeoutError

from empo.arena.schema import migrate
from empo.errors import Busy, EmpoError, UsageError

PATIENCE: Final = 5.0  # seconds that a write waits for another
_WAL_FROM = (3, 51, 3)
_POSTGRES = ("postgres", "postgresql", "postgresql+psycopg")
_WAITED_LONG = ("database is locked", "lock timeout", "statement timeout", "deadlock detected")
_NO_SPACE = ("disk is full", "disk i/o error", "no space left", "could not extend file")


class Database:
    """Connections to one store; thread-safe. `url` as SQLAlchemy's.

    Raises:
        UsageError: `url` is none that can be used.
        EmpoError: the store cannot be reached, or is newer than this program.
    """

    def __init__(self, url: str) -> None:
        self.url = _checked(url)
        self.engine = _engine(self.url)
        self._writing = threading.Lock()
        with self.write() as connection:
            migrate(connection)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A connection on which everything sees the same state."""
        with _in_plain_words(), self.engine.connect() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """One transaction: committed, and on the disk, when the block ends without an exception.

        Raises:
            Busy: another writer did not finish within `PATIENCE`; nothing was stored.
            EmpoError: the disk is full, or the database is gone; nothing was stored.
        """
        if not self._writing.acquire(timeout=PATIENCE):
            raise Busy(_BUSY)
        try:
            with _in_plain_words(), self.engine.connect() as connection:
                connection = connection.execution_options(empo_begin="BEGIN IMMEDIATE")
                with connection.begin():
                    yield connection
        finally:
            self._writing.release()

    def close(self) -> None:
        self.engine.dispose()


def _checked(url: str) -> URL:
    """`url` with the driver that is installed.

    Raises:
        UsageError: it is no URL, or of another kind of database.
    """
    try:
        found = make_url(url)
    except ArgumentError:
        found = None
    if found is not None and found.drivername in _POSTGRES:
        return found.set(drivername="postgresql+psycopg")
    # In memory each connection would have a store of its own.
    name = found.database if found is not None and found.drivername == "sqlite" else None
    if found is not None and name and ":memory:" not in name:
        return found
    raise UsageError(
        "EMPO_DATABASE_URL is no database that votes can be kept in: give sqlite:///FILE or "
        "postgresql://USER@HOST/NAME."
    )


def _engine(url: URL) -> Engine:
    if url.drivername == "sqlite":
        return _sqlite(url)
    # Set by the server for each session, so that no server's own default weakens it.
    wait = f"{PATIENCE * 1000:.0f}"
    options = f"-c synchronous_commit=on -c lock_timeout={wait} -c statement_timeout=60000"
    return create_engine(
        url,
        pool_pre_ping=True,
        pool_timeout=PATIENCE,
        connect_args={"options": options, "connect_timeout": int(PATIENCE)},
    )


def _sqlite(url: URL) -> Engine:
    path = Path(str(url.database))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise EmpoError(f"The folder of {path.name} cannot be made: {error.strerror}.") from error
    engine = create_engine(url, pool_timeout=PATIENCE, connect_args={"timeout": PATIENCE})
    event.listen(engine, "connect", _durable)
    event.listen(engine, "begin", _begin)
    return engine


def _durable(connection: Any, record: object) -> None:
    """What every SQLite connection is set to."""
    connection.isolation_level = None  # transactions are begun by `_begin`
    wal = sqlite3.sqlite_version_info >= _WAL_FROM
    for pragma in (
        f"journal_mode={'WAL' if wal else 'DELETE'}",
        "synchronous=FULL",
        "mmap_size=0",
        "foreign_keys=ON",
        "secure_delete=ON",
    ):
        connection.execute(f"PRAGMA {pragma}").close()


def _begin(connection: Connection) -> None:
    """A writer takes its lock at once: one that began by reading could not wait for it."""
    connection.exec_driver_sql(connection.get_execution_options().get("empo_begin", "BEGIN"))


_BUSY = "The store of votes is busy: try again in a moment; nothing is stored twice."


@contextmanager
def _in_plain_words() -> Iterator[None]:
    """Database errors as the errors a person may meet."""
    try:
        yield
    except SQLAlchemyError as error:
        said = str(getattr(error, "orig", None) or error).lower()
        if isinstance(error, TimeoutError) or any(words in said for words in _WAITED_LONG):
            raise Busy(_BUSY) from error
        if any(words in said for words in _NO_SPACE):
            raise EmpoError(
                "The disk of the store of votes is full: nothing was stored; free some space and "
                "try again."
            ) from error
        if not isinstance(error, DBAPIError):
            raise
        raise EmpoError(
            f"The store of votes does not answer as it should ({' '.join(said.split())[:200]}): "
            "look at EMPO_DATABASE_URL, then try again; nothing is stored twice."
        ) from error
