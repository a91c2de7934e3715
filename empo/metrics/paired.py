"""Differences between two systems on the same items, with intervals.

The items (dialogues) are drawn with replacement, both systems' values of an item together
(Efron & Tibshirani 1993, chapter 13), so that what is hard about an item cancels out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
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
