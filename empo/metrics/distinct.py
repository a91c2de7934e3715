"""Variety and length of replies: distinct-n, mean words, repetition.

distinct-n: Li, Galley, Brockett, Gao & Dolan 2016 (arXiv 1510.03055): different n-grams ÷ all
n-grams over the whole corpus of replies. It falls as a corpus grows, so compare only as many
replies with as many. Words are lower-cased runs of letters and digits (an apostrophe inside a word
belongs to it) and single punctuation marks; `mean_words` counts white-space words, as a reader
would.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence

_WORD = re.compile(r"\w+(?:['’]\w+)*|[^\w\s]")


def words(text: str) -> list[str]:
    """Lower-cased word tokens of `text`."""
    return _WORD.findall(text.lower())


def ngrams(tokens: Sequence[str], n: int) -> Iterable[tuple[str, ...]]:
    """The n-grams of `tokens` in order."""
    return zip(*(tokens[i:] for i in range(n)), strict=False)


def distinct(texts: Iterable[str], n: int = 2) -> float | None:
    """Different n-grams ÷ all n-grams of `texts`; None where no text has one."""
    counts: Counter[tuple[str, ...]] = Counter()
    for text in texts:
        counts.update(ngrams(words(text), n))
    total = counts.total()
    return len(counts) / total if total else None


def mean_words(texts: Sequence[str]) -> float | None:
    """Mean number of white-space words; None for no texts."""
    return sum(len(text.split()) for text in texts) / len(texts) if texts else None


def repetitive(texts: Sequence[str], n: int = 3) -> float | None:
    """Share of `texts` that say some n-gram twice; None for no texts."""
    if not texts:
        return None
    again = 0
    for text in texts:
        grams = list(ngrams(words(text), n))
        again += len(set(grams)) < len(grams)
    return again / len(texts)
