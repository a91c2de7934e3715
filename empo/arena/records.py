"""Stored votes as rows that go out of the store and come back: one flat mapping a vote.

Words that point to danger, and what was erased, never go out. Rows come in the order of the votes;
a row that is here already is left as it is, so that the same file twice changes nothing.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import islice
from typing import Annotated, Any, Final, Literal, NamedTuple

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError
from sqlalchemy import Connection, Row, insert, select

from empo.arena.database import Database
from empo.arena.documents import (
    as_json,
    checked_ballot,
    checked_transcript,
    ratings_document,
    texts_of,
    words_document,
)
from empo.arena.drafts import token_hash
from empo.arena.pools import pool_name
from empo.arena.reading import DANGER, model_names, pages, seats_of, voted
from empo.arena.schema import BATTLES, POOLS, VOTED, VOTES, WORDS
from empo.arena.writing import battle_row
from empo.danger import points_to_danger
from empo.errors import DataError, UsageError
from empo.types import Ballot, Battle, Outcome, Pool, Rating, Round, Seat, Transcript, Turn

# In this order in every file.
COLUMNS: Final = (
    *("battle", "pool", "model_a", "revision_a", "model_b", "revision_b", "outcome", "voter"),
    *("item", "emotion", "length_a", "length_b", "scores_a", "scores_b", "ratings", "flags"),
    *("consent", "at", "erased", "conditions", "reason", "context", "rounds"),
)
_AT_ONCE = 500


class Added(NamedTuple):
    """What became of imported rows: new here, here already, closed here without a vote."""

    new: int
    known: int
    closed: int


def rows(database: Database, pool: Pool | None = None) -> Iterator[dict[str, Any]]:
    """Every vote as a mapping with the keys `COLUMNS`, oldest first.

    Models are named as in the ratings: `name@revision` where a pool has several of one name.
    """
    with database.read() as connection:
        names = model_names(connection)
    stored = (column for column in VOTES.c if column.name not in ("id", "battle_id"))
    battle = (column for column in BATTLES.c if column.name not in ("id", "token"))
    pools = (POOLS.c.document, POOLS.c.name.label("pool_name"))
    columns = (*battle, *stored, *pools, WORDS.c.document.label("words"))
    asked = voted(VOTES.c.id.label("vote_id"), *columns)
    asked = asked.outerjoin(WORDS, WORDS.c.battle_id == VOTES.c.battle_id)
    if pool is not None:
        asked = asked.where(POOLS.c.name == pool_name(pool))
    for row in pages(database, asked):
        yield _row(row, names)


def _row(row: Row[Any], names: Mapping[tuple[int, Seat], str]) -> dict[str, Any]:
    a, b = seats_of(row)
    words = json.loads(row.words) if row.words else {}
    flags = set(row.flags.split())
    if DANGER in flags or any(map(points_to_danger, texts_of(words))):
        # By today's list as well as by the one of the day of the vote.
        flags, words = {*flags, DANGER}, {}
    found = {
        **{name: getattr(row, name) for name in COLUMNS[:16] if hasattr(row, name)},
        "model_a": names[row.pool, a],
        "model_b": names[row.pool, b],
        "pool": row.pool_name,
        "scores_a": json.loads(row.scores_a),
        "scores_b": json.loads(row.scores_b),
        "ratings": json.loads(row.ratings),
        "flags": " ".join(sorted(flags)),
        "consent": row.consent,
        "at": datetime.fromtimestamp(row.at, UTC).isoformat(timespec="milliseconds"),
        "erased": bool(row.erased),
        "conditions": json.loads(row.document),
        "reason": words.get("reason", ""),
        "context": words.get("context", []),
        "rounds": words.get("rounds", []),
    }
    return {name: found[name] for name in COLUMNS}


# PostgreSQL takes no NUL; in words it is part of their JSON.
_Short = Annotated[str, Field(max_length=200, pattern=r"^[^\x00]*$")]
_Name = Annotated[_Short, Field(min_length=1)]
_Count = Annotated[int, Field(ge=0, lt=2**31)]
_Numbers = dict[_Name, Annotated[float, Field(allow_inf_nan=False)]]


class _Imported(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    battle: _Name
    pool: _Name
    model_a: _Name
    revision_a: _Short
    model_b: _Name
    revision_b: _Short
    outcome: Outcome
    voter: _Name
    item: _Name | None
    emotion: _Name | None
    length_a: _Count | None
    length_b: _Count | None
    scores_a: _Numbers
    scores_b: _Numbers
    ratings: dict[Literal["a", "b"], Rating]
    flags: Annotated[str, Field(pattern=r"^([a-z_]+( [a-z_]+)*)?$", max_length=200)]
    consent: _Short
    at: AwareDatetime
    erased: bool
    conditions: Pool
    reason: str
    context: tuple[Turn, ...]
    rounds: tuple[Round, ...]

    def seat(self, side: Literal["a", "b"]) -> Seat:
        """The model's name without the revision that the export may have put behind it."""
        name, revision = getattr(self, f"model_{side}"), getattr(self, f"revision_{side}")
        return Seat(name.removesuffix(f"@{revision or '-'}"), revision)

    @property
    def key(self) -> tuple[Any, ...]:
        """What has to be the same in two rows of one battle."""
        return self.battle, self.voter, self.seat("a"), self.seat("b"), self.outcome


def add_rows(connection: Connection, given: Iterable[tuple[int, Any]], source: str) -> Added:
    """Store rows (number, mapping) as `rows` gives them, inside the caller's transaction.

    Raises:
        DataError: a row is no vote, or contradicts one of the same battle; names row and field.
    """
    total = Added(0, 0, 0)
    given = iter(given)
    while some := list(islice(given, _AT_ONCE)):
        checked = [(number, _checked(row, f"{source}, row {number}")) for number, row in some]
        fresh, added = _fresh(connection, checked, source)
        _insert(connection, fresh)
        total = Added(*map(sum, zip(total, added, strict=True)))
    return total


def _checked(row: Any, where: str) -> _Imported:
    try:
        found = _Imported.model_validate(row)
        checked_ballot(_ballot(found))
        if found.rounds:
            checked_transcript(Transcript(found.rounds, found.context))
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or "the row"
        raise DataError(f"{where}: {field}: {first['msg']}.") from error
    except UsageError as error:
        raise DataError(f"{where}: {error}") from error
    if found.pool != pool_name(found.conditions):
        raise DataError(f"{where}: pool and conditions do not fit together: one was changed.")
    if found.seat("a") == found.seat("b"):
        raise DataError(f"{where}: “{found.model_a[:60]}” cannot meet itself in a battle.")
    return found


def _ballot(row: _Imported) -> Ballot:
    return Ballot(row.outcome, row.ratings.get("a"), row.ratings.get("b"), row.reason)


def _fresh(
    connection: Connection, checked: Sequence[tuple[int, _Imported]], source: str
) -> tuple[list[_Imported], Added]:
    """The rows whose battles are not here yet; the others are compared with what is here."""
    known = _known(connection, [row.battle for _, row in checked])
    fresh: list[_Imported] = []
    closed = 0
    for number, row in checked:
        if row.battle not in known:
            known[row.battle] = row.key
            fresh.append(row)
        elif known[row.battle] is None:
            closed += 1
        elif known[row.battle] != row.key:
            raise DataError(
                f"{source}, row {number}: the battle “{row.battle[:60]}” has another vote here, "
                "or earlier in the file; keep one of the two."
            )
    return fresh, Added(len(fresh), len(checked) - len(fresh) - closed, closed)


def _known(connection: Connection, battles: Sequence[str]) -> dict[str, tuple[Any, ...] | None]:
    """Those of `battles` that are here → their `key`, None where there is no vote (any more)."""
    joined = BATTLES.outerjoin(VOTES, VOTES.c.battle_id == BATTLES.c.id)
    asked = select(*BATTLES.c, VOTES.c.outcome).select_from(joined)
    return {
        row.battle: (row.battle, row.voter, *seats_of(row), row.outcome) if row.outcome else None
        for row in connection.execute(asked.where(BATTLES.c.battle.in_(battles)))
    }


def _insert(connection: Connection, fresh: Sequence[_Imported]) -> None:
    """Battles, votes and words, in the order given."""
    if not fresh:
        return
    connection.execute(insert(BATTLES), [_battle(connection, row) for row in fresh])
    asked = select(BATTLES.c.battle, BATTLES.c.id)
    asked = asked.where(BATTLES.c.battle.in_([row.battle for row in fresh]))
    ids = dict(connection.execute(asked).all())
    connection.execute(insert(VOTES), [_vote(ids[row.battle], row) for row in fresh])
    said = ((row, words_document(_transcript(row), row.reason)) for row in fresh)
    if words := [{"battle_id": ids[row.battle], "document": text} for row, text in said if text]:
        connection.execute(insert(WORDS), words)


def _battle(connection: Connection, row: _Imported) -> dict[str, Any]:
    seats = (row.seat("a"), row.seat("b"))
    battle = Battle(row.battle, row.conditions, seats, row.item, row.emotion)
    values = battle_row(connection, battle, row.voter, row.consent, row.at.timestamp())
    # Nobody has this token.
    return values | {"state": VOTED, "token": token_hash(secrets.token_urlsafe(32))}


def _vote(battle_id: int, row: _Imported) -> dict[str, Any]:
    same = {name: getattr(row, name) for name in ("outcome", "length_a", "length_b", "flags")}
    return same | {
        "battle_id": battle_id,
        "scores_a": as_json(row.scores_a),
        "scores_b": as_json(row.scores_b),
        "ratings": ratings_document(_ballot(row)),
        "at": round(row.at.timestamp(), 3),
        "erased": int(row.erased),
    }


def _transcript(row: _Imported) -> Transcript | None:
    return checked_transcript(Transcript(row.rounds, row.context)) if row.rounds else None
