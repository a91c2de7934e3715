"""When the likelihood has a maximum, and who is helped where it has none."""

from __future__ import annotations

import numpy as np
import pytest

from empo.arena.bradley_terry import Cells, fit, full_parameters
from empo.arena.maximum import fit_or_prior, is_bounded


def cells(first, second, wins, losses, ties) -> Cells:
    counts = [np.array(x, dtype=float) for x in (wins, losses, ties)]
    n = len(first)
    ends = np.array(first), np.array(second)
    return Cells(int(max(second)) + 1, *ends, *counts, np.arange(n), np.zeros((n, 0)))


@pytest.mark.parametrize(
    ("wins", "losses", "ties", "bounded"),
    [
        ([3, 2, 1], [1, 1, 1], [0, 0, 0], True),
        ([3, 2, 1], [0, 0, 1], [0, 0, 0], False),  # the first never lost
        ([3, 2, 1], [0, 0, 1], [1, 0, 0], True),  # but it tied once
        ([1, 0, 1], [0, 1, 0], [0, 0, 0], True),  # a circle: 0 > 1 > 2 > 0
        ([0, 0, 0], [0, 0, 0], [2, 2, 2], False),  # ties only: nu runs away
        ([5, 0, 0], [0, 0, 0], [0, 5, 5], False),  # wins and ties that never contradict
    ],
)
def test_when_there_is_a_maximum(wins, losses, ties, bounded: bool) -> None:
    """Pairs 0-1, 0-2, 1-2; the answer of the linear programme is that of the iteration."""
    votes = cells([0, 0, 1], [1, 2, 2], wins, losses, ties)
    assert is_bounded(votes) is bounded
    if bounded:
        assert fit(votes).finite
    else:
        assert np.abs(full_parameters(fit(votes))).max() > 8
    assert fit(votes, np.eye(votes.parameters) / 4).finite


def test_who_is_helped() -> None:
    """Nobody; the unbeaten one; everybody, where no core is left that stands by itself."""
    pairs = [0, 0, 1], [1, 2, 2]
    _, helped = fit_or_prior(cells(*pairs, [3, 2, 1], [1, 1, 1], [0, 1, 0]))
    assert helped.tolist() == [False, False, False]
    found, helped = fit_or_prior(cells(*pairs, [3, 2, 4], [0, 0, 2], [0, 0, 0]))
    assert helped.tolist() == [True, False, False]
    assert found.strength.argmax() == 0
    # What the other two know of each other, odds of 4 to 2, hardly moves.
    assert found.strength[1] - found.strength[2] == pytest.approx(np.log(2), abs=0.1)
    _, helped = fit_or_prior(cells(*pairs, [3, 2, 4], [0, 0, 0], [0, 0, 0]))
    assert helped.tolist() == [True, True, True]
