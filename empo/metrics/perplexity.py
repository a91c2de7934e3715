"""Perplexity of replies: exp of the mean −log p a token.

Jelinek, Mercer, Bahl & Baker 1977 (J. Acoust. Soc. Am. 62, S63). Token-weighted over all listener
turns: a long reply counts for as much as it has tokens. The tokens are the model's own, end-of-turn
marker included, so figures compare only between models with the same tokenizer.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from empo.metrics.bootstrap import ratio_interval


@dataclass(frozen=True, slots=True)
class Perplexity:
    """`nats`: mean −log p a token; `value`: its exponential; `low`..`high`: 95 % for `value`."""

    nats: float
    value: float
    low: float
    high: float
    tokens: int


def perplexity(nats: Sequence[float], tokens: Sequence[int], seed: int = 0) -> Perplexity:
    """From the summed −log p (nats) and token count of each dialogue, which is the cluster.

    Raises:
        ValueError: there is no token.
    """
    count = sum(tokens)
    if not count:
        raise ValueError("There is no token to work out a perplexity from.")
    mean = sum(nats) / count
    low, high = (math.exp(edge) for edge in ratio_interval(nats, tokens, seed))
    return Perplexity(mean, math.exp(mean), low, high, count)
