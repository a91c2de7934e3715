"""Ratings: scale, adjustment, groups, the traps of small files, and independence of order."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from empo.arena.bradley_terry import POINTS, Cells, fit, probabilities
from empo.arena.ratings import Ratings, Standing, rate, rate_adjusted, votes_needed
from empo.arena.votes import Votes, collect


def votes_of(rows: Sequence[tuple[Any, ...]]) -> Votes:
    """Rows (model_a, model_b, outcome, voter[, length_a, length_b])."""
    return collect(
        (
            i,
            {
                "battle": f"b{i}",
                **dict(zip(("model_a", "model_b", "outcome", "voter"), row, strict=False)),
                "length_a": row[4] if len(row) > 4 else 10,
                "length_b": row[5] if len(row) > 4 else 10,
            },
        )
        for i, row in enumerate(rows, 1)
    )


def by_model(ratings: Ratings) -> dict[str, Standing]:
    return {row.model: row for row in ratings.standings}


def test_scale_of_two_models() -> None:
    """30 wins to 3 are odds of 10: 400 points, around 1000; the interval holds the rating."""
    rows = [("A", "B", "a" if i % 11 else "b", f"v{i}") for i in range(33)]
    ratings = rate(votes_of(rows))
    first, second = ratings.standings
    assert (first.model, first.wins, first.losses, first.ties, first.votes) == ("A", 30, 3, 0, 33)
    assert first.rating == pytest.approx(1200)
    assert second.rating == pytest.approx(800)
    assert first.low is not None and first.high is not None and first.low < 1200 < first.high
    # Every voter voted once: the spread is that of 33 independent votes, give or take.
    error = POINTS / 2 * math.sqrt(1 / 30 + 1 / 3)
    assert (first.high - first.low) / 2 == pytest.approx(2.04 * error, rel=0.1)


def test_seat_order_does_not_matter_to_the_plain_ratings() -> None:
    rows = [
        ("A", "B", "a", "p"),
        ("A", "B", "b", "q"),
        ("A", "C", "tie", "p"),
        ("B", "C", "a", "r"),
    ]
    swap = {"a": "b", "b": "a"}
    turned = [(b, a, swap.get(outcome, outcome), voter) for a, b, outcome, voter in rows]
    assert rate(votes_of(rows)) == rate(votes_of(turned))


def test_both_bad_takes_no_part() -> None:
    rows = [("A", "B", "a", "p"), ("A", "B", "b", "q"), ("A", "B", "a", "r")]
    with_bad = rate(votes_of([*rows, ("A", "B", "both_bad", "s"), ("B", "A", "both_bad", "p")]))
    assert with_bad.standings == rate(votes_of(rows)).standings


def people(rng: np.random.Generator, strength: np.ndarray, taste: float) -> Votes:
    """20 votes each of 40 people whose strengths are off by normal noise of sd `taste`."""
    each, voters, m = 20, 40, len(strength)
    n, voter = each * voters, np.repeat(np.arange(voters), each)
    a = rng.integers(m, size=n)
    b = (a + 1 + rng.integers(m - 1, size=n)) % m
    own = strength + rng.normal(0, taste, (voters, m))
    chance = np.stack(probabilities(own[voter, a] - own[voter, b], -0.5), axis=1)
    outcome = (rng.random(n)[:, None] > chance.cumsum(axis=1)).sum(axis=1)
    names = tuple(f"m{i}" for i in range(m)), tuple(f"v{i:02d}" for i in range(voters))
    zero = np.zeros(n, dtype=np.int64)
    rest = (zero, np.arange(n), zero - 1, zero + np.nan, zero + np.nan)
    return Votes(*names, ("",), (), a, b, outcome, voter, *rest)


def true_ratings(strength: np.ndarray, taste: float) -> np.ndarray:
    """What infinitely many such people's ratings come to: the fit of expected counts."""
    i, j = np.triu_indices(len(strength), 1)
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    lead = (strength[i] - strength[j])[:, None] + np.sqrt(2) * taste * nodes
    expected = [part @ weights / weights.sum() for part in probabilities(lead, -0.5)]
    cells = Cells(len(strength), i, j, *expected, np.arange(len(i)), np.zeros((len(i), 0)))
    return 1000 + POINTS * fit(cells).strength


def test_coverage_of_the_intervals() -> None:
    """Of the 95 % intervals of 500 simulations of people who differ, 92 to 98 % hold the truth."""
    strength = np.linspace(-0.6, 0.6, 4)
    truth = true_ratings(strength, taste=0.7)
    held = [
        row.low < truth[int(row.model[1:])] < row.high
        for seed in range(500)
        for row in rate(people(np.random.default_rng(seed), strength, taste=0.7)).standings
    ]
    assert len(held) == 2000
    assert 0.92 <= np.mean(held) <= 0.98


def many(seed: int, side: float, length: float, votes: int = 6000) -> Votes:
    """Votes on three models 200 points apart; the last one writes long replies."""
    rng = np.random.default_rng(seed)
    strength, words = np.array([-200, 0, 200]) / POINTS, np.array([12, 20, 36])
    rows = []
    for i in range(votes):
        a, b = (int(x) for x in rng.choice(3, 2, replace=False))
        la, lb = (int(words[m] * rng.uniform(0.6, 1.6)) for m in (a, b))
        eta = (
            strength[a] - strength[b] + side / POINTS + 3 * length / POINTS * (la - lb) / (la + lb)
        )
        weights = [math.exp(eta / 2), math.exp(-eta / 2), 0.5]
        outcome = rng.choice(["a", "b", "tie"], p=np.array(weights) / sum(weights))
        rows.append((f"m{a}", f"m{b}", str(outcome), f"v{i % 150}", la, lb))
    return votes_of(rows)


def test_adjusting_takes_length_and_side_out() -> None:
    """Known strengths and effects come back; unadjusted, the long-winded model is overrated."""
    votes = many(0, side=40, length=60)
    plain, adjusted = by_model(rate(votes)), rate_adjusted(votes)
    rows = by_model(adjusted)
    for name, true in (("m0", 800), ("m1", 1000), ("m2", 1200)):
        assert rows[name].low < true < rows[name].high
    assert plain["m2"].low > 1200
    assert adjusted.effects["side"].points == pytest.approx(40, abs=15)
    assert adjusted.effects["length"].points == pytest.approx(60, abs=15)
    assert adjusted.effects["length"].low < 60 < adjusted.effects["length"].high
    assert adjusted.tie_parameter == pytest.approx(0.5, abs=0.08)
    assert adjusted.warnings == ()


def test_what_cannot_be_adjusted_for_is_said() -> None:
    always_left = [("A", "B", "ab"[i % 3 == 0], f"v{i % 7}", 10 + i % 5, 12) for i in range(40)]
    found = rate_adjusted(votes_of(always_left))
    assert set(found.effects) == {"length"}
    assert found.warnings == (
        "The effect of side cannot be told from that of the models: left out.",
    )
    few = rate_adjusted(votes_of(always_left[:8]))
    assert few.effects == {}
    assert "too few to adjust" in few.warnings[0]


def test_votes_without_lengths() -> None:
    rows = [
        ("AB"[i % 2], "BA"[i % 2], "ab"[i % 3 == 0], f"v{i % 7}", None, None) for i in range(40)
    ]
    found = rate_adjusted(votes_of(rows))
    assert set(found.effects) == {"side"}
    assert "adjusted for side only" in found.warnings[0]
    some = [*rows, *(("AB"[i % 2], "BA"[i % 2], "a", f"v{i}", 9 + i % 4, 12) for i in range(30))]
    assert "40 of 70 votes lack a length" in rate_adjusted(votes_of(some)).warnings[0]


def test_a_small_group_is_not_adjusted_with_the_others() -> None:
    """C always sits left of D, three times: their group stays plain, A and B are adjusted."""
    rows = [("AB"[i % 2], "BA"[i % 2], "aab"[i % 3], f"v{i % 7}", 9 + i % 5, 12) for i in range(60)]
    rows += [("C", "D", "aba"[i], f"v{i}", 10, 12) for i in range(3)]
    found = rate_adjusted(votes_of(rows))
    assert set(found.effects) == {"side", "length"}
    plain = by_model(rate(votes_of(rows)))
    assert by_model(found)["C"] == plain["C"]
    assert by_model(found)["A"] != plain["A"]


def test_order_of_the_lines_does_not_matter() -> None:
    from empo.leaderboard import ratings_report

    votes = many(1, side=30, length=30, votes=400)
    rows = [
        {
            "battle": str(i),
            "model_a": votes.models[votes.model_a[i]],
            "model_b": votes.models[votes.model_b[i]],
            "outcome": ("a", "b", "tie", "both_bad")[votes.outcome[i]],
            "voter": votes.voters[votes.voter[i]],
            "length_a": float(votes.length_a[i]),
            "length_b": float(votes.length_b[i]),
            "item": str(i % 40),
        }
        for i in range(len(votes))
    ]
    once = ratings_report(collect(enumerate(rows, 1)))
    random.Random(2).shuffle(rows)
    assert ratings_report(collect(enumerate(rows, 1))) == once


def test_no_vote_and_one_vote() -> None:
    assert rate(votes_of([])) == Ratings()
    assert rate_adjusted(votes_of([])) == Ratings()
    one = rate(votes_of([("A", "B", "a", "p")]))
    first, second = one.standings
    assert (first.model, second.model) == ("A", "B")
    assert first.rating > 1000 > second.rating
    assert (first.low, first.high, second.low, second.high) == (None,) * 4
    assert "All votes are one person's" in one.warnings[0]
    assert "A won every vote and B lost every vote" in one.warnings[1]


def test_three_votes_are_wide() -> None:
    rows = [("A", "B", "a", "p"), ("A", "B", "b", "q"), ("B", "A", "b", "r")]
    first, _ = rate(votes_of(rows)).standings
    assert first.model == "A"
    assert first.low < 700 and first.high > 1300


def test_one_voter_gives_no_interval() -> None:
    rows = [("A", "B", "ab"[i % 3 == 0], "only me") for i in range(30)]
    found = rate(votes_of(rows))
    assert [row.low for row in found.standings] == [None, None]
    assert found.contrasts[0].votes_needed is None
    assert not found.contrasts[0].told_apart


def unbeaten() -> list[tuple[str, str, str, str]]:
    rows = [("A", "BC"[i % 2], "a", f"v{i % 6}") for i in range(12)]
    return rows + [("B", "C", "aab"[i % 3], f"v{i % 5}") for i in range(30)]


def test_an_unbeaten_model_is_open_above_and_does_not_blur_the_others() -> None:
    found = rate(votes_of(unbeaten()))
    rows = by_model(found)
    assert found.standings[0].model == "A"
    assert rows["A"].high is None and rows["A"].low > 700
    assert math.isfinite(rows["A"].rating)
    assert "A won every vote" in found.warnings[0]
    alone = by_model(rate(votes_of(unbeaten()[12:])))
    lead = rows["B"].rating - rows["C"].rating
    assert lead == pytest.approx(alone["B"].rating - alone["C"].rating, abs=10)
    assert rows["B"].high - rows["B"].low == pytest.approx(
        alone["B"].high - alone["B"].low, rel=0.15
    )


def test_a_model_that_lost_everything_is_open_below() -> None:
    swap = {"a": "b", "b": "a"}
    rows = by_model(rate(votes_of([(a, b, swap[x], v) for a, b, x, v in unbeaten()])))
    assert rows["A"].low is None and rows["A"].high is not None
    assert rows["A"].rating == min(row.rating for row in rows.values())


def test_disconnected_models_form_groups() -> None:
    rows = [("A", "B", "aab"[i % 3], f"v{i % 5}") for i in range(12)]
    rows += [("C", "D", "bba"[i % 3], f"v{i % 5}") for i in range(9)]
    found = rate(votes_of(rows))
    assert found.groups == (("A", "B"), ("D", "C"))
    assert "A, B; C, D" in found.warnings[0]
    assert sum(row.rating for row in found.standings[:2]) == pytest.approx(2000)
    assert sum(row.rating for row in found.standings) / 4 == pytest.approx(1000)
    across = next(c for c in found.contrasts if (c.a, c.b) == ("A", "D"))
    assert (across.difference, across.told_apart, across.votes_needed) == (None, False, None)


def test_only_ties_and_only_both_bad() -> None:
    ties = rate(votes_of([("A", "BC"[i % 2], "tie", f"v{i % 5}") for i in range(10)]))
    assert [row.rating for row in ties.standings] == pytest.approx([1000] * 3)
    assert all(row.low < 900 and row.high > 1100 for row in ties.standings)
    assert "Every vote is a tie" in ties.warnings[0]
    bad = rate(votes_of([("A", "B", "both_bad", f"v{i}") for i in range(5)]))
    assert [(r.rating, r.low, r.high, r.votes) for r in bad.standings] == [
        (1000, None, None, 0)
    ] * 2


def test_a_model_one_voter_knows_has_no_interval_and_spoils_no_other() -> None:
    rows = [("A", "B", "aab"[i % 3], f"v{i % 6}") for i in range(30)]
    with_c = by_model(rate(votes_of([*rows, ("A", "C", "a", "v0"), ("A", "C", "b", "v0")])))
    assert (with_c["C"].low, with_c["C"].high) == (None, None)
    alone = by_model(rate(votes_of(rows)))
    assert with_c["A"].high - with_c["A"].low == pytest.approx(
        alone["A"].high - alone["A"].low, rel=0.01
    )


def test_perfectly_regular_voters_do_not_make_a_sure_thing() -> None:
    """Each of five people is exactly divided: the clustered spread is 0, the interval is not."""
    rows = [("A", "B", "ab"[i // 5 % 2], f"v{i % 5}") for i in range(10)]
    first, _ = rate(votes_of(rows)).standings
    # Ten independent even votes: the error of a rating is 400/ln 10 / sqrt(10).
    assert (first.high - first.low) / 2 == pytest.approx(1.96 * POINTS / math.sqrt(10), rel=0.01)


def test_votes_needed_by_hand() -> None:
    """Even-handed start from no ties: n = (2.8 / d)² / h - votes already there."""
    d = math.log(1.5)
    h = 0.6 * 0.4
    total = ((1.959964 + 0.841621) / d) ** 2 / h
    assert votes_needed(d, 1 / (50 * h), 1 / (50 * h), None) == math.ceil(total - 50)
    # People who vote alike twice over count half as much.
    assert votes_needed(d, 2 / (50 * h), 1 / (50 * h), None) == math.ceil(2 * total - 50)
    assert votes_needed(0.0, 1.0, 1.0, None) is None
    assert votes_needed(1e-4, 1.0, 1.0, None) is None


def test_votes_needed_are_about_enough() -> None:
    """After as many votes as it asked for, four of five repetitions tell the two apart."""
    rng = np.random.default_rng(5)
    start = votes_of([("A", "B", "a" if i < 30 else "b", f"v{i}") for i in range(50)])
    needed = rate(start).contrasts[0].votes_needed
    assert needed is not None
    told = []
    for _ in range(60):
        more = rng.random(needed) < 0.6
        rows = [("A", "B", "a" if i < 30 else "b", f"v{i}") for i in range(50)]
        rows += [("A", "B", "a" if x else "b", f"w{i}") for i, x in enumerate(more)]
        told.append(rate(votes_of(rows)).contrasts[0].told_apart)
    assert 0.65 <= np.mean(told) <= 0.95
