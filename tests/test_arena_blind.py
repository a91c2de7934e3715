"""Can anybody tell from the wire who sits where? A classifier is asked, and a mutant is caught.

Both seats say the same text, from back-ends of very different speed, with names and errors of
their own. Everything that reaches the browser until one may vote is turned into features: how many
messages, when, how long, in which order, every key and text. The clock is a turnable one, so the
same seed gives the same features: what is found is a leak, never the weather.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.feature_extraction.text import HashingVectorizer
from sklearn.model_selection import cross_val_predict

from empo.battle import Sitting
from empo.data.deck import read_deck
from empo.errors import Busy, EmpoError
from empo.ui.arena import ArenaHandlers, View
from empo.ui.arena_view import battle_view
from tests.arena_kit import HASHES, QUICK, SLOW, Paced, Turnable, arena, canary_stack

CANARIES = (*HASHES, *HASHES.values(), "canary", "Label", "plain ", "note ")
LONGEST = 120  # messages of a battle that become features
Wire = list[tuple[float, View]]


class NativeTiming(ArenaHandlers):
    """The mutant: gives either side out as fast as its own model wrote it."""

    def _given_out(self, sitting: Sitting) -> Iterator[View]:
        shown = dict.fromkeys(sitting.names, "")
        before = 0.0
        for at, model, text in list(self.services.holder.engine.log):  # type: ignore[attr-defined]
            self._sleep(at - before)
            before, shown[model] = at, text
            frame = shown[sitting.names[0]], shown[sitting.names[1]]
            yield battle_view(sitting, self.modes, "writing", "", frame)
        yield battle_view(self.arena.finish(sitting), self.modes, "choose")


class NamedErrors(ArenaHandlers):
    """Another mutant: says what the back-end said."""

    def _problem(self, token: str, voter: str, mode: Any, notice: str, text: str = "") -> View:
        sitting = self.arena.sittings.get(token, voter) if token else self._last(voter)
        seat = "AB"[[name in _FAILS for name in sitting.names].index(True)]
        return battle_view(sitting, self.modes, "stopped", f"{notice} (side {seat})")

    def _last(self, voter: str) -> Sitting:
        return next(s for _, s in self.arena.sittings._found.values() if s.voter == voter)


_FAILS = {SLOW: EmpoError("canary-tortoise is out of breath")}


def battles(folder: Path, count: int, kind: type[ArenaHandlers], fails: float = 0.05) -> Any:
    """`count` battles: (wires, whether the slow one sat on A)."""
    rng = random.Random(7)
    clock = Turnable()
    engine = Paced(canary_stack(), {}, clock, clock.sleep)
    handlers = arena(engine, folder, 11, kind)
    texts = [text for card in read_deck().cards for text in card.replies.values()]
    wires: list[Wire] = []
    seats = []
    for number in range(count):
        engine.text = rng.choice(texts)
        engine.speeds = {SLOW: rng.uniform(8, 20), QUICK: rng.uniform(60, 200)}
        engine.fails = _FAILS if rng.random() < fails else {}
        start, voter = clock.now, f"anon:{number}"
        views = handlers.play({"kind": "deal", "mode": "live", "text": "Hello there"}, voter)
        wires.append([(clock.now - start, json.loads(json.dumps(view))) for view in views])
        sitting = next(s for _, s in handlers.arena.sittings._found.values() if s.voter == voter)
        seats.append(sitting.names[0] == SLOW)
    handlers.arena.store.close()
    return wires, np.array(seats)


def features(wires: list[Wire]) -> np.ndarray:
    """(battles, features) of all that can be seen: times, sizes, keys, texts."""
    found = []
    for wire in wires:
        times = np.full(LONGEST, -1.0)
        sizes = np.full((LONGEST, 3), -1.0)
        for n, (at, view) in enumerate(wire[:LONGEST]):
            times[n] = at
            last = view["rounds"][-1] if view["rounds"] else {"a": "", "b": ""}
            sizes[n] = len(last["a"]), len(last["b"]), len(json.dumps(view))
        gaps = np.diff(times)
        found.append(
            np.concatenate([[len(wire)], times, gaps, sizes.ravel(), sizes[:, 0] - sizes[:, 1]])
        )
    # Tokens are random and are left out; all else that is text is not.
    seen = [[view | {"token": ""} for _, view in wire] for wire in wires]
    texts = [json.dumps([views[0], views[-1]]) for views in seen]
    words = HashingVectorizer(n_features=64, analyzer="char", ngram_range=(2, 4)).transform(texts)
    return np.hstack([np.array(found), words.toarray()])


def told_apart(wires: list[Wire], seats: np.ndarray) -> tuple[float, float]:
    """Share of battles whose seats the classifier names (5-fold), and its upper 95 % limit."""
    model = HistGradientBoostingClassifier(max_iter=60, random_state=0)
    guess = cross_val_predict(model, features(wires), seats, cv=5)
    right = int((guess == seats).sum())
    upper = stats.binomtest(right, len(seats)).proportion_ci(0.95, "exact").high
    return right / len(seats), float(upper)


def test_the_wire_tells_nothing_and_the_mutant_everything(tmp_path: Path) -> None:
    """400 battles: a limit of 53 % is out of reach for so few, even at chance; 50 % is inside."""
    wires, seats = battles(tmp_path, 400, ArenaHandlers)
    share, upper = told_apart(wires, seats)
    assert 0.4 < seats.mean() < 0.6
    assert share <= 0.55 and upper <= 0.60
    (tmp_path / "mutant").mkdir()
    share, _ = told_apart(*battles(tmp_path / "mutant", 200, NativeTiming, 0))
    assert share >= 0.95


def test_an_error_that_names_its_side_is_caught(tmp_path: Path) -> None:
    share, _ = told_apart(*battles(tmp_path, 150, NamedErrors, 1.0))
    assert share >= 0.95


@pytest.mark.nightly
def test_two_thousand_battles_stay_at_chance(tmp_path: Path) -> None:
    """HARDENING T4: the upper 95 % limit is at most 53 %."""
    share, upper = told_apart(*battles(tmp_path, 2000, ArenaHandlers))
    assert upper <= 0.53, (share, upper)


def test_with_the_seats_swapped_every_byte_and_instant_is_the_same(tmp_path: Path) -> None:
    """Stronger than any classifier: what is sent is a function of the texts, not of the seats."""
    seen = {}
    for quick_first in (True, False):
        clock = Turnable()
        engine = Paced(canary_stack(), {SLOW: 9.0, QUICK: 150.0}, clock, clock.sleep)
        folder = tmp_path / str(quick_first)
        folder.mkdir()
        seed = next(
            n for n in range(99) if (seats_of(engine, folder, n)[0] == QUICK) is quick_first
        )
        handlers = arena(engine, folder, seed)
        clock.now = 0.0
        data = {"kind": "deal", "mode": "live", "text": "Hello there"}
        wire = [(clock.now, view | {"token": ""}) for view in handlers.play(data, "anon:x")]
        seen[quick_first] = json.dumps(wire)
        handlers.arena.store.close()
    assert seen[True] == seen[False] and '"a": "I am sorry. How are you now?"' in seen[True]


def seats_of(engine: Paced, folder: Path, seed: int) -> tuple[str, str]:
    """Who would sit where with that seed."""
    handlers = arena(engine, folder, seed)
    list(handlers.play({"kind": "deal", "mode": "live", "text": "Hello"}, "anon:try"))
    ((_, sitting),) = handlers.arena.sittings._found.values()
    handlers.arena.store.close()
    return sitting.names


def test_no_name_no_path_no_hash_before_the_vote_and_all_of_them_after(tmp_path: Path) -> None:
    clock = Turnable()
    engine = Paced(canary_stack(), {SLOW: 9.0, QUICK: 150.0}, clock, clock.sleep)
    handlers = arena(engine, tmp_path)
    views = [handlers.start(), handlers.act({"kind": "restore", "mode": "live"}, "anon:x")]
    views += handlers.play({"kind": "deal", "mode": "live", "text": "Hello"}, "anon:x")
    token = views[-1]["token"]
    views.append(handlers.act({"kind": "restore", "token": token}, "anon:x"))
    engine.fails = _FAILS
    views += handlers.play({"kind": "say", "token": token, "text": "More"}, "anon:x")
    assert views[-1]["phase"] == "stopped" and "try again" in views[-1]["notice"]
    engine.fails = {}
    views += handlers.play({"kind": "resume", "token": token}, "anon:x")
    assert views[-1]["phase"] == "choose"
    assert not [word for word in CANARIES if word in json.dumps(views)]
    after = json.dumps(handlers.act({"kind": "vote", "token": token, "choice": "a"}, "anon:x"))
    assert all(word in after for word in (f"Label {SLOW}", f"plain {QUICK}", HASHES[SLOW]))
    handlers.arena.store.close()


def test_a_busy_engine_says_so_in_its_own_words(tmp_path: Path) -> None:
    clock = Turnable()
    busy = {QUICK: Busy("Too many people are asking at once; try again in a moment.")}
    speeds = {SLOW: 9.0, QUICK: 150.0}
    engine = Paced(canary_stack(), speeds, clock, clock.sleep, fails=busy)
    handlers = arena(engine, tmp_path)
    *_, last = handlers.play({"kind": "deal", "mode": "live", "text": "Hello"}, "anon:x")
    assert last["notice"].startswith("Too many people")
    handlers.arena.store.close()
