"""The fit: published examples, and hand-worked ones."""

from __future__ import annotations

import numpy as np
import pytest

from empo.arena.bradley_terry import Cells, fit, full_parameters, pooled

# American League 1987: home team, away team, home wins, away wins. Agresti, Categorical Data
# Analysis (2002), table 10.10, by seat as in the data `baseball` of R's BradleyTerry2.
BASEBALL = """
Milwaukee Detroit 4 3; Milwaukee Toronto 4 2; Milwaukee NewYork 4 3; Milwaukee Boston 6 1;
Milwaukee Cleveland 4 2; Milwaukee Baltimore 6 0; Detroit Milwaukee 3 3; Detroit Toronto 4 2;
Detroit NewYork 4 3; Detroit Boston 6 0; Detroit Cleveland 6 1; Detroit Baltimore 4 3;
Toronto Milwaukee 2 5; Toronto Detroit 4 3; Toronto NewYork 2 4; Toronto Boston 4 3;
Toronto Cleveland 4 2; Toronto Baltimore 6 0; NewYork Milwaukee 3 3; NewYork Detroit 5 1;
NewYork Toronto 2 5; NewYork Boston 4 3; NewYork Cleveland 4 2; NewYork Baltimore 6 1;
Boston Milwaukee 5 1; Boston Detroit 2 5; Boston Toronto 3 3; Boston NewYork 4 2;
Boston Cleveland 5 2; Boston Baltimore 6 0; Cleveland Milwaukee 2 5; Cleveland Detroit 3 3;
Cleveland Toronto 3 4; Cleveland NewYork 4 3; Cleveland Boston 4 2; Cleveland Baltimore 2 4;
Baltimore Milwaukee 2 5; Baltimore Detroit 1 5; Baltimore Toronto 1 6; Baltimore NewYork 2 4;
Baltimore Boston 1 6; Baltimore Cleveland 3 4
"""
TEAMS = ("Baltimore", "Boston", "Cleveland", "Detroit", "Milwaukee", "NewYork", "Toronto")
# Chocolate puddings: i, j, preferred i, preferred j, no preference. Davidson (1970), table 1.
PUDDINGS = """
1 2 19 22 16; 1 3 16 19 12; 2 3 19 19 10; 1 4 18 23 13; 2 4 23 19 9; 3 4 19 20 15; 1 5 13 19 18;
2 5 16 20 12; 3 5 16 15 17; 4 5 17 14 16; 1 6 18 21 12; 2 6 22 20 12; 3 6 13 18 10; 4 6 14 19 18;
5 6 11 21 12
"""


def cells(first, second, wins, losses, ties=None, covariates=None, voter=None) -> Cells:
    first, second = np.array(first), np.array(second)
    n = len(first)
    return Cells(
        int(max(first.max(), second.max())) + 1,
        first,
        second,
        np.array(wins, dtype=float),
        np.array(losses, dtype=float),
        np.zeros(n) if ties is None else np.array(ties, dtype=float),
        np.arange(n) if voter is None else np.array(voter),
        np.zeros((n, 0)) if covariates is None else np.array(covariates, dtype=float),
    )


def baseball(home: bool) -> Cells:
    rows = [row.split() for row in BASEBALL.split(";")]
    return cells(
        [TEAMS.index(row[0]) for row in rows],
        [TEAMS.index(row[1]) for row in rows],
        [int(row[2]) for row in rows],
        [int(row[3]) for row in rows],
        covariates=np.ones((len(rows), 1)) if home else None,
    )


def test_baseball_without_and_with_home_advantage() -> None:
    """Figures as published with BradleyTerry2 (Baltimore = 0), which reproduce Agresti's."""
    plain = fit(baseball(home=False))
    assert plain.finite
    published = [0, 1.1077, 0.6839, 1.4364, 1.5814, 1.2476, 1.2945]
    np.testing.assert_allclose(plain.strength - plain.strength[0], published, atol=5e-5)
    covariance = plain.basis @ np.linalg.inv(plain.information) @ plain.basis.T
    contrast = np.array([-1, 1, 0, 0, 0, 0, 0])
    assert np.sqrt(contrast @ covariance @ contrast) == pytest.approx(0.3339, abs=5e-5)

    home = fit(baseball(home=True))
    published = [0, 1.1438, 0.7047, 1.4754, 1.6196, 1.2813, 1.3271]
    np.testing.assert_allclose(home.strength - home.strength[0], published, atol=5e-5)
    assert home.coefficients[0] == pytest.approx(0.3023, abs=5e-5)
    variance = (home.basis @ np.linalg.inv(home.information) @ home.basis.T)[-1, -1]
    assert np.sqrt(variance) == pytest.approx(0.1309, abs=5e-5)


def test_puddings_with_ties() -> None:
    """Davidson's own estimates; he stopped after seven iterations, hence the tolerance."""
    rows = np.array([row.split() for row in PUDDINGS.split(";")], dtype=int)
    found = fit(cells(rows[:, 0] - 1, rows[:, 1] - 1, rows[:, 2], rows[:, 3], rows[:, 4]))
    worth = np.exp(found.strength) / np.exp(found.strength).sum()
    published = [0.1388005, 0.1729985, 0.1617420, 0.1653930, 0.1586805, 0.2023855]
    np.testing.assert_allclose(worth, published, atol=3e-5)
    assert found.log_nu is not None
    assert np.exp(found.log_nu) == pytest.approx(0.7468147, abs=3e-5)


def test_two_models_by_hand() -> None:
    """6 wins, 3 losses, 1 tie: theta = ln(6/3), nu = 1 / sqrt(6 · 3)."""
    found = fit(cells([0], [1], [6], [3], [1]))
    assert found.strength[0] - found.strength[1] == pytest.approx(np.log(2))
    assert found.log_nu == pytest.approx(-np.log(18) / 2)
    assert full_parameters(found) == pytest.approx([np.log(2) / 2, -np.log(2) / 2, found.log_nu])


def test_pooling_changes_nothing() -> None:
    """The same votes cell by cell and all together."""
    first, second = [0, 0, 0, 1, 1, 0], [1, 1, 1, 2, 2, 2]
    wins, losses, ties = [1, 0, 0, 1, 0, 1], [0, 1, 0, 0, 1, 0], [0, 0, 1, 0, 1, 0]
    x = [[1, 0.5], [1, -0.5], [1, 0.5], [1, 0.0], [1, 0.0], [1, 0.25]]
    many = cells(first, second, wins, losses, ties, x)
    few = pooled(many)
    assert len(few.first) == 4
    prior = np.eye(many.parameters) / 4
    np.testing.assert_allclose(
        full_parameters(fit(many, prior)), full_parameters(fit(few, prior)), atol=1e-9
    )


def test_a_prior_pulls_towards_zero() -> None:
    """One win, sd 1 for each strength: theta = d/2, with d/2 = 1 / (1 + e^d)... solved by hand."""
    found = fit(cells([0], [1], [1], [0]), np.eye(2))
    lead = found.strength[0] - found.strength[1]
    # Maximise ln(1 / (1 + e^-d)) - d²/4: 1 / (1 + e^d) = d / 2.
    assert 1 / (1 + np.exp(lead)) == pytest.approx(lead / 2)
