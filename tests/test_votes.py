"""Votes from lines: names, lengths, repeats, and one sentence for everything that is wrong."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from empo.arena.votes import OUTCOMES, Encoded, collect, from_columns
from empo.errors import DataError


def vote(battle: str, a: str, b: str, outcome: str, voter: str, **more: Any) -> dict[str, Any]:
    return {
        "battle": battle,
        "model_a": a,
        "model_b": b,
        "outcome": outcome,
        "voter": voter,
        "length_a": 10,
        "length_b": 12,
        **more,
    }


ROWS = [
    vote("1", "sft", "base", "a", "zoe", pool="live", emotion="sad"),
    vote("2", "dpo", "sft", "tie", "adam", length_a=None, item="card 4"),
    vote("3", "base", "dpo", "both_bad", "zoe", scores_a={"x": 1, "y": None}, scores_b={"x": 2.5}),
]


def test_columns_hold_sorted_names() -> None:
    votes = collect(enumerate(ROWS, 1))
    assert votes.models == ("base", "dpo", "sft")
    assert votes.voters == ("adam", "zoe")
    assert votes.pools == ("", "live")
    assert votes.emotions == ("sad",)
    assert votes.model_a.tolist() == [2, 1, 0]
    assert [OUTCOMES[i] for i in votes.outcome] == ["a", "tie", "both_bad"]
    assert votes.emotion.tolist() == [0, -1, -1]
    assert len(set(votes.item.tolist())) == 3
    assert np.isnan(votes.length_a[1])
    np.testing.assert_array_equal(votes.scores["x"], [[np.nan] * 2, [np.nan] * 2, [1, 2.5]])
    assert "y" not in votes.scores


def test_take_keeps_what_is_left() -> None:
    left = collect(enumerate(ROWS, 1)).take(np.array([True, False, False]))
    assert left.models == ("base", "sft")
    assert (left.model_a.tolist(), left.model_b.tolist()) == ([1], [0])
    assert left.pool_sizes() == {"live": 1}


def test_numbers_will_do_for_voters_and_battles() -> None:
    votes = collect([(1, vote(7, "a", "b", "a", 12)), (2, vote("7", "a", "b", "b", "13"))])
    assert votes.voters == ("12", "13")
    assert votes.item[0] == votes.item[1]


def test_a_repeat_counts_once_and_a_contradiction_is_an_error() -> None:
    rows = [vote("1", "x", "y", "a", "p"), vote("2", "x", "y", "b", "p")]
    votes = collect(enumerate([*rows, rows[0]], 1))
    assert (len(votes), votes.repeats) == (2, 1)
    with pytest.raises(DataError, match=r"^f, line 3: the voter “p” has voted .* in line 1;"):
        collect(enumerate([*rows, vote("1", "x", "y", "b", "p")], 1), "f")
    other = vote("1", "x", "y", "b", "p", pool="another")
    assert len(collect(enumerate([*rows, other], 1))) == 3


@pytest.mark.parametrize(
    ("row", "says"),
    [
        (vote("1", "x", "y", "A", "p"), "the outcome “A” is not one of a, b, tie, both_bad"),
        (vote("1", "x", "y", None, "p"), "the outcome “None” is not one of"),
        (vote("1", "x", "x", "a", "p"), "“x” cannot meet itself"),
        (vote("1", "", "y", "a", "p"), "“model_a” has to be a name"),
        (vote("1", "x", "y", "a", None), "“voter” has to be a name"),
        (vote("1", "x", "y", "a", "p", length_a=-1), "“length_a” has to be a number"),
        (vote("1", "x", "y", "a", "p", length_b="9"), "“length_b” has to be a number"),
        (vote("1", "x", "y", "a", "p", length_b=float("nan")), "“length_b” has to be a number"),
        (vote("1", "x", "y", "a", "p", pool=["live"]), "“pool” has to be a text"),
        (vote("1", "x", "y", "a", "p", scores_a=3, scores_b={}), "scores_a and scores_b have"),
        (vote("1", "x", "y", "a", "p", scores_a={"s": "1"}, scores_b={"s": 2}), "scores_a and"),
        ({"battle": "1", "model_a": "x"}, "the field “model_b” is missing"),
        (["no", "object"], "a vote is an object"),
        ("text", "a vote is an object"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(row: Any, says: str) -> None:
    good = vote("0", "x", "y", "a", "q")
    with pytest.raises(DataError, match=r"^votes.jsonl, line 5: ") as caught:
        collect([(1, good), (5, row)], "votes.jsonl")
    assert says in str(caught.value)
    assert str(caught.value).count("\n") == 0


def encoded(values: list[str]) -> Encoded:
    names = list(dict.fromkeys(values))
    return Encoded(names, np.array([names.index(value) for value in values]))


KEYS = ("model_a", "model_b", "outcome", "voter", "pool", "emotion")


def test_ready_columns_give_the_same_votes() -> None:
    rows = [{key: v for key, v in row.items() if not key.startswith("scores")} for row in ROWS]
    text = {key: encoded([row.get(key) or "" for row in rows]) for key in KEYS}
    lengths = {"length_a": np.array([10, np.nan, 10]), "length_b": np.array([12.0, 12, 12])}
    fast = from_columns(text, lengths, np.arange(3), np.array([-1, 0, -1]))
    slow = collect(enumerate(rows, 1))
    for name in ("models", "voters", "pools", "emotions"):
        assert getattr(fast, name) == getattr(slow, name)
    for name in ("model_a", "model_b", "outcome", "voter", "pool", "emotion", "length_a"):
        np.testing.assert_array_equal(getattr(fast, name), getattr(slow, name))
    assert len(set(fast.item.tolist())) == 3


@pytest.mark.parametrize("change", ["outcome", "self", "length", "name", "battle"])
def test_unusual_columns_are_left_to_the_slow_way(change: str) -> None:
    row = {**vote("1", "x", "y", "a", "p"), "pool": "", "emotion": ""}
    row |= {"outcome": {"outcome": "A"}, "self": {"model_b": "x"}, "name": {"voter": ""}}.get(
        change, {}
    )
    lengths = {"length_a": np.array([-1.0 if change == "length" else 1.0])}
    battle = np.array([-1 if change == "battle" else 0])
    with pytest.raises(ValueError):
        from_columns({key: encoded([row[key]]) for key in KEYS}, lengths, battle, np.array([-1]))
