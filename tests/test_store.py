"""empo/arena/store.py on SQLite and on PostgreSQL: who may vote on what, once, and what is kept."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import func, select

from empo.arena.drafts import LIFE, PER_VOTER, Drafts
from empo.arena.pools import pool_document, pool_from, pool_name
from empo.arena.schema import BATTLES, METADATA, VOTES, WORDS
from empo.arena.store import Store
from empo.arena.voters import Caps
from empo.errors import Busy, EmpoError, UsageError
from empo.types import (
    Ballot,
    EmotionGuess,
    MechanismScore,
    Outcome,
    Rating,
    Reveal,
    Round,
    Sampling,
    Scores,
    Seat,
    Transcript,
    Turn,
    Valence,
)
from tests.battles import BASE, DPO, LIVE, RECORDED, SFT, cast, ready, said


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    found = Store(database_url)
    yield found
    found.close()


@pytest.fixture
def lite(memory_path: Path) -> Iterator[Store]:
    found = Store(f"sqlite:///{memory_path / 'lite.sqlite3'}")
    yield found
    found.close()


def count(store: Store, table: object) -> int:
    with store.database.read() as connection:
        return connection.scalar(select(func.count()).select_from(table)) or 0


def everything(store: Store) -> str:
    """All that the database holds, as one text."""
    with store.database.read() as connection:
        return "\n".join(
            str(tuple(row))
            for table in METADATA.sorted_tables
            for row in connection.execute(table.select())
        )


def words_kept(store: Store) -> list[dict]:
    return [row for row in store.rows() if row["rounds"] or row["reason"]]


# One vote.


def test_a_vote_from_the_first_message_to_the_names(store: Store) -> None:
    battle, token = store.open_battle("anon:1", LIVE, (BASE, SFT), emotion="sad", consent="7")
    scores = Scores(
        emotional_reaction=MechanismScore(1, (0.25, 0.5, 0.25)),
        valence=Valence(vader=-0.5),
        emotion=(EmotionGuess("sad", 0.9),),
    )
    assert store.finish(token, "anon:1", said(), (scores, None)) == ()
    ballot = Ballot("b", Rating(appropriate=80, consistent=True), None, " warm ")
    reveal = store.vote(token, "anon:1", ballot)
    assert reveal == Reveal(battle, replace(ballot, reason="warm"), (), None)
    (row,) = store.rows()
    assert (row["outcome"], row["model_a"], row["model_b"]) == ("b", "base", "sft")
    assert (row["length_a"], row["length_b"]) == (2, 4)
    assert row["scores_a"] == {"emotional_reaction": 1.0, "valence": -0.5}
    assert row["scores_b"] == {}
    assert row["ratings"]["a"]["appropriate"] == 80 and "b" not in row["ratings"]
    assert (row["reason"], row["consent"], row["emotion"]) == ("warm", "7", "sad")
    assert row["rounds"] == [{"message": "My dog died.", "a": "Oh no.", "b": "How old was she?"}]


def test_of_several_turns_all_are_kept_and_count(store: Store) -> None:
    _, token = ready(store)
    store.unfinish(token, "anon:1")
    with pytest.raises(EmpoError, match="complete"):
        store.vote(token, "anon:1", Ballot("a"))
    both = Transcript((*said().rounds, Round("Nine.", "So old", "I am so sorry")))
    store.finish(token, "anon:1", both)
    store.vote(token, "anon:1", Ballot("a"))
    (row,) = store.rows()
    assert (row["length_a"], row["length_b"], len(row["rounds"])) == (4, 8, 2)


def test_who_may_not_vote_leaves_no_row(store: Store) -> None:
    _, mine = ready(store, "anon:1")
    _, unfinished = store.open_battle("anon:1", LIVE, (BASE, SFT))
    _, abandoned = ready(store, "anon:1")
    store.abandon(abandoned, "anon:1")
    refused = [
        ("unknown", "anon:1", "not open to you"),
        (mine, "anon:2", "not open to you"),
        (unfinished, "anon:1", "complete"),
        (abandoned, "anon:1", "not open to you"),
        (abandoned, "", "not open to you"),
        (mine, None, "not open to you"),
    ]
    for token, voter, why in refused:
        with pytest.raises(EmpoError, match=why):
            store.vote(token, voter, Ballot("a"))
    assert (count(store, VOTES), count(store, WORDS)) == (0, 0)
    assert store.vote(mine, "anon:1", Ballot("a")).ballot.outcome == "a"


def test_a_battle_ends_in_its_time_and_no_change_of_the_clock_ends_it(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1000.0]
    store.drafts = Drafts(clock=lambda: now[0])
    real = time.time
    _, token = ready(store)
    for shift in (3600, -3600, 365 * 86_400, -365 * 86_400):
        monkeypatch.setattr(time, "time", lambda shift=shift: real() + shift)
        now[0] += LIFE - 1
        store.finish(token, "anon:1", said())  # renews it
    store.vote(token, "anon:1", Ballot("a"))
    _, late = ready(store)
    now[0] += LIFE
    with pytest.raises(EmpoError, match="time is over"):
        store.vote(late, "anon:1", Ballot("a"))
    assert count(store, VOTES) == 1


def test_votes_stay_in_the_order_they_came_whatever_the_clock_says(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, battles = time.time, []
    for shift in (0, 86_400 * 365, -86_400 * 365, 3600, -3600):
        monkeypatch.setattr(time, "time", lambda shift=shift: real() + shift)
        battles.append(cast(store).id)
    assert [row["battle"] for row in store.rows()] == battles


@pytest.mark.parametrize(
    "ballot, why",
    [
        (Ballot("c"), "one of a, b, tie, both_bad"),  # type: ignore[arg-type]
        (Ballot(["a"]), "one of"),  # type: ignore[arg-type]
        (Ballot("a", Rating(natural=101)), "natural"),
        (Ballot("a", rating_b=Rating(emotion=True)), "emotion"),
        (Ballot("a", Rating(consistent="yes")), "tick"),  # type: ignore[arg-type]
        (Ballot("a", reason="x" * 501), "500"),
        (Ballot("a", reason=None), "reason"),  # type: ignore[arg-type]
    ],
)
def test_a_ballot_that_is_none_is_refused(lite: Store, ballot: Ballot, why: str) -> None:
    _, token = ready(lite)
    with pytest.raises(UsageError, match=why):
        lite.vote(token, "anon:1", ballot)
    assert count(lite, VOTES) == 0
    lite.vote(token, "anon:1", Ballot("a"))


@pytest.mark.parametrize(
    "transcript, why",
    [
        (Transcript(()), "nothing to vote on"),
        (said(message=" "), "nothing to vote on"),
        (said(a="x" * 30_001), "30,001"),
        (said(message="x" * 1_000_000), "1,000,000"),
        (Transcript(said().rounds * 51), "50 turns"),
        (Transcript(said().rounds, (Turn("user", "y" * 30_001),)), "30,001"),
    ],
)
def test_what_cannot_be_kept_is_refused(lite: Store, transcript: Transcript, why: str) -> None:
    _, token = lite.open_battle("anon:1", LIVE, (BASE, SFT))
    with pytest.raises(UsageError, match=why):
        lite.finish(token, "anon:1", transcript)
    with pytest.raises(EmpoError, match="complete"):
        lite.vote(token, "anon:1", Ballot("a"))


def test_a_model_cannot_meet_itself(lite: Store) -> None:
    with pytest.raises(UsageError, match="cannot meet itself"):
        lite.open_battle("anon:1", LIVE, (SFT, SFT))
    lite.open_battle("anon:1", LIVE, (SFT, Seat("sft", "other")))


# The same vote several times.


def test_the_same_again_reveals_again_and_another_choice_is_refused(store: Store) -> None:
    _, token = ready(store)
    first = store.vote(token, "anon:1", Ballot("a", reason="warm"))
    assert store.vote(token, "anon:1", Ballot("a", reason="warm")) == first
    assert store.reveal(token, "anon:1") == first
    for other in (Ballot("b", reason="warm"), Ballot("a"), Ballot("a", Rating(natural=3))):
        with pytest.raises(EmpoError, match="withdrawn, not changed"):
            store.vote(token, "anon:1", other)
    with pytest.raises(EmpoError, match="not open to you"):
        store.reveal(token, "anon:2")
    assert count(store, VOTES) == 1


def in_parallel(store: Store, battles: int) -> None:
    """8 posts at once on each of `battles`, 4 for each side: one row, and it is what was said."""
    tokens = [ready(store, f"anon:{i}")[1] for i in range(battles)]
    barrier = threading.Barrier(8)

    def once(voter: str, token: str, choice: Outcome) -> str:
        while True:
            try:
                return store.vote(token, voter, Ballot(choice)).ballot.outcome
            except Busy:  # a slow machine
                continue
            except EmpoError as error:
                return "refused" if "not changed" in str(error) else str(error)

    def post(choice: Outcome) -> list[str]:
        seen = []
        for i, token in enumerate(tokens):
            barrier.wait(300)
            seen.append(once(f"anon:{i}", token, choice))
        return seen

    with ThreadPoolExecutor(8) as pool:
        answers = list(zip(*pool.map(post, "aaaabbbb"), strict=True))
    assert count(store, VOTES) == battles
    for row, seen in zip(store.rows(), answers, strict=True):
        won = row["outcome"]
        assert sorted(seen) == sorted([won] * 4 + ["refused"] * 4)


def test_eight_posts_at_once_leave_one_row(store: Store) -> None:
    in_parallel(store, 20)


@pytest.mark.nightly
def test_eight_posts_at_once_on_two_hundred_battles(store: Store) -> None:
    in_parallel(store, 200)


def test_a_vote_is_withdrawn_with_its_words_and_the_battle_stays_closed(store: Store) -> None:
    battle, token = ready(store)
    store.vote(token, "anon:1", Ballot("a", reason="warm"))
    for voter in ("anon:2", "", None):
        with pytest.raises(EmpoError):
            store.withdraw(token, voter)
    store.withdraw(battle.id, "anon:1")
    assert (count(store, VOTES), count(store, WORDS)) == (0, 0)
    for act in (
        lambda: store.vote(token, "anon:1", Ballot("a", reason="warm")),
        lambda: store.withdraw(token, "anon:1"),
        lambda: store.reveal(token, "anon:1"),
    ):
        with pytest.raises(EmpoError, match="not open to you"):
            act()
    assert len(store.votes()) == 0


# Words are people's.


def test_what_nobody_voted_on_is_nowhere(store: Store, memory_path: Path) -> None:
    secret = said("canary-message", "canary-left", "canary-right")
    _, token = ready(store, transcript=secret)
    assert "canary" not in everything(store)
    assert not any(b"canary" in path.read_bytes() for path in memory_path.iterdir())
    store.vote(token, "anon:1", Ballot("a", reason="canary-reason"))
    for word in ("message", "left", "right", "reason"):
        assert f"canary-{word}" in everything(store)
    assert token not in everything(store)


def test_words_are_erased_and_the_vote_remains(store: Store, memory_path: Path) -> None:
    gone = cast(store, transcript=said("canary one"), reason="canary reason")
    again = cast(store, "b", transcript=Transcript((*said("canary one").rounds, *said().rounds)))
    kept = cast(store, transcript=said("quite another"))
    foreign = cast(store, voter="anon:2", transcript=said("canary one, by somebody else"))
    for voter in ("anon:2", ""):
        with pytest.raises(EmpoError, match="not open to you"):
            store.erase(gone.id, voter)
    assert store.erase(gone.id, "anon:1") == 2
    assert {row["battle"] for row in words_kept(store)} == {kept.id, foreign.id}
    assert [row["battle"] for row in store.rows() if row["erased"]] == [gone.id, again.id]
    assert len(store.votes()) == 4
    assert store.erase(foreign.id, None) == 1, "the owner"
    assert "canary" not in everything(store)
    assert not any(b"canary" in path.read_bytes() for path in memory_path.iterdir())


def test_a_voter_s_words_are_erased_altogether(store: Store) -> None:
    for i in range(3):
        cast(store, voter="anon:1", transcript=said(f"message {i}"))
    other = cast(store, voter="anon:2")
    assert store.erase_voter("anon:1") == 3
    assert [row["battle"] for row in words_kept(store)] == [other.id]
    assert (len(store.votes()), store.erase_voter("anon:1")) == (4, 0)


def test_after_erasing_the_same_vote_is_still_the_same(store: Store) -> None:
    _, token = ready(store)
    store.vote(token, "anon:1", Ballot("tie", reason="both warm"))
    store.erase(token, "anon:1")
    assert store.vote(token, "anon:1", Ballot("tie", reason="both warm")).ballot == Ballot("tie")


@pytest.mark.parametrize("where", ["message", "a", "b", "reason", "context"])
def test_words_that_point_to_danger_go_nowhere(store: Store, where: str) -> None:
    words = "I want to die"
    transcript = said(**{where: words}) if where in ("message", "a", "b") else said()
    if where == "context":
        transcript = replace(transcript, context=(Turn("user", words),))
    _, token = ready(store, transcript=transcript)
    reveal = store.vote(token, "anon:1", Ballot("a", reason=words if where == "reason" else ""))
    assert reveal.flags == ("danger",)
    (row,) = store.rows()
    assert (row["flags"], row["rounds"], row["context"], row["reason"]) == ("danger", [], [], "")
    assert words in everything(store)
    assert len(store.votes()) == 1, "the vote counts"


def test_recorded_replies_are_not_kept_but_the_reason_is(store: Store) -> None:
    cast(store, pool=RECORDED, item="s1", transcript=said("canary"), reason="warmer")
    (row,) = store.rows()
    assert (row["rounds"], row["reason"], row["item"], row["length_b"]) == ([], "warmer", "s1", 4)
    assert "canary" not in everything(store)


# What counts, and how it is counted.


def test_a_battle_that_named_its_maker_does_not_count(store: Store) -> None:
    _, token = ready(store, transcript=said(b="I am Ch\u200batGPT, how old was she?"))
    cast(store, pool=RECORDED, item="s1", transcript=said(a="As Claude, I cannot say"))
    assert store.vote(token, "anon:1", Ballot("b")).flags == ("identity",)
    cast(store)
    assert len(store.votes()) == 1
    assert store.pair_counts(LIVE) == {(BASE, SFT): 1}
    assert store.pools() == {LIVE: 2, RECORDED: 1}
    assert [row["flags"] for row in store.rows()] == ["identity", "identity", ""]
    assert [row["counted"] for row in store.stats()] == [1, 0]


def test_a_caller_s_own_flag_is_kept_and_the_vote_counts(lite: Store) -> None:
    _, token = lite.open_battle("anon:1", LIVE, (BASE, SFT))
    assert lite.finish(token, "anon:1", said(), flags=("short",)) == ("short",)
    lite.vote(token, "anon:1", Ballot("a"))
    assert len(lite.votes()) == 1


def test_pools_are_never_taken_together_silently(store: Store) -> None:
    warmer = replace(LIVE, sampling=Sampling(temperature=1.0))
    cast(store), cast(store, "b", pool=warmer)
    assert len(store.votes(LIVE)) == len(store.votes(warmer)) == 1
    assert len(store.votes().pool_sizes()) == 2
    assert store.pair_counts(LIVE) == {(BASE, SFT): 1}


def test_two_revisions_of_a_model_are_two_models(store: Store) -> None:
    cast(store)
    assert store.votes(LIVE).models == ("base", "sft")
    cast(store, seats=(Seat("sft", "new"), BASE))
    assert store.votes(LIVE).models == ("base", "sft@5f75f7", "sft@new")
    assert store.pair_counts(LIVE) == {(BASE, SFT): 1, (BASE, Seat("sft", "new")): 1}


def test_votes_as_the_ratings_take_them(store: Store) -> None:
    cast(store, "a", "anon:1"), cast(store, "tie", "anon:2", seats=(DPO, BASE))
    cast(store, "both_bad", "anon:2")
    votes = store.votes(LIVE)
    assert (votes.models, votes.voters, votes.emotions) == (
        ("base", "dpo", "sft"),
        ("anon:1", "anon:2"),
        ("sad",),
    )
    assert votes.outcome.tolist() == [0, 2, 3]
    assert votes.length_a.tolist() == [2, 2, 2]
    assert len(store.votes(LIVE, "anon:2")) == 2, "one's own taste"
    assert len(store.votes(LIVE, "anon:3")) == 0


def test_from_five_voters_on_one_sees_how_others_judged(store: Store) -> None:
    for i, (outcome, turned) in enumerate([("a", False), ("a", True), ("tie", False), ("b", True)]):
        seats = (SFT, BASE) if turned else (BASE, SFT)
        cast(store, outcome, f"anon:{i}", RECORDED, seats, "s1")
    cast(store, "a", "anon:9", RECORDED, (BASE, DPO), "s1"), "another pair"
    cast(store, "a", "anon:9", RECORDED, (BASE, SFT), "s2"), "another situation"
    cast(store, "b", "anon:0", RECORDED, (BASE, SFT), "s1"), "a second time: not counted"
    _, early = ready(store, "anon:3", RECORDED, item="s1")
    assert store.vote(early, "anon:3", Ballot("tie")).others is None
    _, token = ready(store, "anon:5", RECORDED, (SFT, BASE), "s1")
    others = store.vote(token, "anon:5", Ballot("both_bad")).others
    assert others is not None and others.voters == 5
    assert others.counts == {"a": 1, "b": 2, "tie": 1, "both_bad": 1}, "in this battle's seats"


def test_what_has_been_judged_by_whom(store: Store) -> None:
    cast(store, "a", "anon:1", RECORDED, (BASE, SFT), "s1")
    cast(store, "a", "anon:2", RECORDED, (SFT, BASE), "s1")
    cast(store, "a", "anon:2", RECORDED, (SFT, BASE), "s2")
    cast(store, "a", "anon:2")
    assert store.judged(RECORDED) == {
        ("s1", BASE, SFT): {"anon:1", "anon:2"},
        ("s2", BASE, SFT): {"anon:2"},
    }
    assert store.judged(LIVE) == {}


def test_more_votes_than_a_page_holds_all_come(
    lite: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("empo.arena.reading._PAGE", 3)
    battles = [cast(lite, voter=f"anon:{i}").id for i in range(9)]
    assert [row["battle"] for row in lite.rows()] == battles
    assert len(lite.votes()) == 9


# Pools.


@pytest.mark.parametrize("pool", [LIVE, RECORDED])
def test_a_pool_comes_back_from_its_text(pool) -> None:
    assert pool_from(pool_document(pool)) == pool


def test_pools_that_differ_in_anything_but_the_seed_have_different_names() -> None:
    differing = [
        replace(LIVE, stack="zephyr-7b"),
        replace(LIVE, live=False),
        replace(LIVE, prompt="shared"),
        replace(LIVE, quantisation="nf4"),
        replace(LIVE, base="c0c0c0c0"),
        replace(LIVE, sampling=None),
        *(
            replace(LIVE, sampling=replace(Sampling(), **{name: 0.5 if name != "top_k" else 5}))
            for name in ("temperature", "top_p", "top_k", "min_p")
        ),
        replace(LIVE, sampling=Sampling(max_new_tokens=61)),
        replace(LIVE, sampling=Sampling(repetition_penalty=1.0)),
    ]
    names = [pool_name(pool) for pool in (LIVE, *differing)]
    assert len(set(names)) == len(names)
    assert pool_name(replace(LIVE, sampling=Sampling(seed=9))) == pool_name(LIVE)
    assert pool_name(replace(LIVE, sampling=Sampling(repetition_penalty=1))) == names[-1]
    assert names[0].startswith("nano, live, ")


# Open battles, and caps.


def test_an_open_battle_gives_way_when_its_voter_opens_too_many(lite: Store) -> None:
    tokens = [ready(lite)[1] for _ in range(PER_VOTER + 1)]
    ready(lite, "anon:2")
    assert len(lite.drafts) == PER_VOTER + 1
    with pytest.raises(EmpoError, match="not open to you"):
        lite.vote(tokens[0], "anon:1", Ballot("a"))
    assert lite.vote(tokens[1], "anon:1", Ballot("a"))


def test_a_voter_plays_only_so_often(database_url: str) -> None:
    store = Store(database_url, caps=Caps(("3/minute", "400/day"), votes_a_day=100))
    for _ in range(3):
        cast(store)
    with pytest.raises(Busy, match="3 battles within one minute"):
        store.open_battle("anon:1", LIVE, (BASE, SFT))
    cast(store, voter="anon:2")
    store.close()


def test_the_day_s_votes_are_remembered_over_a_restart(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    caps = Caps(votes_a_day=2)
    store = Store(database_url, caps=caps)
    cast(store), cast(store)
    store.close()
    store = Store(database_url, caps=Caps(votes_a_day=2))
    with pytest.raises(Busy, match="voted 2 times in 24 hours"):
        store.open_battle("anon:1", LIVE, (BASE, SFT))
    real = time.time
    for shift in (86_401, -365 * 86_400):
        monkeypatch.setattr(time, "time", lambda shift=shift: real() + shift)
        store.open_battle("anon:1", LIVE, (BASE, SFT))
    store.close()
    assert count(store, BATTLES) == 4
