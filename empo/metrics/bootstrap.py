"""Percentile bootstrap intervals over clusters.

Efron & Tibshirani 1993, *An Introduction to the Bootstrap*, chapter 13. The replies of one dialogue
hang together, so whole dialogues (clusters) are drawn, not replies.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

RESAMPLES = 1000


def ratio_interval(
    numerators: Sequence[float],
    denominators: Sequence[float],
    seed: int = 0,
    level: float = 0.95,
    resamples: int = RESAMPLES,
) -> tuple[float, float]:
    """The interval of Σ numerators ÷ Σ denominators, drawing clusters with replacement.

    Shapes: one number a cluster in both. A mean is the case of denominators 1. Draws in which the
    denominators add up to 0 are left out; with no cluster the interval is (nan, nan).
    """
    top, bottom = np.asarray(numerators, float), np.asarray(denominators, float)
    if not len(top):
        return float("nan"), float("nan")
    generator = np.random.default_rng(seed)
    values = []
    for _ in range(resamples):
        drawn = generator.integers(0, len(top), len(top))
        if below := bottom[drawn].sum():
            values.append(top[drawn].sum() / below)
    edge = (1 - level) / 2
    low, high = np.quantile(values, [edge, 1 - edge])
    return float(low), float(high)


def draws(clusters: int, seed: int = 0, resamples: int = RESAMPLES) -> np.ndarray:
    """(resamples, clusters): how often each cluster is drawn, with replacement.

    One such table serves every figure of every system, so that all intervals are paired.
    """
    generator = np.random.default_rng(seed)
    found = np.empty((resamples, clusters))
    for row in found:
        row[:] = np.bincount(generator.integers(0, clusters, clusters), minlength=clusters)
    return found


def mean_interval(
    values: np.ndarray, drawn: np.ndarray, level: float = 0.95
) -> tuple[float, float] | None:
    """The interval of the mean of `values` (clusters,), nan left out; None where all are nan."""
    known = ~np.isnan(values)
    if not known.any():
        return None
    sums = drawn @ np.where(known, values, 0.0)
    counts = drawn @ known.astype(float)
    return quantiles(sums[counts > 0] / counts[counts > 0], level)


def quantiles(values: np.ndarray, level: float = 0.95) -> tuple[float, float] | None:
    """The central `level` of `values`, nan left out; None where nothing is left."""
    known = values[~np.isnan(values)]
    if not len(known):
        return None
    edge = (1 - level) / 2
    low, high = np.quantile(known, [edge, 1 - edge])
    return float(low), float(high)
