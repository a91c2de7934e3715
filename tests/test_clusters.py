"""Uncertainty clustered by voter: exact jackknife, coverage, shares."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from empo.arena import clusters
from empo.arena.bradley_terry import Cells, fit, pooled, probabilities
from empo.arena.clusters import share, spread

MODELS, VOTERS, EACH, TASTE, LOG_NU = 5, 40, 20, 0.7, -0.5
STRENGTH = np.linspace(-0.8, 0.8, MODELS)


def vote_cells(rng: np.random.Generator, taste: float = TASTE) -> Cells:
    """Votes of people who differ: everybody's strengths are off by normal noise of sd `taste`."""
    n = VOTERS * EACH
    voter = np.repeat(np.arange(VOTERS), EACH)
    a = rng.integers(MODELS, size=n)
    b = (a + 1 + rng.integers(MODELS - 1, size=n)) % MODELS
    first, second = np.minimum(a, b), np.maximum(a, b)
    own = STRENGTH + rng.normal(0, taste, (VOTERS, MODELS))
    chance = np.stack(probabilities(own[voter, first] - own[voter, second], LOG_NU), axis=1)
    outcome = (rng.random(n)[:, None] > chance.cumsum(axis=1)).sum(axis=1)
    key, at = np.unique((voter * MODELS + first) * MODELS + second, return_inverse=True)
    counts = [np.bincount(at, outcome == k, len(key)) for k in range(3)]
    none = np.zeros((len(key), 0))
    first, second = key // MODELS % MODELS, key % MODELS
    return Cells(MODELS, first, second, *counts, key // MODELS**2, none)


def true_strengths() -> np.ndarray:
    """What the ratings of infinitely many such people come to: the fit of expected counts."""
    i, j = np.triu_indices(MODELS, 1)
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    lead = (STRENGTH[i] - STRENGTH[j])[:, None] + np.sqrt(2) * TASTE * nodes
    expected = [part @ weights / weights.sum() for part in probabilities(lead, LOG_NU)]
    none = np.zeros((len(i), 0))
    return fit(Cells(MODELS, i, j, *expected, np.arange(len(i)), none)).strength


def test_naive_errors_are_too_small_and_clustered_ones_are_not() -> None:
    """Over 100 simulations: mean squared error of the strengths against what each spread says."""
    truth = true_strengths()
    errors, said, independent = [], [], []
    for seed in range(100):
        cells = vote_cells(np.random.default_rng(seed))
        found = fit(pooled(cells))
        sure = spread(cells, found)
        errors.append((found.strength - truth) ** 2)
        said.append(np.diag(sure.jackknife)[:MODELS])
        independent.append(np.diag(sure.model_based)[:MODELS])
    assert np.mean(said) == pytest.approx(np.mean(errors), rel=0.2)
    assert np.mean(independent) < 0.75 * np.mean(errors)


def test_strengths_are_recovered() -> None:
    """Many votes of people of one mind: within four standard errors, which are small."""
    rng = np.random.default_rng(1)
    parts = [vote_cells(rng, taste=0.0) for _ in range(25)]
    joined = {
        name: np.concatenate([getattr(part, name) for part in parts])
        for name in ("first", "second", "wins", "losses", "ties", "covariates")
    }
    voter = np.concatenate([part.voter + VOTERS * k for k, part in enumerate(parts)])
    cells = Cells(MODELS, **joined, voter=voter)
    found = fit(cells)
    errors = np.sqrt(np.diag(spread(cells, found).jackknife))
    assert errors.max() < 0.03
    assert (np.abs(found.strength - STRENGTH) < 4 * errors[:MODELS]).all()
    assert found.log_nu == pytest.approx(LOG_NU, abs=4 * errors[-1])


def test_jackknife_is_the_one_step_leave_one_out() -> None:
    """Against refitting without each voter: one Newton step is close to the whole way."""
    cells = vote_cells(np.random.default_rng(3))
    found = fit(pooled(cells))
    refits = []
    for gone in range(VOTERS):
        rows = cells.voter != gone
        names = ("first", "second", "wins", "losses", "ties", "voter", "covariates")
        rest = Cells(MODELS, *(getattr(cells, name)[rows] for name in names))
        refits.append(fit(rest).strength - found.strength)
    exact = sum(np.outer(x, x) for x in refits) * (VOTERS - 1) / VOTERS
    np.testing.assert_allclose(
        np.diag(spread(cells, found).jackknife)[:MODELS], np.diag(exact), rtol=0.02
    )


def test_chunks_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    cells = vote_cells(np.random.default_rng(4))
    found = fit(pooled(cells))
    whole = spread(cells, found).jackknife
    monkeypatch.setattr(clusters, "_CHUNK", 3 * cells.parameters**2)  # three voters at a time
    np.testing.assert_allclose(spread(cells, found).jackknife, whole, atol=1e-12)


def test_what_rests_on_one_voter() -> None:
    """Model 2 was judged by voter 0 only: without them it has no place."""
    first, second = np.array([0, 0, 1, 0]), np.array([1, 2, 2, 1])
    voter, none = np.array([0, 0, 0, 1]), np.zeros((4, 0))
    wins, losses = np.array([2.0, 1, 1, 1]), np.array([1.0, 1, 1, 2])
    cells = Cells(3, first, second, wins, losses, 0 * wins, voter, none)
    lost = spread(cells, fit(pooled(cells))).lost
    assert len(lost) == 1
    shift = lost[0] / lost[0][2]
    np.testing.assert_allclose(shift, [-0.5, -0.5, 1], atol=1e-6)


def test_share_by_hand() -> None:
    """Each voter one vote: the exact binomial interval, 7 of 10 → 0.348 to 0.933."""
    hits = np.array([1.0] * 7 + [0.0] * 3)
    found = share(hits, np.arange(10))
    exact = stats.binomtest(7, 10).proportion_ci(method="exact")
    assert found["share"] == pytest.approx(0.7)
    # The variance of a sample mean (n - 1) makes it one part in ten wider than the textbook's.
    assert found["low"] == pytest.approx(exact.low, abs=0.02)
    assert found["high"] == pytest.approx(exact.high, abs=0.02)
    assert found["low"] < exact.low


def test_share_counts_people_not_votes() -> None:
    """Ten votes each of ten people of fixed opinions are ten votes, not a hundred."""
    people = np.repeat(np.arange(10), 10)
    opinions = np.repeat([1.0] * 7 + [0.0] * 3, 10)
    once = share(opinions[::10], np.arange(10))
    found = share(opinions, people)
    hundred = stats.binomtest(70, 100).proportion_ci(method="exact")
    assert 0.2 < found["low"] <= once["low"] < hundred.low
    # All of one opinion: ten people, not a hundred votes.
    assert share(np.ones(100), people)["low"] < stats.beta.ppf(0.025, 10, 1) + 0.01


def test_share_of_nothing_and_of_one_person() -> None:
    assert share(np.zeros(0), np.zeros(0, dtype=int)) == {
        "share": None,
        "low": None,
        "high": None,
        "votes": 0,
    }
    one = share(np.array([1.0, 0.0]), np.array([3, 3]))
    assert (one["share"], one["low"], one["high"], one["votes"]) == (0.5, None, None, 2)
