"""Variety of replies: distinct-n, and how many repeat themselves.

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

Tokens = Sequence[str]
GROUPS = 50
NORMAL = 1.96  # standard errors on each side of a 95 % interval


def ngrams(tokens: Tokens, n: int) -> Iterable[tuple[str, ...]]:
    """The n-grams of `tokens` in order."""
    return zip(*(tokens[i:] for i in range(n)), strict=False)


def distinct(replies: Iterable[Tokens], n: int = 2) -> float | None:
    """Different n-grams ÷ all n-grams of `replies`; None where no reply has one."""
    counts: Counter[tuple[str, ...]] = Counter()
    for reply in replies:
        counts.update(ngrams(reply, n))
    total = counts.total()
    return len(counts) / total if total else None


def distinct_interval(
    replies: Sequence[Tokens], n: int = 2, groups: int = GROUPS
) -> tuple[float, float] | None:
    """The 95 % interval of distinct-n, reply i being in group i mod `groups`.

    None where there are fewer than two groups of replies to leave out, or no n-gram.
    """
    value, groups = distinct(replies, n), min(groups, len(replies))
    if value is None or groups < 2:
        return None
    parts = [Counter(g for reply in replies[k::groups] for g in ngrams(reply, n))
             for k in range(groups)]  # fmt: skip
    holders: Counter[tuple[str, ...]] = Counter()
    for part in parts:
        holders.update(part.keys())
    total = sum(part.total() for part in parts)
    left = []
    for part in parts:
        own = sum(holders[gram] == 1 for gram in part)
        if total > part.total():
            left.append((len(holders) - own) / (total - part.total()))
    mean = sum(left) / len(left)
    error = math.sqrt((len(left) - 1) / len(left) * sum((x - mean) ** 2 for x in left))
    return max(0.0, value - NORMAL * error), min(1.0, value + NORMAL * error)


def repetitive(reply: Tokens, n: int = 3) -> bool:
    """Whether a reply says some n-gram twice."""
    grams = list(ngrams(reply, n))
    return len(set(grams)) < len(grams)
