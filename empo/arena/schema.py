"""The tables of the arena, and how an older file becomes a newer one.

The tables below are the newest version's. Each version after the first is a function in `STEPS`,
which changes what is there and loses nothing; a store is brought forward when it is opened, in one
transaction.
"""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import (
    Column,
    Connection,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    func,
    insert,
    inspect,
    select,
    text,
    update,
)

from empo.errors import EmpoError

METADATA = MetaData()
OPEN, VOTED, WITHDRAWN = "open", "voted", "withdrawn"

VERSION = Table("version", METADATA, Column("number", Integer, nullable=False))

POOLS = Table(
    "pools",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("document", Text, nullable=False),  # JSON
)

# No words: those of an unvoted battle are in memory only.
BATTLES = Table(
    "battles",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("battle", Text, nullable=False, unique=True),
    Column("token", Text, nullable=False, unique=True),  # SHA-256 of it
    Column("pool", Integer, ForeignKey("pools.id"), nullable=False),
    Column("voter", Text, nullable=False),
    Column("model_a", Text, nullable=False),
    Column("revision_a", Text, nullable=False),
    Column("model_b", Text, nullable=False),
    Column("revision_b", Text, nullable=False),
    Column("item", Text),
    Column("emotion", Text),
    Column("consent", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("opened", Float, nullable=False),  # seconds since 1970, to be read by people only
    Index("battles_by_voter", "voter"),
    Index("battles_by_item", "item"),
    sqlite_autoincrement=True,
)

VOTES = Table(
    "votes",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("battle_id", Integer, ForeignKey("battles.id"), nullable=False, unique=True),
    Column("outcome", Text, nullable=False),
    Column("length_a", Integer),
    Column("length_b", Integer),
    Column("scores_a", Text, nullable=False),  # JSON: name → number
    Column("scores_b", Text, nullable=False),
    Column("ratings", Text, nullable=False),  # JSON: {"a": …, "b": …}
    Column("flags", Text, nullable=False),  # names with a space between
    Column("at", Float, nullable=False),
    Column("erased", Integer, nullable=False, server_default="0"),
    sqlite_autoincrement=True,
)

# What was said, as one JSON document in ASCII: any text at all comes back as it was.
WORDS = Table(
    "words",
    METADATA,
    Column("battle_id", Integer, ForeignKey("battles.id"), primary_key=True),
    Column("document", Text, nullable=False),
)


def _erased(connection: Connection) -> None:
    """Version 2: a vote remembers that its words were erased: no import brings them back."""
    connection.execute(text("ALTER TABLE votes ADD COLUMN erased INTEGER NOT NULL DEFAULT 0"))


# STEPS[i] leads from version i + 1 to i + 2.
STEPS: tuple[Callable[[Connection], None], ...] = (_erased,)
NEWEST = len(STEPS) + 1


def migrate(connection: Connection) -> None:
    """Bring the store to `NEWEST`, inside the caller's transaction.

    Raises:
        EmpoError: the store was made by a newer version of the project.
    """
    if connection.dialect.name == "postgresql":
        # Two processes may start at once: one waits here for the other.
        connection.execute(select(func.pg_advisory_xact_lock(5_064_000)))
    known = inspect(connection).has_table(VERSION.name)
    number = connection.scalar(select(VERSION.c.number)) if known else 0
    if number > NEWEST:
        raise EmpoError(
            f"The store of votes has version {number}, but this program knows versions up to "
            f"{NEWEST} only: update the program, or set EMPO_DATABASE_URL to another store."
        )
    if not number:
        METADATA.create_all(connection)
        connection.execute(insert(VERSION).values(number=NEWEST))
        return
    for step in STEPS[number - 1 :]:
        step(connection)
    connection.execute(update(VERSION).values(number=NEWEST))
