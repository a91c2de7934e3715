"""What can be asked of the store: votes for the ratings, counts for matchmaking, how others voted.

Everything is in the order of row ids, which no clock can disturb. Votes with the flag `identity`
take no part in rankings, counts and what others see.
"""

from __future__ import annotations

import json
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, Row, Select, func, select

from empo.arena.database import Database
from empo.arena.documents import OUTCOMES, ballot_from
from empo.arena.pools import pool_from, pool_name
from empo.arena.schema import BATTLES, POOLS, VOTED, VOTES, WITHDRAWN, WORDS
from empo.arena.voters import is_signed_in
from empo.errors import EmpoError
from empo.types import Ballot, Battle, Others, Pool, Reveal, Seat

FROM_VOTERS: Final = 5  # before that many have judged, nobody sees how others did
GONE: Final = "This battle is not open to you, or its time is over: start a new one."
UNCHANGED: Final = "You have voted on this battle: a vote can be withdrawn, not changed."
IDENTITY, DANGER = "identity", "danger"
_SEATS = ("model_a", "revision_a", "model_b", "revision_b")
_PAGE = 5_000
_MIRROR = {"a": "b", "b": "a"}


class Judged(NamedTuple):
    """What voters judged together: an item and two seats, the lower first."""

    item: str
    first: Seat
    second: Seat


def voted(*columns: Any) -> Select[Any]:
    """`columns` of battles with their votes and pools, in the order of the votes."""
    joined = VOTES.join(BATTLES, VOTES.c.battle_id == BATTLES.c.id)
    joined = joined.join(POOLS, BATTLES.c.pool == POOLS.c.id)
    return select(*columns).select_from(joined).order_by(VOTES.c.id)


def seats_of(row: Row[Any]) -> tuple[Seat, Seat]:
    return Seat(row.model_a, row.revision_a), Seat(row.model_b, row.revision_b)


def battle_from(row: Row[Any]) -> Battle:
    """The battle of a row that has all columns of battles, and the pool's document."""
    return Battle(row.battle, pool_from(row.document), seats_of(row), row.item, row.emotion)


def is_counted(flags: str) -> bool:
    """Whether a vote with these flags takes part in a ranking."""
    return IDENTITY not in flags.split()


def words_of(connection: Connection, battle_id: int) -> dict[str, Any]:
    """The stored words of a battle; empty where there are none."""
    found = connection.scalar(select(WORDS.c.document).where(WORDS.c.battle_id == battle_id))
    return json.loads(found) if found else {}


def pool_sizes(connection: Connection) -> dict[Pool, int]:
    """Pool → number of its votes, those that do not count among them; first pool first."""
    sizes = Counter(connection.scalars(voted(BATTLES.c.pool)))
    rows = connection.execute(select(POOLS.c.id, POOLS.c.document).order_by(POOLS.c.id))
    return {pool_from(row.document): sizes[row.id] for row in rows}


def votes_since(connection: Connection, voter: str, since: float) -> int:
    """How many votes `voter` has cast since then, as the clock says; none of the future's."""
    asked = select(func.count()).select_from(VOTES.join(BATTLES, VOTES.c.battle_id == BATTLES.c.id))
    asked = asked.where(BATTLES.c.voter == voter, VOTES.c.at.between(since, time.time()))
    return connection.scalar(asked) or 0


def pages(database: Database, asked: Select[Any]) -> Iterator[Row[Any]]:
    """The rows of `asked`, which has the column `vote_id`, a page and a connection at a time.

    A long look would keep writers waiting.
    """
    last = 0
    while True:
        with database.read() as connection:
            page = connection.execute(asked.where(VOTES.c.id > last).limit(_PAGE)).all()
        yield from page
        if len(page) < _PAGE:
            return
        last = page[-1].vote_id


def vote_rows(
    database: Database, pool: Pool | None = None, voter: str | None = None
) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """(row id, vote) as `arena.votes.collect` takes it, for votes that count.

    A model that a pool has in several revisions is `name@revision`: two models, not one.
    """
    with database.read() as connection:
        names = model_names(connection)
    battle = (BATTLES.c[name] for name in (*_SEATS, "battle", "pool", "voter", "item", "emotion"))
    vote = (VOTES.c[f"{name}_{side}"] for name in ("length", "scores") for side in ("a", "b"))
    columns = (*battle, *vote, VOTES.c.outcome, VOTES.c.flags, POOLS.c.name.label("pool_name"))
    asked = voted(VOTES.c.id.label("vote_id"), *columns)
    if pool is not None:
        asked = asked.where(POOLS.c.name == pool_name(pool))
    if voter is not None:
        asked = asked.where(BATTLES.c.voter == voter)
    for row in pages(database, asked):
        if is_counted(row.flags):
            yield row.vote_id, _vote(row, names)


def _vote(row: Row[Any], names: Mapping[tuple[int, Seat], str]) -> dict[str, Any]:
    a, b = seats_of(row)
    found = {
        "battle": row.battle,
        "model_a": names[row.pool, a],
        "model_b": names[row.pool, b],
        "outcome": row.outcome,
        "voter": row.voter,
        "pool": row.pool_name,
        "item": row.item,
        "emotion": row.emotion,
        "length_a": row.length_a,
        "length_b": row.length_b,
    }
    scores = json.loads(row.scores_a), json.loads(row.scores_b)
    if any(scores):
        found |= {"scores_a": scores[0], "scores_b": scores[1]}
    return found


def model_names(connection: Connection) -> dict[tuple[int, Seat], str]:
    """(pool's id, seat) → how the model is called among the votes of that pool."""
    known: dict[tuple[int, str], set[Seat]] = defaultdict(set)
    for side in ("a", "b"):
        model, revision = BATTLES.c[f"model_{side}"], BATTLES.c[f"revision_{side}"]
        asked = voted(BATTLES.c.pool, model, revision).order_by(None).distinct()
        for pool, name, short in connection.execute(asked):
            known[pool, name].add(Seat(name, short))
    return {
        (pool, seat): seat.model if len(seats) == 1 else f"{seat.model}@{seat.revision or '-'}"
        for (pool, _), seats in known.items()
        for seat in seats
    }


def pair_counts(connection: Connection, pool: Pool) -> dict[tuple[Seat, Seat], int]:
    """(seat, seat), the lower first → number of votes between the two that count."""
    columns = [BATTLES.c[name] for name in _SEATS]
    asked = voted(*columns, VOTES.c.flags, func.count().label("votes"))
    asked = asked.where(POOLS.c.name == pool_name(pool)).order_by(None)
    counts: Counter[tuple[Seat, Seat]] = Counter()
    for row in connection.execute(asked.group_by(*columns, VOTES.c.flags)):
        if is_counted(row.flags):
            first, second = sorted(seats_of(row), key=_order)
            counts[first, second] += row.votes
    return dict(counts)


def judged(connection: Connection, pool: Pool) -> dict[Judged, frozenset[str]]:
    """Item and pair → the voters who have judged it, for battles with an item."""
    found: dict[Judged, set[str]] = defaultdict(set)
    for row in connection.execute(_in_pool(pool).where(BATTLES.c.item.is_not(None))):
        found[Judged(row.item, *sorted(seats_of(row), key=_order))].add(row.voter)
    return {key: frozenset(voters) for key, voters in found.items()}


def _in_pool(pool: Pool) -> Select[Any]:
    columns = (BATTLES.c[name] for name in (*_SEATS, "item", "voter"))
    return voted(*columns, VOTES.c.flags, VOTES.c.outcome).where(POOLS.c.name == pool_name(pool))


def _order(seat: Seat) -> tuple[str, str]:
    return seat.model, seat.revision


def others(connection: Connection, battle: Battle) -> Others | None:
    """How everybody judged what `battle` shows; None without an item or before `FROM_VOTERS`.

    A voter who judged it several times counts once, as they did first.
    """
    if battle.item is None:
        return None
    first: dict[str, str] = {}
    for row in connection.execute(_in_pool(battle.pool).where(BATTLES.c.item == battle.item)):
        seats = seats_of(row)
        if is_counted(row.flags) and sorted(seats, key=_order) == sorted(battle.seats, key=_order):
            same = seats == battle.seats
            outcome = row.outcome if same else _MIRROR.get(row.outcome, row.outcome)
            first.setdefault(row.voter, outcome)
    if len(first) < FROM_VOTERS:
        return None
    counts = Counter(first.values())
    return Others(len(first), {outcome: counts[outcome] for outcome in OUTCOMES})


def reveal(connection: Connection, row: Row[Any], ballot: Ballot | None = None) -> Reveal:
    """What the vote on the battle in `row` revealed.

    Raises:
        EmpoError: there is no vote, or it was another than `ballot`.
    """
    vote = connection.execute(select(VOTES).where(VOTES.c.battle_id == row.id)).first()
    if row.state != VOTED or vote is None:
        raise EmpoError(GONE)
    stored = ballot_from(vote.outcome, vote.ratings, words_of(connection, row.id))
    if ballot is not None and stored != (replace(ballot, reason="") if vote.erased else ballot):
        raise EmpoError(UNCHANGED)
    battle = battle_from(row)
    return Reveal(battle, stored, tuple(vote.flags.split()), others(connection, battle))


def stats(connection: Connection) -> list[dict[str, Any]]:
    """For each pool: what it is, how many battles were opened, and what became of them."""
    found = []
    for pool_id, document in connection.execute(
        select(POOLS.c.id, POOLS.c.document).order_by(POOLS.c.id)
    ).all():
        mine = BATTLES.c.pool == pool_id
        states = select(BATTLES.c.state, func.count()).where(mine).group_by(BATTLES.c.state)
        by_state = dict(connection.execute(states).all())
        asked = voted(VOTES.c.flags, VOTES.c.erased, BATTLES.c.voter).where(mine)
        votes = connection.execute(asked.order_by(None)).all()
        voters = {row.voter for row in votes}
        found.append(
            {
                "pool": pool_name(pool_from(document)),
                **json.loads(document),
                "battles": sum(by_state.values()),
                "votes": len(votes),
                "counted": sum(is_counted(row.flags) for row in votes),
                "danger": sum(DANGER in row.flags.split() for row in votes),
                "erased": sum(row.erased for row in votes),
                "withdrawn": by_state.get(WITHDRAWN, 0),
                "voters": len(voters),
                "signed_in": sum(map(is_signed_in, voters)),
            }
        )
    return found
