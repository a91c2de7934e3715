"""How well rationales agree with the annotators' (ERASER: DeYoung et al. 2020, section 4).

Both measures count words (runs without white space): token-F1 of one reply, and IOU-F1 over many,
where a found span is right if its overlap with a true one, divided by their union, is at least a
half.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

Span = tuple[int, int]
WORD = re.compile(r"\S+")
HALF = 0.5


def words_in(text: str, found: Iterable[Span]) -> list[set[int]]:
    """For each character span, the numbers of the words it touches; empty ones left out."""
    words = [match.span() for match in WORD.finditer(text)]
    sets = ({i for i, (a, b) in enumerate(words) if a < end and start < b} for start, end in found)
    return [touched for touched in sets if touched]


def token_f1(text: str, true: Sequence[Span], found: Sequence[Span]) -> float:
    """2 x shared words / (true words + found words); 1 where both are empty."""
    a: set[int] = set().union(*words_in(text, true))
    b: set[int] = set().union(*words_in(text, found))
    return 2 * len(a & b) / (len(a) + len(b)) if a or b else 1.0


def iou_f1(rows: Iterable[tuple[str, Sequence[Span], Sequence[Span]]]) -> float:
    """F1 over all spans of (text, true, found) rows; 0 where there is none."""
    right_true = right_found = n_true = n_found = 0
    for text, true, found in rows:
        a, b = words_in(text, true), words_in(text, found)
        n_true, n_found = n_true + len(a), n_found + len(b)
        right_true += sum(any(_iou(x, y) >= HALF for y in b) for x in a)
        right_found += sum(any(_iou(x, y) >= HALF for x in a) for y in b)
    recall = right_true / n_true if n_true else 0.0
    precision = right_found / n_found if n_found else 0.0
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def _iou(a: set[int], b: set[int]) -> float:
    return len(a & b) / len(a | b)


def whole_reply(text: str) -> tuple[Span, ...]:
    """A baseline: everything."""
    return ((0, len(text)),)


def first_sentence(text: str) -> tuple[Span, ...]:
    """A baseline: up to the first full stop, question or exclamation mark."""
    match = re.search(r"[.!?]+(?=\s|$)", text)
    return ((0, match.end() if match else len(text)),)
