"""Voters who stand out: by hand, against a crowd, and never honest ones by the dozen."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
import pytest

from empo.arena.cells import plain_cells
from empo.arena.unusual import Unusual, unusual_voters
from empo.arena.votes import Votes, collect
from empo.leaderboard import ratings_report

NAMES = ("base", "dpo", "sft")
STRENGTH = np.array([-0.4, 0.5, 0.1])


def votes_of(rows: Iterable[tuple[str, str, str, str]]) -> Votes:
    """Rows (model_a, model_b, outcome, voter)."""
    keys = ("model_a", "model_b", "outcome", "voter")
    return collect(
        (i, {"battle": str(i), **dict(zip(keys, row, strict=True))})
        for i, row in enumerate(rows, 1)
    )


def crowd(seed: int, votes: int, voters: int = 100) -> list[tuple[str, str, str, str]]:
    """Honest votes of people with tastes of their own (sd 0.4), a tenth of them ties."""
    rng = np.random.default_rng(seed)
    taste, rows = rng.normal(0, 0.4, (voters, 3)), []
    for i in range(votes):
        a, b = rng.choice(3, 2, replace=False)
        lead = (STRENGTH + taste[i % voters])[[a, b]]
        better = "a" if rng.random() < 1 / (1 + np.exp(lead[1] - lead[0])) else "b"
        outcome = "tie" if rng.random() < 0.1 else better
        rows.append((NAMES[a], NAMES[b], outcome, f"honest{i % voters}"))
    return rows


def found(rows: Iterable[tuple[str, str, str, str]]) -> tuple[Unusual, ...]:
    votes = votes_of(rows)
    return unusual_voters(votes, plain_cells(votes))


def test_one_voter_by_hand() -> None:
    """Nine voters are even on A and B, ten votes each; the tenth says B ten times."""
    rows = [("A", "B", "ab"[i % 2], f"v{i // 10}") for i in range(90)]
    rows += [("AB"[i % 2], "BA"[i % 2], "ba"[i % 2], "x") for i in range(10)]
    (entry,) = found(rows)
    assert (entry.voter, entry.kind, entry.model) == ("x", "for", "B")
    assert (entry.count, entry.total, entry.expected) == (10, 10, 0.5)
    # Beta-binomial around 46 of 92: 2 · (46 · 47 · … · 55) / (92 · 93 · … · 101).
    p = 2 * math.prod(range(46, 56)) / math.prod(range(92, 102))
    assert entry.p == pytest.approx(p)


def test_five_accounts_that_push_one_model_are_named_with_what_they_do_to_the_order() -> None:
    """A thousand honest votes, a hundred hostile ones: they lift their model, and no further."""
    pushed = []
    for i in range(100):
        other = ("base", "dpo")[i % 2]
        pair = ("sft", other) if i // 2 % 2 else (other, "sft")
        pushed.append((*pair, "a" if pair[0] == "sft" else "b", f"pusher{i % 5}"))
    rows = crowd(3, 1000) + pushed
    named = found(rows)
    assert {entry.voter for entry in named} == {f"pusher{i}" for i in range(5)}
    assert {(entry.kind, entry.model) for entry in named} == {("for", "sft")}
    report = ratings_report(votes_of(rows))
    honest = ratings_report(votes_of(rows[:1000]))
    order = [row["model"] for row in honest["standings"]]
    assert order == ["dpo", "sft", "base"]
    assert [row["model"] for row in report["standings"]] == order
    assert report["without_unusual"] == {"votes": 1000, "order": order}
    assert honest["unusual_voters"] == [] and honest["without_unusual"] is None


def test_honest_people_with_tastes_are_left_alone() -> None:
    """In twenty crowds of a hundred people, fewer than one in a hundred people is named."""
    assert sum(len(found(crowd(seed, 3000))) for seed in range(20)) < 20


def test_always_the_left_one() -> None:
    rows = crowd(5, 1000) + [(NAMES[i % 3], NAMES[(i + 1) % 3], "a", "clicker") for i in range(30)]
    (entry,) = found(rows)
    assert (entry.voter, entry.kind, entry.model) == ("clicker", "left", None)
    assert (entry.count, entry.total) == (30, 30) and 0.4 < entry.expected < 0.6


def test_one_voter_with_much_of_it() -> None:
    rows = crowd(6, 60, voters=12) + [(*row[:3], "keen") for row in crowd(7, 40, voters=1)]
    (entry,) = found(rows)
    assert (entry.voter, entry.kind, entry.count, entry.total) == ("keen", "many", 40, 100)
    assert entry.p is None


def test_little_is_said_of_few_votes() -> None:
    assert found([]) == ()
    assert found([("A", "B", "a", "me")] * 1) == ()
    # With nobody to compare with, twenty wins of twenty are no wonder.
    assert found([("A", "B", "a", "me") for _ in range(20)]) == ()
    assert found([*(("A", "B", "a", f"v{i}") for i in range(7)), ("A", "B", "b", "x")]) == ()
