"""Levels compared: diff-EPITOME, majority, quadratic kappa; worked by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from empo.metrics.diff_epitome import majority, squared_differences
from empo.metrics.kappa import cells, quadratic_kappa

NAN = math.nan


def test_squared_differences_by_mechanism() -> None:
    levels = np.array([[0, 1, 2], [2, 0, 1]], float)
    human = np.array([[2, 1, 0], [1, NAN, 1]])
    found = squared_differences(levels, human)
    assert found[0].tolist() == [4.0, 0.0, 4.0]
    assert found[1, 0] == 1.0 and math.isnan(found[1, 1]) and found[1, 2] == 0.0


def test_majority_takes_the_commonest_and_the_lower_of_a_tie() -> None:
    assert majority(np.array([[0, 2, 1], [0, 2, 2], [1, NAN, NAN]])) == (0, 2, 1)
    with pytest.raises(ValueError, match="No human level"):
        majority(np.full((2, 3), NAN))


def kappa(first: list[float], second: list[float]) -> float:
    return float(quadratic_kappa(cells(np.array(first), np.array(second)).sum(0)))


def test_kappa_is_one_for_the_same_and_minus_one_for_the_opposite() -> None:
    assert kappa([0, 1, 2, 0], [0, 1, 2, 0]) == pytest.approx(1.0)
    assert kappa([0, 2], [2, 0]) == pytest.approx(-1.0)


def test_kappa_worked_by_hand() -> None:
    """Pairs (0,0) (0,1) (2,2) (1,1): seen 1; rows 2,1,1, columns 1,2,1; expected
    (2·2·1 + 2·1·4 + 1·1·1 + 1·1·1 + 1·1·4 + 1·2·1) / 4 = 20 / 4 = 5; kappa 1 − 1/5."""
    assert kappa([0, 0, 2, 1], [0, 1, 2, 1]) == pytest.approx(0.8)


def test_kappa_as_scikit_learn_counts_it() -> None:
    from sklearn.metrics import cohen_kappa_score

    generator = np.random.default_rng(0)
    first, second = generator.integers(0, 3, (2, 200)).astype(float)
    expected = cohen_kappa_score(first, second, weights="quadratic")
    assert kappa(first.tolist(), second.tolist()) == pytest.approx(expected)


def test_kappa_of_a_constant_or_of_nothing_is_not_measured() -> None:
    assert math.isnan(kappa([0, 0, 0], [0, 1, 2]))
    assert math.isnan(kappa([NAN], [1]))
    tables = np.stack([cells(np.array([0.0, 2.0]), np.array([0.0, 2.0])).sum(0), np.zeros(9)])
    assert quadratic_kappa(tables)[0] == 1.0 and math.isnan(quadratic_kappa(tables)[1])
