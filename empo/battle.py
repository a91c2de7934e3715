"""Blind battles: who is dealt to whom, over live or recorded replies, and what a vote reveals.

A `Field` is what battles are fought over: models and the pool that their votes go to. A `Sitting`
is one battle in front of one voter; it is kept in memory, since words are stored with a vote only.
"""

from __future__ import annotations

import hashlib
import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final, Literal

from sqlalchemy import func, select

from empo.arena.drafts import IN_ALL, LIFE, PER_VOTER
from empo.arena.matchmaking import Pair, draw_pair, pair_of, seated
from empo.arena.reading import Judged
from empo.arena.rotation import Item, next_item
from empo.arena.schema import VOTES
from empo.arena.store import Store
from empo.data.deck import Card, Deck
from empo.errors import EmpoError
from empo.in_step import Clock, both_written
from empo.models.engine import Engine
from empo.types import Battle, ModelSpec, Pool, Round, Sampling, Scores, Seat, Transcript, Turn

Mode = Literal["live", "recorded", "paper"]
# What a voter was told before they sent anything; a new wording gets a new number.
CONSENT: Final = "1"
_OVER: Final = "This battle is not open to you, or its time is over: start a new one."
_ALL_JUDGED: Final = "You have judged every battle of this deck: thank you! Try live ones."


@dataclass(frozen=True, slots=True)
class Field:
    """Models that can meet, with the short hashes of their adapters, and the pool of their votes.

    `deck` None: the models answer live.
    """

    mode: Mode
    title: str
    models: tuple[ModelSpec, ...]
    revisions: Mapping[str, str]
    pool: Pool
    deck: Deck | None = None

    @property
    def specs(self) -> dict[str, ModelSpec]:
        return {spec.name: spec for spec in self.models}

    def seat(self, name: str) -> Seat:
        return Seat(name, self.revisions.get(name, ""))


def live_field(engine: Engine, sampling: Sampling, base: str, hashes: Mapping[str, str]) -> Field:
    """Battles of the models of the engine's stack; `base` and `hashes` are their revisions."""
    stack = engine.stack
    pool = Pool(stack.name, True, stack.prompt, sampling, engine.quantisation, base)
    return Field("live", stack.title, stack.models, dict(hashes), pool)


def recorded_field(deck: Deck, mode: Mode) -> Field:
    """Battles over the replies of a deck."""
    pool = Pool(deck.name, False, deck.prompt, deck.sampling, deck.quantisation, deck.base)
    return Field(mode, deck.title, deck.models, deck.revisions, pool, deck)


@dataclass(frozen=True, slots=True)
class Sitting:
    """A battle in front of its voter. `pending` is a message that both have yet to answer.

    `shown`: both replies were given out whole, so that one may vote.
    """

    field: Field
    battle: Battle
    token: str
    voter: str
    seed: int
    context: tuple[Turn, ...] = ()
    rounds: tuple[Round, ...] = ()
    pending: str | None = None
    shown: bool = False
    scores: tuple[Scores | None, Scores | None] | None = None

    @property
    def names(self) -> tuple[str, str]:
        return self.battle.seats[0].model, self.battle.seats[1].model

    def asked(self) -> dict[str, tuple[Turn, ...]]:
        """What each model is to answer: everything said so far, with its own replies."""
        found = {}
        for name, side in zip(self.names, ("a", "b"), strict=True):
            turns = list(self.context)
            for turn in self.rounds:
                turns += [Turn("user", turn.message), Turn("assistant", getattr(turn, side))]
            found[name] = (*turns, Turn("user", self.pending or ""))
        return found


class Sittings:
    """Open battles by token, forgotten in time; thread-safe. Nobody gets another voter's."""

    def __init__(self, life: float = LIFE, clock: Callable[[], float] = time.monotonic) -> None:
        self._life, self._clock = life, clock
        self._found: dict[str, tuple[float, Sitting]] = {}  # in the order of their ends
        self._lock = threading.Lock()

    def put(self, sitting: Sitting) -> Sitting:
        """Add or renew; a voter's oldest give way, and so do the oldest of all."""
        with self._lock:
            self._found.pop(sitting.token, None)
            self._found[sitting.token] = (self._clock() + self._life, sitting)
            mine = [k for k, (_, other) in self._found.items() if other.voter == sitting.voter]
            everybody = list(self._found)
            for old in {*mine[:-PER_VOTER], *everybody[:-IN_ALL]}:
                del self._found[old]
        return sitting

    def get(self, token: str, voter: str) -> Sitting:
        """The voter's sitting.

        Raises:
            EmpoError: there is none, or its time is over.
        """
        with self._lock:
            end, sitting = self._found.get(token, (0.0, None))
            if sitting is None or sitting.voter != voter or end <= self._clock():
                raise EmpoError(_OVER)
        return sitting

    def drop(self, token: str) -> None:
        with self._lock:
            self._found.pop(token, None)

    def items(self, voter: str) -> set[Item]:
        """The recorded battles that the voter has before them or has just had."""
        with self._lock:
            mine = [s for _, s in self._found.values() if s.voter == voter]
        return {(s.battle.item, pair_of(*s.names)) for s in mine if s.battle.item is not None}


class Arena:
    """Deals, asks and remembers, for one store of votes. `rng` draws pairs, seats and cards."""

    def __init__(
        self, store: Store, rng: random.Random | None = None, clock: Clock = time.monotonic
    ) -> None:
        self.store = store
        self.sittings = Sittings()
        self._clock = clock
        self._rng = rng or random.SystemRandom()

    def stamp(self) -> tuple[int, int]:
        """Changes whenever a vote comes or goes: how many there are, and the newest one's id."""
        with self.store.database.read() as connection:
            count, newest = connection.execute(
                select(func.count(VOTES.c.id), func.coalesce(func.max(VOTES.c.id), 0))
            ).one()
        return count, newest

    # -- dealing

    def deal_live(self, voter: str, played: Field, message: str, emotion: str | None) -> Sitting:
        """Two live models before a message, which they have yet to answer."""
        counts = _names_only(self.store.pair_counts(played.pool), played)
        pair = draw_pair([spec.name for spec in played.models], counts, self._rng)
        sitting = self._open(voter, played, pair, None, emotion)
        return self.sittings.put(replace(sitting, pending=message))

    def deal_recorded(self, voter: str, played: Field) -> Sitting:
        """A card of the field's deck with two of its replies.

        Raises:
            EmpoError: the voter has judged all that there is.
        """
        cards = {item_name(card): card for card in played.deck.cards} if played.deck else {}
        judged = _battles(self.store.judged(played.pool), played)
        names = [spec.name for spec in played.models]
        seen = {item for item, voters in judged.items() if voter in voters}
        counts = {item: len(voters) for item, voters in judged.items()}
        skipped = seen | self.sittings.items(voter)
        found = next_item(list(cards), names, counts, skipped, self._rng)
        found = found or next_item(list(cards), names, counts, seen, self._rng)
        if found is None:
            raise EmpoError(_ALL_JUDGED)
        card, pair = cards[found[0]], found[1]
        sitting = self._open(voter, played, pair, found[0], card.emotion)
        context, message = _told(card)
        a, b = (card.replies[name] for name in sitting.names)
        return self.sittings.put(replace(sitting, context=context, rounds=(Round(message, a, b),)))

    def _open(
        self, voter: str, played: Field, pair: Pair, item: str | None, emotion: str | None
    ) -> Sitting:
        one, other = seated(pair, self._rng)
        seats = played.seat(one), played.seat(other)
        battle, token = self.store.open_battle(voter, played.pool, seats, item, emotion, CONSENT)
        return Sitting(played, battle, token, voter, self._rng.randrange(2**32))

    # -- talking

    def say(self, sitting: Sitting, message: str) -> Sitting:
        """Another message to both, before the vote.

        Raises:
            EmpoError: recorded replies cannot go on, or the battle is over.
        """
        if sitting.field.deck is not None:
            raise EmpoError("Recorded replies cannot answer: choose live ones to talk.")
        if sitting.pending is not None:
            raise EmpoError("The last message is still being answered: wait a moment.")
        self.store.unfinish(sitting.token, sitting.voter)
        return self.sittings.put(replace(sitting, pending=message, shown=False, scores=None))

    def answered(
        self, sitting: Sitting, engine: Engine, cancel: threading.Event
    ) -> Iterator[Sitting | None]:
        """Both answer what is pending; None while they write, at last the longer sitting.

        Raises:
            EmpoError: as `both_written`.
        """
        pool, asked = sitting.field.pool, sitting.asked()
        sampling = replace(pool.sampling or Sampling(), seed=sitting.seed)
        specs = sitting.field.specs
        steps = both_written(engine, asked, specs, sampling, pool.prompt, cancel, self._clock)
        for found in steps:
            if found is None:
                yield None
                continue
            a, b = (found[name] for name in sitting.names)
            grown = (*sitting.rounds, Round(sitting.pending or "", a, b))
            yield self.sittings.put(replace(sitting, rounds=grown, pending=None))

    def finish(
        self, sitting: Sitting, scores: tuple[Scores | None, Scores | None] | None = None
    ) -> Sitting:
        """Both replies were given out whole: from now on one may vote.

        Raises:
            EmpoError: the battle is over.
        """
        transcript = Transcript(sitting.rounds, sitting.context)
        measured = scores or (None, None)
        self.store.finish(sitting.token, sitting.voter, transcript, measured)
        return self.sittings.put(replace(sitting, shown=True, scores=scores))


def item_name(card: Card) -> str:
    """The card's id and a digest of its words: words that differ are another battle."""
    words = repr(([turn.text for turn in card.turns], sorted(card.replies.items())))
    return f"{card.id} {hashlib.sha256(words.encode()).hexdigest()[:8]}"


def _told(card: Card) -> tuple[tuple[Turn, ...], str]:
    """What both were given before, and the speaker's last words (who may have written twice)."""
    at = len(card.turns)
    while at and card.turns[at - 1].role == "user":
        at -= 1
    return card.turns[:at], "\n".join(turn.text for turn in card.turns[at:])


def _names_only(counts: Mapping[tuple[Seat, Seat], int], played: Field) -> dict[Pair, int]:
    """Votes by pair of names, of the weights that are played now."""
    found: dict[Pair, int] = {}
    for seats, count in counts.items():
        if all(seat == played.seat(seat.model) for seat in seats):
            found[pair_of(seats[0].model, seats[1].model)] = count
    return found


def _battles(judged: Mapping[Judged, frozenset[str]], played: Field) -> dict[Item, frozenset[str]]:
    """Voters by card and pair of names, of the weights that are played now."""
    return {
        (key.item, pair_of(key.first.model, key.second.model)): voters
        for key, voters in judged.items()
        if all(seat == played.seat(seat.model) for seat in (key.first, key.second))
    }
