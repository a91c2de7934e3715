"""Means with intervals where several values hang together: pairs of one dialogue, say.

The interval is the percentile bootstrap over clusters of `bootstrap.ratio_interval`.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from empo.metrics.bootstrap import ratio_interval


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
