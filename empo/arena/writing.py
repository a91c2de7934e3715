"""What is written into the store, each inside the caller's transaction."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, Row, Table, delete, insert, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from empo.arena.documents import as_json, ratings_document, words_document
from empo.arena.drafts import Draft, token_hash
from empo.arena.pools import pool_document, pool_name
from empo.arena.reading import DANGER, GONE
from empo.arena.schema import BATTLES, OPEN, POOLS, VOTED, VOTES, WORDS
from empo.danger import points_to_danger
from empo.errors import EmpoError
from empo.types import Ballot, Battle, Pool


def own(connection: Connection, token: str, voter: str, lock: bool = False) -> Row[Any]:
    """The battle of `voter` with that token or id, and its pool's document.

    Raises:
        EmpoError: there is none, or it is another voter's.
    """
    row = anybodys(connection, token, lock)
    if row.voter != voter:
        raise EmpoError(GONE)
    return row


def anybodys(connection: Connection, token: str, lock: bool = False) -> Row[Any]:
    """As `own`, whoever's it is."""
    named = or_(BATTLES.c.token == token_hash(token), BATTLES.c.battle == token)
    joined = BATTLES.join(POOLS, BATTLES.c.pool == POOLS.c.id)
    asked = select(*BATTLES.c, POOLS.c.document).select_from(joined).where(named)
    row = connection.execute(asked.with_for_update(of=BATTLES) if lock else asked).first()
    if row is None:
        raise EmpoError(GONE)
    return row


def battle_row(
    connection: Connection, battle: Battle, voter: str, consent: str, opened: float
) -> dict[str, Any]:
    """The columns of an open battle but its token; its pool is entered where it is new."""
    a, b = battle.seats
    return {
        "battle": battle.id,
        "pool": pool_id(connection, battle.pool),
        "voter": voter,
        "model_a": a.model,
        "revision_a": a.revision,
        "model_b": b.model,
        "revision_b": b.revision,
        "item": battle.item,
        "emotion": battle.emotion,
        "consent": consent,
        "state": OPEN,
        "opened": opened,
    }


def pool_id(connection: Connection, pool: Pool) -> int:
    name = pool_name(pool)
    asked = select(POOLS.c.id).where(POOLS.c.name == name)
    if (found := connection.scalar(asked)) is None:
        insert_once(connection, POOLS, {"name": name, "document": pool_document(pool)})
        found = connection.scalar(asked)
    return found


def insert_once(connection: Connection, table: Table, values: Mapping[str, Any]) -> bool:
    """Insert a row unless a unique column of it is there already; whether it was inserted."""
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    wanted = dialect.insert(table).values(values).on_conflict_do_nothing()
    return connection.execute(wanted.returning(*table.primary_key)).first() is not None


def store(connection: Connection, battle_id: int, draft: Draft, ballot: Ballot) -> None:
    """Vote and words, where there is no vote yet; inside the caller's transaction."""
    danger = DANGER in draft.flags or points_to_danger(ballot.reason)
    flags = sorted({*draft.flags, *([DANGER] if danger else [])})
    values = {
        "battle_id": battle_id,
        "outcome": ballot.outcome,
        "length_a": draft.lengths[0],
        "length_b": draft.lengths[1],
        "scores_a": as_json(draft.scores[0]),
        "scores_b": as_json(draft.scores[1]),
        "ratings": ratings_document(ballot),
        "flags": " ".join(flags),
        "at": round(time.time(), 3),
    }
    if not insert_once(connection, VOTES, values):
        return
    connection.execute(update(BATTLES).where(BATTLES.c.id == battle_id).values(state=VOTED))
    # Recorded replies are others' texts and are found by their item; only live words are kept.
    said = draft.transcript if draft.battle.pool.live else None
    if document := words_document(said, ballot.reason):
        connection.execute(insert(WORDS).values(battle_id=battle_id, document=document))


def messages(words: Mapping[str, Any]) -> set[str]:
    """The messages that a person wrote in a battle."""
    rounds = {turn["message"] for turn in words.get("rounds", ())}
    return rounds | {turn["text"] for turn in words.get("context", ()) if turn["role"] == "user"}


def erase(connection: Connection, ids: list[int]) -> int:
    found = connection.execute(delete(WORDS).where(WORDS.c.battle_id.in_(ids))).rowcount
    connection.execute(update(VOTES).where(VOTES.c.battle_id.in_(ids)).values(erased=1))
    return found
