"""Quadratic weighted kappa of two lists of levels.

Cohen 1968 (Psychological Bulletin 70, 213–220): 1 − Σ w O / Σ w E, with w = (i − j)², O the counts
of the pairs seen and E those expected if both lists were independent. 1 is agreement, 0 what
chance gives. A constant list has no spread to agree with: not measured.
"""

from __future__ import annotations

import numpy as np

LEVELS = 3


def cells(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """(n, 9) one-hot: which cell of the 3 × 3 table each pair of levels is in; all 0 for a nan."""
    known = ~(np.isnan(first) | np.isnan(second))
    found = np.zeros((len(first), LEVELS * LEVELS))
    place = first[known].astype(int) * LEVELS + second[known].astype(int)
    found[np.flatnonzero(known), place] = 1.0
    return found


def quadratic_kappa(counts: np.ndarray) -> np.ndarray:
    """Kappa of each table of `counts` (…, 9); nan where one of both lists is constant."""
    table = counts.reshape(*counts.shape[:-1], LEVELS, LEVELS).astype(float)
    steps = np.arange(LEVELS)
    weights = np.square(steps[:, None] - steps[None, :])
    rows, columns = table.sum(-1), table.sum(-2)
    total = table.sum((-2, -1))
    seen = (weights * table).sum((-2, -1))
    expected = (weights * rows[..., :, None] * columns[..., None, :]).sum((-2, -1))
    # A constant list is expected to agree or differ exactly as it does: nothing to measure.
    constant = ((rows > 0).sum(-1) < 2) | ((columns > 0).sum(-1) < 2)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(constant, np.nan, 1 - seen * total / expected)
