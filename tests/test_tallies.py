"""Counts by hand."""

from __future__ import annotations

import pytest

from empo.arena.tallies import both_bad, emotion_wins, position_bias, score_agreement, win_matrix
from empo.arena.votes import Votes, collect

ROWS = [
    ("A", "B", "a", "p", "sad", 1.0, 0.0),
    ("B", "A", "a", "p", "sad", 0.0, 2.0),
    ("B", "A", "b", "q", "joyful", 0.5, 0.7),
    ("A", "B", "tie", "q", "sad", 1.0, 0.0),
    ("A", "C", "both_bad", "r", "sad", 1.0, 0.0),
    ("C", "B", "a", "r", None, 1.0, 1.0),
]


@pytest.fixture(scope="module")
def votes() -> Votes:
    return collect(
        (
            i,
            {
                "battle": str(i),
                "model_a": a,
                "model_b": b,
                "outcome": outcome,
                "voter": voter,
                "emotion": emotion,
                "scores_a": {"warm": x},
                "scores_b": {"warm": y},
            },
        )
        for i, (a, b, outcome, voter, emotion, x, y) in enumerate(ROWS, 1)
    )


def test_win_matrix(votes: Votes) -> None:
    found = win_matrix(votes)
    assert found["models"] == ["A", "B", "C"]
    assert found["wins"] == [[0, 2, 0], [1, 0, 0], [0, 1, 0]]
    assert found["ties"] == [[0, 1, 0], [1, 0, 0], [0, 0, 0]]
    assert found["rate"] == [[None, 0.625, None], [0.375, None, 0.0], [None, 1.0, None]]


def test_both_bad(votes: Votes) -> None:
    found = both_bad(votes)
    assert (found["votes"], found["share"]) == (1, pytest.approx(1 / 6))
    assert found["low"] < 1 / 6 < found["high"]
    assert found["models"] == [
        {"model": "A", "both_bad": 1, "battles": 5, "share": 0.2},
        {"model": "B", "both_bad": 0, "battles": 5, "share": 0.0},
        {"model": "C", "both_bad": 1, "battles": 2, "share": 0.5},
    ]


def test_position_bias(votes: Votes) -> None:
    """Three of the four votes with a winner went to the left."""
    found = position_bias(votes)
    assert (found["share"], found["votes"]) == (0.75, 4)
    assert found["low"] < 0.5


def test_score_agreement(votes: Votes) -> None:
    """Vote 1 agrees, 2 does not, 3 does; 4 and 5 have no winner, 6 no higher score."""
    found = score_agreement(votes)["warm"]
    assert (found["share"], found["votes"]) == (pytest.approx(2 / 3), 3)


def test_emotion_wins(votes: Votes) -> None:
    found = emotion_wins(votes)
    assert set(found) == {"sad", "joyful"}
    assert found["sad"]["A"] == {"wins": 1, "losses": 1, "ties": 1, "votes": 3, "rate": 0.5}
    assert found["joyful"]["A"] == {"wins": 1, "losses": 0, "ties": 0, "votes": 1, "rate": 1.0}
    assert "C" not in found["sad"]


def test_no_votes_at_all() -> None:
    empty = collect([])
    assert win_matrix(empty)["rate"] == []
    assert both_bad(empty) == {"share": None, "low": None, "high": None, "votes": 0, "models": []}
    assert position_bias(empty)["share"] is None
    assert emotion_wins(empty) == score_agreement(empty) == {}
