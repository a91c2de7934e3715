"""Variety and length of replies: distinct-n, mean words, repetition.

distinct-n: Li, Galley, Brockett, Gao & Dolan 2016 (arXiv 1510.03055): different n-grams ÷ all
n-grams over the whole corpus of replies, on lower-cased word tokens (`empo.metrics.tokens`). It
falls as a corpus grows, so compare only as many replies with as many.

Drawing replies with replacement would draw some twice and lower the figure, so the interval comes
from leaving out one group of replies after the other (the delete-a-group jackknife, Kott 2001,
Journal of Official Statistics 17).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence

from empo.metrics.tokens import lower_tokens

GROUPS = 50
NORMAL = 1.96  # standard errors on each side of a 95 % interval


def ngrams(tokens: Sequence[str], n: int) -> Iterable[tuple[str, ...]]:
    """The n-grams of `tokens` in order."""
    return zip(*(tokens[i:] for i in range(n)), strict=False)


def distinct(texts: Iterable[str], n: int = 2) -> float | None:
    """Different n-grams ÷ all n-grams of `texts`; None where no text has one."""
    counts = _counts(texts, n)
    total = counts.total()
    return len(counts) / total if total else None


def distinct_interval(
    texts: Sequence[str], n: int = 2, groups: int = GROUPS
) -> tuple[float, float] | None:
    """The 95 % interval of distinct-n, text i being in group i mod `groups`.

    None where there are fewer than two groups to leave out, or no n-gram.
    """
    groups = min(groups, len(texts))
    if groups < 2:
        return None
    parts = [_counts(texts[k::groups], n) for k in range(groups)]
    holders: Counter[tuple[str, ...]] = Counter()
    for part in parts:
        holders.update(part.keys())
    total = sum(part.total() for part in parts)
    left = [
        (len(holders) - sum(holders[gram] == 1 for gram in part)) / (total - part.total())
        for part in parts
        if total > part.total()
    ]
    if len(left) < 2:
        return None
    mean = sum(left) / len(left)
    error = math.sqrt((len(left) - 1) / len(left) * sum((x - mean) ** 2 for x in left))
    value = len(holders) / total
    return max(0.0, value - NORMAL * error), min(1.0, value + NORMAL * error)


def mean_words(texts: Sequence[str]) -> float | None:
    """Mean number of white-space words; None for no texts."""
    return sum(len(text.split()) for text in texts) / len(texts) if texts else None


def repetitive(texts: Sequence[str], n: int = 3) -> float | None:
    """Share of `texts` that say some n-gram twice; None for no texts."""
    if not texts:
        return None
    again = 0
    for text in texts:
        grams = list(ngrams(lower_tokens(text), n))
        again += len(set(grams)) < len(grams)
    return again / len(texts)


def _counts(texts: Iterable[str], n: int) -> Counter[tuple[str, ...]]:
    counts: Counter[tuple[str, ...]] = Counter()
    for text in texts:
        counts.update(ngrams(lower_tokens(text), n))
    return counts
