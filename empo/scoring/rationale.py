"""From a probability for every piece of a reply to the spans of text that speak for a mechanism."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Reading:
    """How spans are read: chosen on EPITOME's validation rows, kept in the model's card.

    A piece's probability is averaged with its `window` neighbours on each side; pieces at or above
    `threshold` are in; gaps of at most `gap` pieces between them are closed.
    """

    threshold: float
    window: int
    gap: int


def marked(
    pieces: np.ndarray, sentences: np.ndarray, owners: Sequence[int], weights: Sequence[float]
) -> np.ndarray:
    """Probabilities (P, mechanisms) from the logits of `pieces` (P, mechanisms) and `sentences`.

    `owners` are the numbers of the pieces' sentences (S, mechanisms); `weights` (mechanisms) are
    those of the sentences in the mean of both logits.
    """
    import numpy as np

    share = np.asarray(weights)
    own = sentences[np.asarray(owners[: len(pieces)], np.int64)]
    return 1 / (1 + np.exp(-((1 - share) * pieces + share * own)))


def spans(
    text: str, offsets: Sequence[Span], probabilities: np.ndarray, reading: Reading
) -> tuple[Span, ...]:
    """The (start, end) character spans of `text`, in order, never cutting a word.

    `offsets` are the pieces' places in `text`, `probabilities` theirs in 0..1.
    """
    if not offsets:
        return ()
    inside = _smooth(probabilities, reading.window) >= reading.threshold
    found: list[list[int]] = []
    last = -reading.gap - 2
    for i, (start, end) in enumerate(offsets):
        if not inside[i]:
            continue
        if found and i - last <= reading.gap + 1:
            found[-1][1] = end
        else:
            found.append([start, end])
        last = i
    return _whole_words(text, found)


def _smooth(probabilities: np.ndarray, window: int) -> np.ndarray:
    """The running mean over 2 * `window` + 1 places, fewer at the ends."""
    import numpy as np

    total = np.concatenate([[0.0], np.cumsum(probabilities)])
    places = np.arange(len(probabilities))
    low = np.maximum(places - window, 0)
    high = np.minimum(places + window + 1, len(probabilities))
    return (total[high] - total[low]) / (high - low)


def _whole_words(text: str, found: Sequence[Sequence[int]]) -> tuple[Span, ...]:
    """Spans grown to white space on both sides, those that then touch joined."""
    grown: list[Span] = []
    for start, end in found:
        while start > 0 and not text[start - 1].isspace():
            start -= 1
        while end < len(text) and not text[end].isspace():
            end += 1
        if grown and start <= grown[-1][1]:
            grown[-1] = (grown[-1][0], max(end, grown[-1][1]))
        else:
            grown.append((start, end))
    return tuple(grown)
