"""What happens on the Arena tab, as functions from plain values to views. No Gradio.

A voter is who `owner.visitor` says; a battle is known by its token, which no other voter can use.
Whatever the browser sends is checked here again.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable, Generator, Hashable, Iterator, Mapping
from contextlib import AbstractContextManager, suppress
from functools import cached_property
from typing import Any

from empo.arena.store import Store, open_store
from empo.arena.taste import tastes
from empo.arena.votes import Votes
from empo.battle import Arena, Field, Mode, Sitting, live_field, recorded_field
from empo.data.deck import Deck, deck_situations, paper_deck, read_deck
from empo.errors import EmpoError
from empo.in_step import STOPPED, Clock, Sleep, in_step
from empo.models.fingerprint import base_revision
from empo.sampling import check_message
from empo.types import Ballot, Reveal
from empo.ui.arena_view import battle_view, blank, standing, voted_view, waiting
from empo.ui.ballots import ballot
from empo.ui.control import Control
from empo.ui.services import Services
from empo.ui.share import starting_sampling
from empo.ui.waiting import Place

POLL = 0.25  # seconds between two looks at the line and at the loading engine
HAND_OVER = 5.0  # seconds that a reloaded page waits for its predecessor to stop
SPARING = 10
View = dict[str, Any]
Data = Mapping[str, Any]

OURS = "Something went wrong here: try again, or start a new battle."


class ArenaHandlers:
    """The Arena tab's behaviour for one set of services. Nothing is opened before it is used."""

    def __init__(
        self,
        services: Services,
        store: Callable[[], Store] | None = None,
        rng: random.Random | None = None,
        clock: Clock = time.monotonic,
        sleep: Sleep = time.sleep,
    ) -> None:
        self.services = services
        self._clock, self._sleep = clock, sleep
        self._open = store or (lambda: open_store(services.settings))
        self._arena: Arena | None = None
        self._lock, self._counting = threading.Lock(), threading.Lock()
        self._rng = rng or random.SystemRandom()
        self._reports: dict[Mode, tuple[float, View]] = {}

    @property
    def arena(self) -> Arena:
        """Opened at the first battle.

        Raises:
            EmpoError: the store cannot be used.
        """
        with self._lock:
            if self._arena is None:
                self._arena = Arena(self._open(), self._rng, self._clock)
            return self._arena

    def votes(self) -> Votes:
        """All votes that count, for the leaderboard."""
        return self.arena.store.votes()

    def stamp(self) -> Hashable:
        """Changes whenever `votes` does."""
        return self.arena.stamp()

    @cached_property
    def decks(self) -> dict[Mode, Deck]:
        """The decks there are; a damaged one is left out, and goes to the log."""
        found: dict[Mode, Deck] = {}
        for mode, read in (
            ("recorded", read_deck),
            ("paper", lambda: paper_deck(self.services.replies)),
        ):
            try:
                if deck := read():
                    found[mode] = deck
            except EmpoError as error:
                logging.getLogger(__name__).warning("a deck is left out: %s", error)
        return found

    @property
    def modes(self) -> tuple[Mode, ...]:
        return ("live", *self.decks)

    def start(self) -> View:
        """The tab before anything happened; reads nothing."""
        return blank("live", ("live", "recorded"))

    # -- battles: what takes time

    def play(self, data: Data, voter: str) -> Iterator[View]:
        """Deal, say or go on; a problem becomes one sentence, and a message goes back to its box.

        `data`: kind "deal" (mode, and text or none for a situation of ours), "say" (token, text) or
        "resume" (token).
        """
        mode, kind = self._mode(data), data.get("kind")
        text = str(data.get("text") or "")
        try:
            if kind == "deal" and mode != "live":
                yield from self._deal_recorded(voter, mode)
            elif kind == "deal":
                yield from self._deal_live(voter, text)
            else:
                yield from self._go_on(_token(data), voter, text, kind == "say")
            return
        except EmpoError as error:
            notice = str(error)
        except Exception:
            # A mistake of ours: it goes to the log whole, and the page must not hang on it.
            logging.getLogger(__name__).exception("a battle failed")
            notice = OURS
        yield self._problem(_token(data), voter, mode, notice, text)

    def _mode(self, data: Data) -> Mode:
        asked = data.get("mode")
        return asked if asked in self.modes else "live"

    def _where(self, sitting: Sitting, notice: str = "") -> View:
        if sitting.pending is not None:
            return battle_view(sitting, self.modes, "stopped", notice)
        return battle_view(sitting, self.modes, "choose", notice)

    def _deal_recorded(self, voter: str, mode: Mode) -> Iterator[View]:
        with self._turn(voter):
            sitting = self.arena.deal_recorded(voter, recorded_field(self.decks[mode], mode))
            yield from self._given_out(sitting)

    def _deal_live(self, voter: str, text: str) -> Iterator[View]:
        if text.strip():
            message, emotion = check_message(text), None
        else:
            situation = self._rng.choice(deck_situations())
            message, emotion = situation.text, situation.emotion
        services = self.services
        dealt = emotion is not None
        with self._turn(voter) as control:
            with services.line.place() as place:
                yield waiting("live", self.modes, message, "", dealt)
                for notice in self._waits(place, control):
                    yield waiting("live", self.modes, message, notice, dealt)
                sitting = self.arena.deal_live(voter, self._live(), message, emotion)
                sitting = yield from self._written(sitting, control)
            yield from self._given_out(sitting)

    def _go_on(self, token: str, voter: str, text: str, say: bool) -> Iterator[View]:
        sitting = self.arena.sittings.get(token, voter)
        message = check_message(text) if say else ""
        with self._turn(voter) as control:
            sitting = self.arena.sittings.get(token, voter)
            if say:
                sitting = self.arena.say(sitting, message)
            if sitting.pending is not None:
                with self.services.line.place() as place:
                    yield battle_view(sitting, self.modes, "waiting")
                    for notice in self._waits(place, control):
                        yield battle_view(sitting, self.modes, "waiting", notice)
                    sitting = yield from self._written(sitting, control)
            yield from self._given_out(sitting)

    def _turn(self, voter: str) -> AbstractContextManager[Control]:
        """One turn at a time for a voter; a page that was left is made to let go of its turn."""
        running, name = self.services.running, f"arena {voter}"
        running.stop(name)
        running.wait(name, HAND_OVER)
        return running.turn(name)

    def _waits(self, place: Place, control: Control) -> Iterator[str]:
        """One sentence each time what is being waited for changes; ends when it is our turn.

        Raises:
            EmpoError: the turn was taken over by another page of the voter.
        """
        holder, last = self.services.holder, ""
        while not control.cancel.is_set():
            if ahead := place.ahead:
                notice = f"Others are being answered: you are number {ahead + 1} in line."
                place.wait(POLL)
            elif not holder.wait(0):
                notice = f"{holder.status.text.rstrip('.')}. The two answer right after."
                holder.wait(POLL)
            else:
                return
            if notice != last:
                last = notice
                yield notice
        raise EmpoError(STOPPED)

    def _live(self) -> Field:
        """The live models as they are now.

        Raises:
            EmpoError: they are not loaded.
        """
        services = self.services
        engine = services.holder.engine
        if len(engine.stack.models) < 2:
            raise EmpoError("This stack has one model only, and a battle needs two.")
        sampling = starting_sampling(engine.stack)
        return live_field(engine, sampling, self._base, services.hashes)

    @cached_property
    def _base(self) -> str:
        return base_revision(self.services.stack)

    def _written(self, sitting: Sitting, control: Control) -> Generator[View, None, Sitting]:
        """Both answer; returns the longer sitting."""
        view = battle_view(sitting, self.modes, "waiting")
        yield view
        for found in self.arena.answered(sitting, self.services.holder.engine, control.cancel):
            if found is not None:
                return found
            yield view
        raise EmpoError(OURS)

    def _given_out(self, sitting: Sitting) -> Iterator[View]:
        """Both replies in step; then one may vote, also when the page is left in between."""
        last = sitting.rounds[-1]
        try:
            for frame in in_step(last.a, last.b, self._clock, self._sleep):
                yield battle_view(sitting, self.modes, "writing", "", frame)
        except GeneratorExit:
            with suppress(EmpoError):
                self.arena.finish(sitting)
            raise
        yield battle_view(self.arena.finish(sitting), self.modes, "choose")

    # -- what is done at once

    def act(self, data: Data, voter: str) -> View:
        """Vote, withdraw, erase, come back, change the kind of battle, or ask how it stands."""
        kind, token, mode = data.get("kind"), _token(data), self._mode(data)
        try:
            if kind == "vote":
                return self._vote(token, voter, ballot(data))
            if kind == "withdraw":
                return self._withdrawn(token, voter)
            if kind == "erase":
                return self._erased(token, voter)
            if kind == "standing":
                return {"standing": self._standing(mode, voter)}
            return self._restored(token, voter, mode)
        except EmpoError as error:
            notice = str(error)
        except Exception:
            logging.getLogger(__name__).exception("the arena failed")
            notice = OURS
        return self._problem(token, voter, mode, notice)

    def _vote(self, token: str, voter: str, choice: Ballot) -> View:
        """Measure both replies, which nobody has seen done, and store the vote."""
        sitting = self.arena.sittings.get(token, voter)
        if sitting.shown and sitting.scores is None:
            last = sitting.rounds[-1]
            a, b = self.services.scorer([(last.message, last.a), (last.message, last.b)])
            with suppress(EmpoError):  # another click was faster: the vote below says it again
                self.arena.finish(sitting, (a, b))
        return self._voted(token, voter, self.arena.store.vote(token, voter, choice))

    def _problem(self, token: str, voter: str, mode: Mode, notice: str, text: str = "") -> View:
        """The sentence, above whatever was there; what was written goes back to its box."""
        try:
            view = self._restored(token, voter, mode)
        except EmpoError:
            view = blank(mode, self.modes)
        return view | {"notice": notice, "box": text or None}

    def _restored(self, token: str, voter: str, mode: Mode) -> View:
        """A battle after a reload: as it was, still blind unless it was voted on."""
        arena = self.arena
        try:
            sitting = arena.sittings.get(token, voter)
        except EmpoError:
            return blank(mode, self.modes)
        try:
            return self._voted(token, voter, arena.store.reveal(token, voter))
        except EmpoError:
            return self._where(sitting)

    def _voted(self, token: str, voter: str, reveal: Reveal, **more: Any) -> View:
        sitting = self.arena.sittings.get(token, voter)
        listener = self.services.scorer.listener
        return voted_view(sitting, reveal, self.modes, listener, **more)

    def _withdrawn(self, token: str, voter: str) -> View:
        sitting = self.arena.sittings.get(token, voter)
        self.arena.store.withdraw(token, voter)
        self.arena.sittings.drop(token)
        self._reports.pop(sitting.field.mode, None)
        done = "Your vote is withdrawn, and the words with it."
        return blank(sitting.field.mode, self.modes, done)

    def _erased(self, token: str, voter: str) -> View:
        self.arena.store.erase(token, voter)
        reveal = self.arena.store.reveal(token, voter)
        notice = "Your words are erased from the store; the vote stays, without them."
        return self._voted(token, voter, reveal, notice=notice, erased=True)

    # -- how it stands

    def _field(self, mode: Mode) -> Field:
        return self._live() if mode == "live" else recorded_field(self.decks[mode], mode)

    def _standing(self, mode: Mode, voter: str) -> View | None:
        """None while the models are being loaded."""
        if mode == "live" and self.services.holder.status.state != "ready":
            return None
        played, store = self._field(mode), self.arena.store
        report = self._report(mode, played)
        mine = store.votes(played.pool, voter)
        return standing(played, report, tastes(mine), report["tastes"], len(mine))

    def _report(self, mode: Mode, played: Field) -> View:
        """The ranking of the pool; making it takes at most one part in `SPARING` of the time."""
        from empo.leaderboard import ratings_report  # scipy takes half a second to import

        store = self.arena.store
        with self._counting:
            due, found = self._reports.get(mode, (0.0, {}))
            if not found or time.monotonic() > due:
                start = time.monotonic()
                votes = store.votes(played.pool)
                found = ratings_report(votes) | {"tastes": tastes(votes)}
                now = time.monotonic()
                self._reports[mode] = now + SPARING * (now - start), found
        return found


def _token(data: Data) -> str:
    token = data.get("token")
    return token if isinstance(token, str) else ""
