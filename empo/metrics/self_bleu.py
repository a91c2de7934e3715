"""Self-BLEU-4: how much the replies of one system repeat one another. Lower is more varied.

Zhu et al. 2018 (SIGIR, *Texygen*): each reply's sentence BLEU (Papineni et al. 2002, orders 1 to 4,
equal weights) with all other replies of the system as references; the mean of these. As NLTK
counts: clipped n-gram counts, a numerator of zero becomes 0.1 (Chen & Cherry 2014, method 1), the
brevity penalty takes the closest reference length (the shorter of two), and a reply none of whose
words occurs in another scores 0.

With every other reply as a reference, an n-gram's clip is the largest count in any of them: the
two largest counts over the corpus suffice, so the time grows with the words and not with their
square.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence

from empo.metrics.distinct import ngrams

ORDER = 4
SMALL = 0.1

# The largest count of an n-gram in one reply, which reply that is, the largest in any other.
_Peak = tuple[int, int, int]


def self_bleu(replies: Sequence[Sequence[str]], order: int = ORDER) -> list[float | None]:
    """The BLEU of each reply (in tokens) against all others; None where it has no token.

    With fewer than two replies there is nothing to compare with: all None.
    """
    if len(replies) < 2:
        return [None] * len(replies)
    precisions: list[list[tuple[int, int]]] = [[] for _ in replies]
    for n in range(1, order + 1):
        counts = [Counter(ngrams(reply, n)) for reply in replies]
        peaks = _peaks(counts)
        for i, own in enumerate(counts):
            precisions[i].append((_clipped(i, own, peaks), max(1, own.total())))
    lengths = Counter(len(reply) for reply in replies)
    return [
        _bleu(found, len(reply), _closest(len(reply), lengths)) if reply else None
        for found, reply in zip(precisions, replies, strict=True)
    ]


def _peaks(counts: Sequence[Counter[tuple[str, ...]]]) -> dict[tuple[str, ...], _Peak]:
    peaks: dict[tuple[str, ...], _Peak] = {}
    for i, own in enumerate(counts):
        for gram, count in own.items():
            first, where, second = peaks.get(gram, (0, -1, 0))
            if count > first:
                peaks[gram] = (count, i, first)
            elif count > second:
                peaks[gram] = (first, where, count)
    return peaks


def _clipped(i: int, own: Counter[tuple[str, ...]], peaks: dict[tuple[str, ...], _Peak]) -> int:
    found = 0
    for gram, count in own.items():
        first, where, second = peaks[gram]
        found += min(count, second if where == i else first)
    return found


def _closest(length: int, lengths: Counter[int]) -> int:
    """The length of another reply that is closest to `length`; of two, the shorter."""
    if lengths[length] > 1:
        return length
    others = sorted(other for other in lengths if other != length)
    at = bisect_left(others, length)
    near = others[max(0, at - 1) : at + 1]
    return min(near, key=lambda other: (abs(other - length), other))


def _bleu(precisions: Sequence[tuple[int, int]], length: int, reference: int) -> float:
    if not precisions[0][0]:
        return 0.0
    logs = [math.log((top or SMALL) / bottom) for top, bottom in precisions]
    penalty = 0.0 if length > reference else 1 - reference / length
    return math.exp(penalty + sum(logs) / len(logs))
