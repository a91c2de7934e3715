"""Krippendorff's alpha against the published package, and the human evaluation by hand."""

from __future__ import annotations

import krippendorff
import numpy as np
import pytest
from scipy import stats

from empo.arena.agreement import (
    HumanRatings,
    compare_systems,
    holm,
    interval_alpha,
    nominal_alpha,
    voter_agreement,
)
from empo.arena.votes import collect

NAN = np.nan
# Three coders, fifteen units: the example of Krippendorff (2011), “Computing Krippendorff's
# alpha-reliability”; nominal alpha 0.691, interval alpha 0.811.
CODERS = np.array(
    [
        [NAN, NAN, NAN, NAN, NAN, 3, 4, 1, 2, 1, 1, 3, 3, NAN, 3],
        [1, NAN, 2, 1, 3, 3, 4, 3, NAN, NAN, NAN, NAN, NAN, NAN, NAN],
        [NAN, NAN, 2, 1, 3, 4, 4, NAN, 2, 1, 1, 3, 3, NAN, 4],
    ]
)


def long_form(table: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    _, unit = np.nonzero(~np.isnan(table))
    return unit, table[~np.isnan(table)]


def test_alpha_of_the_published_example() -> None:
    unit, value = long_form(CODERS)
    assert nominal_alpha(unit, value) == pytest.approx(0.691, abs=5e-4)
    assert interval_alpha(unit, value) == pytest.approx(0.811, abs=5e-4)


def test_alpha_is_that_of_the_package() -> None:
    rng = np.random.default_rng(0)
    for _ in range(10):
        table = rng.integers(0, 5, (6, 20)) + rng.integers(0, 3, 20)
        table = np.where(rng.random((6, 20)) < 0.4, NAN, table)
        unit, value = long_form(table)
        for level, alpha in (("nominal", nominal_alpha), ("interval", interval_alpha)):
            expected = krippendorff.alpha(table, level_of_measurement=level)
            assert alpha(unit, value) == pytest.approx(expected)


def test_alpha_where_nothing_can_be_said() -> None:
    once = np.array([0, 1, 2])
    assert nominal_alpha(once, np.array([1, 2, 1])) is None
    assert interval_alpha(once, np.array([1.0, 2, 1])) is None
    twice = np.array([0, 0, 1, 1])
    assert nominal_alpha(twice, np.array([2, 2, 2, 2])) is None
    assert interval_alpha(twice, np.array([0.1, 0.1, 0.1, 0.1])) is None
    assert nominal_alpha(twice, np.array([1, 1, 2, 2])) == 1


def test_voters_who_judge_the_same_pair_in_turned_seats_agree() -> None:
    def row(battle: str, a: str, b: str, outcome: str, voter: str, item: str | None) -> dict:
        names = {"battle": battle, "model_a": a, "model_b": b, "item": item}
        return {**names, "outcome": outcome, "voter": voter}

    rows = [
        row("1", "A", "B", "a", "p", "card"),
        row("2", "B", "A", "b", "q", "card"),  # the same judgement
        row("3", "A", "B", "b", "p", "other"),
        row("4", "A", "B", "b", "r", "other"),
        row("5", "A", "C", "tie", "r", "other"),  # another pair: judged once
        row("6", "A", "B", "tie", "p", None),
        row("6", "A", "B", "both_bad", "q", None),  # no item: the battle is the item
    ]
    agreed = voter_agreement(collect(enumerate(rows[:5], 1)))
    assert agreed == {"alpha": 1.0, "units": 2, "votes": 4}
    less = voter_agreement(collect(enumerate(rows, 1)))
    assert (less["units"], less["votes"]) == (3, 6)
    # By hand: D_o = 2 of 6; of the 30 ordered pairs of 6 answers (A, A, B, B, tie, bad) 26 differ.
    assert less["alpha"] == pytest.approx(1 - (2 / 6) / (26 / 30))


def ratings(table: dict[tuple[str, str, str], float]) -> HumanRatings:
    names = [tuple(sorted(set(column))) for column in zip(*table, strict=True)]
    codes = [
        np.array([known.index(value) for value in column])
        for known, column in zip(names, zip(*table, strict=True), strict=True)
    ]
    values = np.array(list(table.values()), dtype=float)[:, None]
    return HumanRatings(*names, ("fit",), *codes, values)


BY_HAND = {
    ("i1", "A", "r1"): 60,
    ("i1", "A", "r2"): 80,
    ("i1", "B", "r1"): 50,
    ("i1", "B", "r2"): 60,
    ("i2", "A", "r1"): 40,
    ("i2", "A", "r2"): 60,
    ("i2", "B", "r1"): 30,
    ("i2", "B", "r2"): 70,
    ("i3", "A", "r1"): 90,
    ("i3", "A", "r2"): 90,
    ("i3", "B", "r1"): 70,
    ("i3", "B", "r2"): 90,
}


def test_comparison_by_hand() -> None:
    """Item means A 70, 50, 90; B 55, 50, 80: means 70 and 61.7, sds 20 and 16.1."""
    found = compare_systems(ratings(BY_HAND))["dimensions"]["fit"]
    assert found["systems"]["A"] == {"mean": 70, "sd": 20, "n": 3}
    assert found["systems"]["B"]["mean"] == pytest.approx(185 / 3)
    assert found["systems"]["B"]["sd"] == pytest.approx(np.std([55, 50, 80], ddof=1))
    (pair,) = found["pairs"]
    assert (pair["a"], pair["b"]) == ("A", "B")
    pooled = np.sqrt((400 + np.var([55, 50, 80], ddof=1)) / 2)
    assert pair["d"] == pytest.approx((70 - 185 / 3) / pooled)
    # Differences 15, 0, 10: t = 8.333 / (7.638 / sqrt 3) = 1.8898, two degrees of freedom.
    assert pair["p"] == pytest.approx(2 * stats.t.sf(1.8898, 2), abs=1e-4)
    assert pair["p"] == pair["p_holm"]
    # Resampling two raters gives r2 alone (1/4), both (1/2), r1 alone (1/4): 3.3, 8.3, 13.3.
    assert (pair["low"], pair["high"]) == (pytest.approx(10 / 3), pytest.approx(40 / 3))
    unit = np.repeat(np.arange(6), 2)
    alpha = interval_alpha(unit, np.array([60, 80, 50, 60, 40, 60, 30, 70, 90, 90, 70, 90.0]))
    assert found["alpha"] == pytest.approx(alpha)


def test_holm_by_hand() -> None:
    """Holm (1979): the smallest times m, then m - 1, ..., never decreasing, at most 1."""
    assert holm([0.01, 0.04, None, 0.03, 0.5]) == pytest.approx([0.04, 0.09, None, 0.09, 0.5])
    assert holm([0.6, 0.7]) == [1.0, 1.0]
    assert holm([]) == []


def noisy(seed: int, raters: int = 30, items: int = 15) -> HumanRatings:
    """Raters of very different levels and tastes; system B is 5 points better on average."""
    rng = np.random.default_rng(seed)
    level, taste = rng.normal(50, 15, raters), rng.normal(5, 8, raters)
    table = {}
    for rater in range(raters):
        for item in rng.choice(items, min(items, 6), replace=False):
            for system in "AB":
                extra = taste[rater] if system == "B" else 0.0
                value = level[rater] + extra + rng.normal(0, 6)
                table[f"i{item:02d}", system, f"r{rater:02d}"] = float(value)
    return ratings(table)


def test_the_interval_holds_the_truth_and_is_seeded() -> None:
    """Of 60 simulations at least 85 % hold the difference of -5 (A minus B)."""
    held = []
    for seed in range(60):
        (pair,) = compare_systems(noisy(seed), draws=400)["dimensions"]["fit"]["pairs"]
        held.append(pair["low"] <= -5 <= pair["high"])
    assert np.mean(held) >= 0.85
    once, again = (compare_systems(noisy(1), seed=3, draws=200) for _ in range(2))
    assert once == again
    assert once != compare_systems(noisy(1), seed=4, draws=200)


def test_bootstrap_is_that_of_a_plain_loop() -> None:
    """The sparse products give what resampling rows rater by rater gives."""
    data = noisy(2, raters=6, items=9)
    (pair,) = compare_systems(data, seed=1, draws=50)["dimensions"]["fit"]["pairs"]
    counts = np.random.default_rng(1).multinomial(6, np.full(6, 1 / 6), size=50)
    slow = []
    for draw in counts:
        rows = np.repeat(np.arange(len(data.rater)), draw[data.rater])
        differences = []
        for item in range(len(data.items)):
            here = rows[data.item[rows] == item]
            both = [data.values[here[data.system[here] == s], 0] for s in (0, 1)]
            if all(len(x) for x in both):
                differences.append(both[0].mean() - both[1].mean())
        if differences:
            slow.append(np.mean(differences))
    assert [pair["low"], pair["high"]] == pytest.approx(list(np.quantile(slow, [0.025, 0.975])))


def test_what_cannot_be_said_is_none() -> None:
    one_rater = {key: value for key, value in BY_HAND.items() if key[2] == "r1"}
    found = compare_systems(ratings(one_rater))["dimensions"]["fit"]
    assert found["alpha"] is None
    assert (found["pairs"][0]["low"], found["pairs"][0]["high"]) == (None, None)
    assert found["pairs"][0]["p"] is not None
    one_item = {key: value for key, value in BY_HAND.items() if key[0] == "i1"}
    (pair,) = compare_systems(ratings(one_item))["dimensions"]["fit"]["pairs"]
    assert (pair["d"], pair["p"], pair["p_holm"]) == (None, None, None)
    one_system = {key: value for key, value in BY_HAND.items() if key[1] == "A"}
    assert compare_systems(ratings(one_system))["dimensions"]["fit"]["pairs"] == []
