"""Pair accuracy: how often a score puts the chosen reply above the rejected one.

For a DPO model the score is its implicit reward, log π(reply) − log π_ref(reply) (Rafailov et al.
2023, arXiv 2305.18290, section 5.1; β scales it and does not change the order). A tie counts half.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from empo.metrics.bootstrap import ratio_interval


@dataclass(frozen=True, slots=True)
class PairAccuracy:
    """`value`: share of pairs in 0..1, with its 95 % interval; `pairs`: how many."""

    value: float
    low: float
    high: float
    pairs: int


def wins(chosen: Sequence[float], rejected: Sequence[float]) -> list[float]:
    """Pair by pair: 1 where the chosen reply scores higher, ½ for a tie, else 0."""
    return [1.0 if c > r else 0.5 if c == r else 0.0 for c, r in zip(chosen, rejected, strict=True)]


def pair_accuracy(
    chosen: Sequence[float], rejected: Sequence[float], seed: int = 0
) -> PairAccuracy:
    """From the scores of both replies, pair by pair.

    Raises:
        ValueError: there is no pair, or the lengths differ.
    """
    if not chosen:
        raise ValueError("There is no pair to work out an accuracy from.")
    found = wins(chosen, rejected)
    low, high = ratio_interval(found, [1.0] * len(found), seed)
    return PairAccuracy(sum(found) / len(found), low, high, len(found))
