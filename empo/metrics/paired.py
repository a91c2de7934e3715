"""Means and differences with intervals: values that hang together, two systems on the same items.

Means draw whole clusters (pairs of one dialogue, say). For differences the items (dialogues) are
drawn with replacement, both systems' values of an item together (Efron & Tibshirani 1993,
chapter 13), so that what is hard about an item cancels out.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from empo.metrics.bootstrap import RESAMPLES, ratio_interval

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Difference:
    """`value` = after − before, with its 95 % interval."""

    before: float
    after: float
    value: float
    low: float
    high: float


def difference(
    before: Sequence[float], after: Sequence[float], weights: Sequence[float], seed: int = 0
) -> Difference:
    """Of Σ values ÷ Σ weights of both systems; one value of each and one weight per item.

    Raises:
        ValueError: there is no item, or the lengths differ.
    """
    if not before:
        raise ValueError("There is nothing to compare.")
    total = sum(weights)
    gains = [b - a for a, b in zip(before, after, strict=True)]
    low, high = ratio_interval(gains, weights, seed)
    return Difference(sum(before) / total, sum(after) / total, sum(gains) / total, low, high)


def statistic(
    items: Sequence[T],
    both: Callable[[Sequence[T]], tuple[float, float]],
    seed: int = 0,
    resamples: int = RESAMPLES // 2,
) -> Difference:
    """Of any statistic of a corpus; `both` gives it for the systems (before, after).

    Raises:
        ValueError: there is no item.
    """
    if not items:
        raise ValueError("There is nothing to compare.")
    generator = np.random.default_rng(seed)
    values = []
    for _ in range(resamples):
        drawn = generator.integers(0, len(items), len(items))
        one, other = both([items[i] for i in drawn])
        values.append(other - one)
    low, high = np.quantile(values, [0.025, 0.975])
    before, after = both(items)
    return Difference(before, after, after - before, float(low), float(high))


@dataclass(frozen=True, slots=True)
class Mean:
    """A mean with its 95 % interval; `count`: how many values."""

    value: float
    low: float
    high: float
    count: int


def clustered_mean(
    values: Sequence[float | None], clusters: Sequence[Hashable], seed: int = 0
) -> Mean | None:
    """The mean of `values` that are not None, drawing whole `clusters`; None where none is left.

    Shapes: one cluster a value.
    """
    sums: dict[Hashable, list[float]] = {}
    for value, cluster in zip(values, clusters, strict=True):
        if value is not None:
            sums.setdefault(cluster, [0.0, 0.0])
            sums[cluster][0] += value
            sums[cluster][1] += 1
    if not sums:
        return None
    tops, counts = zip(*sums.values(), strict=True)
    low, high = ratio_interval(tops, counts, seed)
    total = sum(counts)
    return Mean(sum(tops) / total, low, high, int(total))


def wins(chosen: Sequence[float], rejected: Sequence[float]) -> list[float]:
    """1 where the chosen reply scores higher, 0 where lower, a half where neither."""
    return [1.0 if c > r else 0.5 if c == r else 0.0 for c, r in zip(chosen, rejected, strict=True)]
