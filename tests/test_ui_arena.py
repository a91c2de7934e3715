"""The Arena tab's behaviour without a browser: deal, talk, vote, withdraw, erase, come back."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from empo.arena.taste import tastes
from empo.arena.votes import collect
from empo.data.deck import read_deck
from empo.errors import UsageError
from empo.types import Ballot, Rating
from empo.ui.arena import ArenaHandlers, View
from empo.ui.ballots import ballot
from tests.arena_kit import QUICK, SLOW, Paced, Turnable, arena, canary_stack

ME, YOU = "anon:me", "anon:you"


@pytest.fixture
def engine() -> Paced:
    clock = Turnable()
    speeds = {SLOW: 12.0, QUICK: 200.0}
    return Paced(canary_stack(), speeds, clock, clock.sleep)


@pytest.fixture
def tab(engine: Paced, tmp_path: Path) -> Iterator[ArenaHandlers]:
    handlers = arena(engine, tmp_path)
    yield handlers
    handlers.arena.store.close()


def play(tab: ArenaHandlers, voter: str = ME, **data: Any) -> View:
    *_, last = tab.play({"kind": "deal", "mode": "live", **data}, voter)
    return last


def act(tab: ArenaHandlers, kind: str, voter: str = ME, **data: Any) -> View:
    return tab.act({"kind": kind, **data}, voter)


def test_a_battle_from_the_deal_to_the_names(tab: ArenaHandlers) -> None:
    views = list(tab.play({"kind": "deal", "mode": "live"}, ME))
    assert views[0]["phase"] == "waiting"
    frames = [v["rounds"][-1] for v in views if v["phase"] == "writing"]
    assert [len(f["a"]) for f in frames] == [len(f["b"]) for f in frames] == [9, 18, 27, 28]
    last = views[-1]
    assert last["phase"] == "choose" and last["rounds"][0]["who"] == "Situation"
    after = act(tab, "vote", token=last["token"], choice="tie")
    assert after["phase"] == "voted" and after["reveal"]["said"] == "Tie"
    assert {side["label"] for side in after["reveal"]["sides"]} == {
        f"Label {SLOW}",
        f"Label {QUICK}",
    }
    assert after["reveal"]["sides"][0]["gauges"][0]["word"] == "not measured"
    assert sum(tab.arena.store.pools().values()) == 1


def test_both_hear_what_was_said_and_their_own_words(tab: ArenaHandlers, engine: Paced) -> None:
    engine.said = {SLOW: "I am slow.", QUICK: "I am quick."}
    token = play(tab, text="My dog died")["token"]
    assert act(tab, "vote", token="x", choice="a")["notice"].startswith("This battle is not open")
    engine.asked.clear()
    more = play(tab, kind="say", token=token, text="She was old")
    heard = {row.model: [turn.text for turn in row.messages] for row in engine.asked}
    assert heard == {
        SLOW: ["My dog died", "I am slow.", "She was old"],
        QUICK: ["My dog died", "I am quick.", "She was old"],
    }
    assert [r["who"] for r in more["rounds"]] == ["You", "You"] and more["phase"] == "choose"
    # The rows stand in the order of names, whoever sits where.
    assert [row.model for row in engine.asked] == sorted(heard)


def test_no_vote_before_both_were_heard_and_none_by_others(tab: ArenaHandlers) -> None:
    views = tab.play({"kind": "deal", "mode": "live", "text": "Hello"}, ME)
    token = next(v["token"] for v in views if v["token"])
    early = act(tab, "vote", token=token, choice="a")
    assert "have to be complete" in early["notice"] and early["reveal"] is None
    *_, last = views
    assert last["phase"] == "choose"
    assert act(tab, "vote", YOU, token=token, choice="a")["phase"] == "start"
    assert act(tab, "vote", token=token, choice="winner")["notice"].startswith("A vote is one of")
    assert not sum(tab.arena.store.pools().values())


def test_eight_votes_at_once_are_one(tab: ArenaHandlers) -> None:
    token = play(tab, text="Hello")["token"]
    with ThreadPoolExecutor(8) as pool:
        views = list(pool.map(lambda n: act(tab, "vote", token=token, choice="b"), range(8)))
    assert {v["phase"] for v in views} == {"voted"}
    assert sum(tab.arena.store.pools().values()) == 1
    assert "withdrawn, not changed" in act(tab, "vote", token=token, choice="a")["notice"]


def test_left_in_the_middle_it_stops_and_goes_on_with_the_same_words(
    tab: ArenaHandlers, engine: Paced
) -> None:
    views = tab.play({"kind": "deal", "mode": "live", "text": "Hello"}, ME)
    token = next(v["token"] for v in views if v["token"])
    assert next(views)["rounds"][0]["a"] == "" and engine.running == 1
    views.close()  # type: ignore[attr-defined]
    assert engine.running == 0
    back = act(tab, "restore", token=token)
    assert back["phase"] == "stopped" and back["rounds"][0]["a"] == "" and back["reveal"] is None
    assert act(tab, "restore", YOU, token=token)["phase"] == "start"
    seed = engine.asked[0].sampling.seed
    done = play(tab, kind="resume", token=token)
    assert done["phase"] == "choose" and done["token"] == token
    assert {row.sampling.seed for row in engine.asked} == {seed} and len(engine.asked) == 4
    act(tab, "vote", token=token, choice="a")
    assert act(tab, "restore", token=token)["phase"] == "voted"
    assert sum(tab.arena.store.pools().values()) == 1


def test_left_while_it_is_given_out_it_comes_back_whole(tab: ArenaHandlers) -> None:
    views = tab.play({"kind": "deal", "mode": "live", "text": "Hello"}, ME)
    token = next(v["token"] for v in views if v["phase"] == "writing")
    views.close()  # type: ignore[attr-defined]
    back = act(tab, "restore", token=token)
    assert back["phase"] == "choose" and back["rounds"][0]["a"] == back["rounds"][0]["b"] != ""
    assert act(tab, "vote", token=token, choice="a")["phase"] == "voted"


def test_a_second_page_takes_the_turn_over(engine: Paced, tmp_path: Path) -> None:
    handlers = arena(engine, tmp_path)
    go = threading.Event()
    engine.sleep = lambda seconds: go.wait(20)
    seen: list[View] = []
    first = threading.Thread(
        target=lambda: seen.extend(handlers.play({"kind": "deal", "text": "One"}, ME))
    )
    first.start()
    while engine.running == 0:
        time.sleep(0.01)
    handlers._sleep = lambda seconds: None
    threading.Timer(0.2, go.set).start()
    assert play(handlers, text="Two")["rounds"][0]["message"] == "Two"
    first.join(30)
    assert "were stopped" in seen[-1]["notice"]
    handlers.arena.store.close()


def test_recorded_battles_come_from_the_deck_and_are_shown_to_five(tab: ArenaHandlers) -> None:
    deck = read_deck()
    texts = {card.turns[-1].text: set(card.replies.values()) for card in deck.cards}
    seen = []
    for n in range(5):
        view = play(tab, f"anon:{n}", mode="recorded")
        told = view["rounds"][0]
        assert {told["a"], told["b"]} <= texts[told["message"]]
        seen.append((told["message"], frozenset((told["a"], told["b"]))))
        refused = play(tab, f"anon:{n}", kind="say", mode="recorded", token=view["token"], text="x")
        assert "Recorded replies cannot answer" in refused["notice"]
        # Everybody chooses the same reply, wherever it sits.
        side = "a" if told["a"] == min(told["a"], told["b"]) else "b"
        done = act(tab, "vote", f"anon:{n}", token=view["token"], choice=side)
    assert len(set(seen)) == 1
    assert done["reveal"]["others"] == "4 of 4 other people agreed with you."
    sixth = play(tab, "anon:6", mode="recorded")["rounds"][0]
    assert (sixth["message"], frozenset((sixth["a"], sixth["b"]))) != seen[0]


def test_withdraw_and_erase(tab: ArenaHandlers) -> None:
    store = tab.arena.store
    token = play(tab, text="A secret of mine")["token"]
    act(tab, "vote", token=token, choice="a", reason="so kind")
    erased = act(tab, "erase", token=token)
    assert erased["reveal"]["erased"] and "erased" in erased["notice"]
    assert sum(store.pools().values()) == 1
    gone = act(tab, "withdraw", token=token)
    assert gone["phase"] == "start" and not sum(store.pools().values())
    assert act(tab, "restore", token=token)["phase"] == "start"
    assert act(tab, "vote", token=token, choice="a")["reveal"] is None


def test_danger_brings_help_and_the_words_go_nowhere(tab: ArenaHandlers) -> None:
    view = play(tab, text="I want to die")
    assert view["care"] and view["phase"] == "choose"
    flags = act(tab, "vote", token=view["token"], choice="a")["reveal"]["flags"]
    assert flags == ["These words are shown to nobody, published nowhere and never trained on."]


def test_a_reply_that_names_its_maker_does_not_count(tab: ArenaHandlers, engine: Paced) -> None:
    engine.text = "As Ch​atGPT I feel with you."
    token = play(tab, text="Hello")["token"]
    reveal = act(tab, "vote", token=token, choice="a")["reveal"]
    assert "does not count" in reveal["flags"][0]
    assert tab.act({"kind": "standing", "mode": "live"}, ME)["standing"]["sentence"].endswith(
        "0 votes so far."
    )


def test_your_own_taste_after_ten_votes(tab: ArenaHandlers) -> None:
    for n in range(10):
        asked = tab.act({"kind": "standing", "mode": "live"}, ME)["standing"]
        assert asked["taste"] is None
        view = play(tab, text=f"Message {n}")
        sitting = tab.arena.sittings.get(view["token"], ME)
        act(tab, "vote", token=view["token"], choice="ab"[sitting.names.index(QUICK)])
    tab._reports.clear()
    found = tab.act({"kind": "standing", "mode": "live"}, ME)["standing"]
    assert found["taste"]["votes"] == 10
    assert [row["mine"] for row in found["taste"]["rows"]] == [0.0, 1.0]
    assert found["sentence"].startswith("Live replies: 10 votes so far")


def test_shares_by_hand() -> None:
    rows = [("x", "y", "a"), ("x", "y", "tie"), ("y", "x", "a"), ("x", "y", "both_bad")]
    votes = collect(
        (n, {"battle": str(n), "model_a": a, "model_b": b, "outcome": o, "voter": "v"})
        for n, (a, b, o) in enumerate(rows, 1)
    )
    found = tastes(votes)
    assert (found["x"].share, found["y"].share) == (0.5, 0.5) and found["x"].battles == 3


@pytest.mark.parametrize(
    ("text", "words"), [("x" * 9000, "at most 8,000 are taken"), ("\x00\x01 x", "")]
)
def test_wrong_messages_are_one_sentence(tab: ArenaHandlers, text: str, words: str) -> None:
    view = play(tab, text=text)
    assert words in view["notice"] and (view["phase"] == "start") is bool(words)


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"kind": 3, "token": ["x"], "mode": {"a": 1}},
        {"kind": "vote", "token": None, "choice": None},
        {"kind": "vote", "token": "x", "choice": "a", "ratings": [1], "reason": 7},
        {"kind": "resume", "token": "x"},
        {"kind": "say", "token": "x", "text": "hello"},
    ],
)
def test_forged_requests_are_one_sentence_and_store_nothing(
    tab: ArenaHandlers, data: dict[str, Any]
) -> None:
    assert tab.act(data, ME)["phase"] == "start"
    *_, last = tab.play(data, ME)
    assert last["phase"] == "start" and json.dumps(last)
    assert not sum(tab.arena.store.pools().values())


def test_ratings_are_read_strictly() -> None:
    sides = {"a": {"appropriate": 80, "consistent": True}, "b": {"appropriate": 0, "emotion": 100}}
    found = ballot({"choice": "a", "ratings": sides, "reason": "kind"})
    assert found == Ballot(
        "a", Rating(80, consistent=True), Rating(0, 100, consistent=None), "kind"
    )
    for wrong in ("80", 80.5, True):
        with pytest.raises(UsageError, match="whole number"):
            ballot({"choice": "a", "ratings": {"a": {"natural": wrong}}})


def test_a_store_that_cannot_be_used_is_one_sentence(engine: Paced, tmp_path: Path) -> None:
    handlers = arena(engine, tmp_path)

    def refuse() -> Any:
        raise UsageError("The store of votes is not there.")

    open_store: Callable[[], Any] = refuse
    handlers._open = open_store
    assert play(handlers, text="Hello")["notice"] == "The store of votes is not there."
    assert handlers.act({"kind": "restore", "token": "x"}, ME)["notice"]
