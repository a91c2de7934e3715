"""Are two systems different? Paired sign-flip tests, and what many of them together still mean.

Sign-flip (Fisher 1935; Noreen 1989, *Computer-Intensive Methods*): if both systems were alike, each
paired difference could as well have the other sign. The p-value is the share of random flips whose
sum is at least as far from 0 as the one seen, that one counted in.

Holm 1979 (Scandinavian Journal of Statistics 6, 65–70): with m tests, the k-th smallest p-value is
multiplied by m − k + 1, and none may fall below one before it; controls the chance of any false
finding, whatever the dependence.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

FLIPS = 10_000
_AT_ONCE = 500


def sign_flip(differences: np.ndarray, seed: int = 0, flips: int = FLIPS) -> np.ndarray:
    """Two-sided p-values of the columns of `differences` (pairs, tests); nan is no pair.

    The same flips serve all columns. A column without a pair has p = nan.
    """
    known = ~np.isnan(differences)
    values = np.where(known, differences, 0.0).astype(np.float32)
    seen = np.abs(values.sum(0))
    # Sums of the same numbers in another order differ in their last digits.
    bar = seen - 1e-4 * (1 + seen)
    generator = np.random.default_rng(seed)
    beyond = np.zeros(values.shape[1])
    for start in range(0, flips, _AT_ONCE):
        count = min(_AT_ONCE, flips - start)
        signs = generator.integers(0, 2, (count, len(values)), np.int8).astype(np.float32)
        beyond += (np.abs((2 * signs - 1) @ values) >= bar).sum(0)
    return np.where(known.any(0), (1 + beyond) / (1 + flips), np.nan)


def holm(values: Sequence[float]) -> list[float]:
    """The p-values `values`, adjusted for their number, in their order."""
    order = sorted(range(len(values)), key=lambda i: values[i])
    adjusted, before = [0.0] * len(values), 0.0
    for rank, i in enumerate(order):
        before = max(before, min(1.0, (len(values) - rank) * values[i]))
        adjusted[i] = before
    return adjusted
