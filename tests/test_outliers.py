"""empo/arena/outliers.py: hostile voters stand out, honest ones hardly ever do."""

from __future__ import annotations

import random

import pytest

from empo.arena.outliers import LEVEL, outliers
from empo.arena.votes import Votes, collect
from empo.leaderboard import ratings_report

STRENGTH = {"base": 0.0, "sft": 0.8, "dpo": 1.6, "blend": 2.4}


def honest(chance: random.Random, count: int, voters: int) -> list[dict]:
    """Votes by Bradley–Terry with the strengths above, seats at random."""
    rows = []
    for i in range(count):
        a, b = chance.sample(sorted(STRENGTH), 2)
        wins = chance.random() < 1 / (1 + 2.718281828 ** (STRENGTH[b] - STRENGTH[a]))
        rows.append(vote(f"h{i}", a, b, "a" if wins else "b", f"honest{i % voters}"))
    return rows


def hostile(chance: random.Random, count: int, voters: int, target: str) -> list[dict]:
    """Votes of people who are drawn any pair, and let `target` win and others lose."""
    rows = []
    for i in range(count):
        a, b = chance.sample(sorted(STRENGTH), 2)
        first = target == a or (target != b and STRENGTH[a] < STRENGTH[b])
        rows.append(vote(f"x{i}", a, b, "a" if first else "b", f"hostile{i % voters}"))
    return rows


def vote(battle: str, a: str, b: str, outcome: str, voter: str) -> dict:
    return {"battle": battle, "model_a": a, "model_b": b, "outcome": outcome, "voter": voter}


def votes_of(rows: list[dict]) -> Votes:
    return collect(enumerate(rows, 1))


def test_a_hand_worked_voter() -> None:
    """Others: x beats y 9 of 10. One voter says y ten times: p = (1 + .5)/(10 + 1) each."""
    rows = [vote(f"o{i}", "x", "y", "b" if i == 0 else "a", f"v{i}") for i in range(10)]
    rows += [vote(f"m{i}", *("xy" if i % 2 else "yx"), "ba"[i % 2 == 0], "me") for i in range(10)]
    (found,) = [o for o in outliers(votes_of(rows)) if o.reason == "against the others"]
    assert (found.voter, found.votes) == ("me", 10)
    assert found.probability == pytest.approx((1.5 / 11) ** 10, rel=1e-3)


def test_hostile_voters_are_flagged_and_change_no_order() -> None:
    """A thousand honest votes and a hundred of five accounts for the weakest model."""
    chance = random.Random(4)
    good = honest(chance, 1000, 50)
    bad = hostile(chance, 100, 5, "base")
    found = outliers(votes_of(good + bad))
    assert {o.voter for o in found} == {f"hostile{i}" for i in range(5)}
    before, after = (ratings_report(votes_of(rows)) for rows in (good, good + bad))
    order = [row["model"] for row in before["standings"]]
    assert order == [row["model"] for row in after["standings"]] == ["blend", "dpo", "sft", "base"]
    assert after["votes"] == 1100, "nothing was deleted"


def test_who_always_takes_one_side_is_flagged() -> None:
    chance = random.Random(1)
    rows = honest(chance, 400, 20)
    rows += [
        row | {"battle": f"l{i}", "voter": "left", "outcome": "a"}
        for i, row in enumerate(rows[:20])
    ]
    sided = [o for o in outliers(votes_of(rows)) if o.reason == "one side"]
    assert [(o.voter, o.votes) for o in sided] == [("left", 20)]
    assert sided[0].probability == pytest.approx(2 * 0.5**20)


def test_honest_voters_are_hardly_ever_flagged() -> None:
    """`LEVEL` promises about one world in a hundred; of forty, two would be improbable."""
    worlds = [outliers(votes_of(honest(random.Random(seed), 600, 30))) for seed in range(40)]
    assert sum(map(bool, worlds)) <= 1
    assert LEVEL == 0.01


def test_of_few_votes_and_of_ties_nothing_is_said() -> None:
    rows = honest(random.Random(2), 300, 10)
    rows += [vote(f"f{i}", "base", "blend", "a", "few") for i in range(9)]
    rows += [vote(f"t{i}", "base", "blend", "tie", "ties") for i in range(50)]
    assert not {o.voter for o in outliers(votes_of(rows))} & {"few", "ties"}
    assert outliers(collect([])) == ()
