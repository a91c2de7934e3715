"""The store of battles and votes.

    store = open_store(settings())
    battle, token = store.open_battle(voter, pool, seats, consent="1")
    store.finish(token, voter, transcript, scores)     # after each round that both answered
    reveal = store.vote(token, voter, Ballot("a"))     # one transaction; then the names
    store.votes(pool)                                  # for the ratings

An open battle's words are in memory; the vote puts them, with everything else, into the store in
one transaction. A token is good for one battle, one voter, one vote. All methods are thread-safe
and may wait for the database: call them from worker threads.
"""

from __future__ import annotations

import secrets
import time
import uuid
from collections.abc import Iterator
from functools import partial
from typing import Any

from sqlalchemy import delete, insert, select, update

from empo.arena import reading, records, writing
from empo.arena.database import Database
from empo.arena.documents import (
    checked_ballot,
    checked_transcript,
    score_numbers,
    word_count,
)
from empo.arena.drafts import Draft, Drafts, token_hash
from empo.arena.identity import names_itself
from empo.arena.reading import DANGER, GONE, IDENTITY, Judged
from empo.arena.schema import BATTLES, OPEN, VOTED, VOTES, WITHDRAWN, WORDS
from empo.arena.voters import Caps
from empo.arena.votes import Votes, collect
from empo.arena.writing import own
from empo.danger import points_to_danger
from empo.errors import EmpoError, UsageError
from empo.settings import Settings
from empo.types import Ballot, Battle, Pool, Reveal, Scores, Seat, Transcript

_DAY = 86_400.0  # seconds
_UNFINISHED = "Both replies have to be complete before you vote: wait a moment."


class Store:
    """Battles and votes in the database at `url`; without `caps` anybody may play without end.

    Raises:
        EmpoError: as `Database`; every method also as `Database.write`.
    """

    def __init__(self, url: str, drafts: Drafts | None = None, caps: Caps | None = None) -> None:
        self.database = Database(url)
        self.drafts = drafts if drafts is not None else Drafts()
        self.caps = caps

    def close(self) -> None:
        self.database.close()

    # What a voter does, in this order.

    def open_battle(
        self,
        voter: str,
        pool: Pool,
        seats: tuple[Seat, Seat],
        item: str | None = None,
        emotion: str | None = None,
        consent: str = "",
    ) -> tuple[Battle, str]:
        """A new battle, `seats` left and right, and its token, which only `voter` can use.

        `consent`: the version of what the voter was told before they sent anything.

        Raises:
            UsageError: a model is to meet itself.
            Busy: the voter has played as much as they may.
        """
        if seats[0] == seats[1]:
            raise UsageError(f"“{seats[0].model}” cannot meet itself in a battle.")
        battle = Battle(uuid.uuid4().hex, pool, seats, item, emotion)
        token = secrets.token_urlsafe(32)
        if self.caps:
            self.caps.open_battle(voter)
        with self.database.write() as connection:
            if self.caps:
                self.caps.vote_again(reading.votes_since(connection, voter, time.time() - _DAY))
            row = writing.battle_row(connection, battle, voter, consent, time.time())
            connection.execute(insert(BATTLES).values(row | {"token": token_hash(token)}))
        self.drafts.put(token_hash(token), Draft(battle, voter))
        return battle, token

    def finish(
        self,
        token: str,
        voter: str,
        transcript: Transcript,
        scores: tuple[Scores | None, Scores | None] = (None, None),
        flags: tuple[str, ...] = (),
    ) -> tuple[str, ...]:
        """Both replies are complete: the battle can be voted on. Returns its flags.

        `transcript` is all that was said so far; `scores` are those of the last two replies;
        `flags` are further reasons not to count the vote. Nothing is written.

        Raises:
            EmpoError: no such open battle of this voter.
            UsageError: as `checked_transcript`.
        """
        draft = self._draft(token, voter)
        transcript = checked_transcript(transcript)
        found = tuple(sorted({*flags, *_flags(transcript)}))
        self.drafts.change(
            token_hash(token),
            draft,
            transcript=transcript,
            lengths=tuple(word_count(transcript.replies(side)) for side in ("a", "b")),
            scores=tuple(map(score_numbers, scores)),
            flags=found,
        )
        return found

    def unfinish(self, token: str, voter: str) -> None:
        """Another message was sent: no vote until `finish`.

        Raises:
            EmpoError: no such open battle of this voter.
        """
        self.drafts.change(token_hash(token), self._draft(token, voter), transcript=None)

    def abandon(self, token: str, voter: str) -> None:
        """Forget what was said in an open battle; it can no longer be voted on."""
        if self.drafts.get(token_hash(token), voter):
            self.drafts.drop(token_hash(token))

    def vote(self, token: str, voter: str, ballot: Ballot) -> Reveal:
        """Store the vote and its words in one transaction, and reveal the names.

        The same ballot again (a lost answer, a second click) changes nothing and reveals again.

        Raises:
            UsageError: as `checked_ballot`.
            EmpoError: the battle is unknown, another's, unfinished, over, or voted on otherwise.
        """
        ballot = checked_ballot(ballot)
        draft = self.drafts.get(token_hash(token), voter)
        with self.database.read() as connection:
            own(connection, token, voter)  # a token that is none costs no writer's turn
        with self.database.write() as connection:
            row = own(connection, token, voter, lock=True)
            if row.state == OPEN:
                if draft is None or draft.transcript is None:
                    raise EmpoError(GONE if draft is None else _UNFINISHED)
                writing.store(connection, row.id, draft, ballot)
            revealed = reading.reveal(connection, own(connection, token, voter), ballot)
        self.drafts.drop(token_hash(token))
        return revealed

    def reveal(self, token: str, voter: str) -> Reveal:
        """What voting revealed, once more.

        Raises:
            EmpoError: there is no such vote of this voter.
        """
        with self.database.read() as connection:
            return reading.reveal(connection, own(connection, token, voter))

    def withdraw(self, token: str, voter: str) -> None:
        """Take a vote and its words out of the store; the battle stays closed.

        `token` may also be the battle's id.

        Raises:
            EmpoError: there is no such vote of this voter.
        """
        with self.database.write() as connection:
            row = own(connection, token, voter, lock=True)
            if row.state != VOTED:
                raise EmpoError(GONE)
            connection.execute(delete(WORDS).where(WORDS.c.battle_id == row.id))
            connection.execute(delete(VOTES).where(VOTES.c.battle_id == row.id))
            connection.execute(
                update(BATTLES).where(BATTLES.c.id == row.id).values(state=WITHDRAWN)
            )

    def erase(self, token: str, voter: str | None) -> int:
        """Erase the words of a battle, and of all battles of its voter that repeat a message of it.

        The votes remain. `token` may also be the battle's id; `voter` None is the owner, whom the
        caller has made sure of. Returns the number of battles that lost their words.

        Raises:
            EmpoError: there is no such battle (of this voter).
        """
        with self.database.write() as connection:
            found = writing.anybodys if voter is None else partial(own, voter=voter)
            row = found(connection, token, lock=True)
            said = writing.messages(reading.words_of(connection, row.id))
            mine = select(BATTLES.c.id).where(BATTLES.c.voter == row.voter)
            gone = [row.id]
            for other in connection.scalars(mine.where(BATTLES.c.id != row.id)).all():
                if said & writing.messages(reading.words_of(connection, other)):
                    gone.append(other)
            return writing.erase(connection, gone)

    def erase_voter(self, voter: str) -> int:
        """Erase all words of `voter`; the votes remain. Returns the number of battles."""
        with self.database.write() as connection:
            mine = select(BATTLES.c.id).where(BATTLES.c.voter == voter)
            return writing.erase(connection, list(connection.scalars(mine)))

    # What rankings and matchmaking ask.

    def pools(self) -> dict[Pool, int]:
        """Pool → number of its votes, all of them."""
        with self.database.read() as connection:
            return reading.pool_sizes(connection)

    def votes(self, pool: Pool | None = None, voter: str | None = None) -> Votes:
        """The votes that count, of one pool or of all (never to be rated together unsaid).

        With `voter`, only theirs: their own taste.
        """
        return collect(reading.vote_rows(self.database, pool, voter), "The store")

    def pair_counts(self, pool: Pool) -> dict[tuple[Seat, Seat], int]:
        """As `reading.pair_counts`."""
        with self.database.read() as connection:
            return reading.pair_counts(connection, pool)

    def judged(self, pool: Pool) -> dict[Judged, frozenset[str]]:
        """As `reading.judged`."""
        with self.database.read() as connection:
            return reading.judged(connection, pool)

    def stats(self) -> list[dict[str, Any]]:
        """As `reading.stats`."""
        with self.database.read() as connection:
            return reading.stats(connection)

    # What goes out and comes in.

    def rows(self, pool: Pool | None = None) -> Iterator[dict[str, Any]]:
        """As `records.rows`: what may be exported; pairs leave out what has the flag `identity`."""
        yield from records.rows(self.database, pool)

    def add_rows(self, rows: Iterator[tuple[int, Any]], source: str) -> records.Added:
        """As `records.add_rows`, all or none of them.

        Raises:
            DataError: a row is no vote, or contradicts one that is here.
        """
        with self.database.write() as connection:
            return records.add_rows(connection, rows, source)

    def _draft(self, token: str, voter: str) -> Draft:
        draft = self.drafts.get(token_hash(token), voter)
        if draft is None:
            raise EmpoError(GONE)
        return draft


def open_store(settings: Settings) -> Store:
    """The store that the page and the command line share, with the caps on every voter.

    Raises:
        EmpoError: as `Store`.
    """
    return Store(settings.votes_url, caps=Caps())


def _flags(transcript: Transcript) -> set[str]:
    flags = set()
    if any(names_itself(reply) for side in ("a", "b") for reply in transcript.replies(side)):
        flags.add(IDENTITY)
    texts = [text for turn in transcript.rounds for text in (turn.message, turn.a, turn.b)]
    texts += [turn.text for turn in transcript.context]
    if any(map(points_to_danger, texts)):
        flags.add(DANGER)
    return flags
