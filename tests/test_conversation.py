"""The tree of exchanges, by hand-made conversations."""

from __future__ import annotations

from dataclasses import replace

import pytest

from empo.conversation import (
    MAX_EXCHANGES,
    Conversation,
    before,
    continue_from,
    from_data,
    history,
    say,
    settled,
    switch,
    to_data,
    undo,
    with_exchange,
)
from empo.errors import DataError, UsageError
from empo.types import ModelSpec, Reply, Sampling, Turn

SPECS = (ModelSpec("base", "Base", "before", "base"), ModelSpec("sft", "SFT", "taught", "sft"))
U, A = "user", "assistant"


def told(conversation: Conversation, message: str, *replies: str) -> Conversation:
    """`message` said, and answered with `replies`, one a column."""
    specs = [SPECS[i % 2] for i in range(len(replies))]
    now, _ = say(conversation, message, specs, Sampling(), "none")
    exchange = now.exchange(now.leaf or 0)
    answers = tuple(
        replace(a, text=text, reply=Reply(a.model, text, 1, 1.0, 0.1, "end"))
        for a, text in zip(exchange.answers, replies, strict=True)
    )
    return with_exchange(now, replace(exchange, answers=answers))


def turns(*pairs: tuple[str, str]) -> tuple[Turn, ...]:
    return tuple(Turn(role, text) for role, text in pairs)


def test_each_column_remembers_its_own_replies() -> None:
    now = told(told(Conversation(), "a", "a0", "a1"), "b", "b0", "b1")
    assert history(now, 0) == turns((U, "a"), (A, "a0"), (U, "b"), (A, "b0"))
    assert history(now, 1) == turns((U, "a"), (A, "a1"), (U, "b"), (A, "b1"))
    _, asked = say(now, "c", SPECS, Sampling(), "none")
    assert [h[-1] for h in asked] == [Turn(U, "c"), Turn(U, "c")]
    assert asked[1][:4] == history(now, 1)


def test_a_continued_reply_becomes_everybodys_history() -> None:
    now = told(told(Conversation(), "a", "a0", "a1"), "b", "b0", "b1")
    now = told(continue_from(now, 2, 1), "c", "c0", "c1")
    assert now.path()[-1].follows == 1
    shared = ((U, "a"), (A, "a1"), (U, "b"), (A, "b1"), (U, "c"))
    assert history(now, 0) == turns(*shared, (A, "c0"))
    assert history(now, 1) == turns(*shared, (A, "c1"))
    # A second adoption further on: what came before the first stays that column's.
    now = continue_from(now, 3, 0)
    assert history(now, 1) == turns(*shared, (A, "c0"))


def test_continuing_from_an_earlier_reply_branches() -> None:
    now = told(told(Conversation(), "a", "a0", "a1"), "b", "b0", "b1")
    now = told(continue_from(now, 1, 0), "c", "c0", "c1")
    assert [e.message for e in now.path()] == ["a", "c"]
    assert now.versions(3) == (2, 3)
    assert [e.message for e in switch(now, 2).path()] == ["a", "b"]


def test_an_edited_message_is_a_version_of_it_and_the_old_branch_stays() -> None:
    now = told(told(Conversation(), "a", "a0"), "b", "b0")
    edited = told(before(now, 1), "a!", "x")
    assert [e.message for e in edited.path()] == ["a!"]
    assert edited.versions(3) == (1, 3)
    assert [e.message for e in switch(edited, 1).path()] == ["a", "b"]
    assert history(switch(edited, 3), 0) == turns((U, "a!"), (A, "x"))


def test_before_keeps_what_was_adopted_there() -> None:
    now = told(continue_from(told(Conversation(), "a", "a0", "a1"), 1, 1), "b", "b0", "b1")
    again, asked = say(before(now, 2), "b", SPECS, Sampling(seed=1), "none")
    assert asked[0] == turns((U, "a"), (A, "a1"), (U, "b"))
    assert again.versions(3) == (2, 3)


def test_undo_takes_the_exchange_and_all_after_it() -> None:
    now = told(told(Conversation(), "a", "a0"), "b", "b0")
    back, message = undo(now)
    assert (message, [e.message for e in back.exchanges]) == ("b", ["a"])
    # Standing at an earlier exchange, what follows it goes too.
    back, message = undo(continue_from(now, 1, 0))
    assert (message, back) == ("a", Conversation())
    assert undo(Conversation()) == (Conversation(), "")


def test_a_column_that_joins_later_knows_the_first_columns_replies() -> None:
    now = told(told(Conversation(), "a", "a0"), "b", "b0", "b1")
    assert history(now, 1) == turns((U, "a"), (A, "a0"), (U, "b"), (A, "b1"))


def test_a_stopped_empty_reply_leaves_no_gap_in_the_roles() -> None:
    now = told(told(Conversation(), "a", "", "a1"), "b", "b0", "b1")
    assert history(now, 0) == turns((U, "b"), (A, "b0"))
    with pytest.raises(UsageError, match="no reply to continue from"):
        continue_from(now, 1, 0)


def test_what_was_cut_off_is_settled_as_cancelled() -> None:
    now, _ = say(Conversation(), "a", SPECS, Sampling(), "none")
    exchange = now.exchange(1)
    half = replace(exchange.answers[0], text="so far so")
    now = settled(with_exchange(now, replace(exchange, answers=(half, exchange.answers[1]))))
    replies = [a.reply for a in now.exchange(1).answers]
    assert [(r.text, r.stopped_by) for r in replies if r] == [
        ("so far so", "cancelled"),
        ("", "cancelled"),
    ]
    assert settled(now) is now


def test_to_plain_values_and_back() -> None:
    now = told(continue_from(told(Conversation(), "a", "a0", "a1"), 1, 1), "ü 😀", "b0", "b1")
    assert from_data(to_data(now)) == now


def damaged(**changes: object) -> dict[str, object]:
    data = to_data(told(told(Conversation(), "a", "a0"), "b", "b0"))
    data["exchanges"][1].update(changes)
    return data


@pytest.mark.parametrize(
    "data",
    [
        None,
        [],
        "x",
        {"exchanges": 3},
        damaged(parent=7),
        damaged(parent=2),
        damaged(id=1),
        damaged(answers=[]),
        damaged(message="x" * 40_000),
        damaged(message=["x"]),
        damaged(follows=1),
        damaged(follows=-1),
        damaged(prompt="secret"),
        {**damaged(), "follow": 4},
        {**damaged(), "leaf": 9},
        {"exchanges": [{**damaged()["exchanges"][0], "id": i} for i in range(MAX_EXCHANGES + 1)]},
    ],
)
def test_forged_data_is_refused(data: object) -> None:
    with pytest.raises(DataError, match="start a new one"):
        from_data(data)


def test_limits_are_one_sentence_each() -> None:
    with pytest.raises(UsageError, match="between one and 4 models"):
        say(Conversation(), "a", SPECS * 3, Sampling(), "none")
    with pytest.raises(UsageError, match="no longer part of this conversation"):
        Conversation().exchange(3)
