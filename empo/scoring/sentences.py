"""A reply in sentences, and what the evidence of its sentences says of the whole.

EPITOME's annotators marked mostly whole sentences, and a mechanism is there if one sentence shows
it. So each sentence gets a logit for each mechanism, and the reply is read from their summary.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

Span = tuple[int, int]
END = re.compile(r"[.!?\n]+")
# The logit of a sentence that is not there.
NOTHING = -3.0


def owners(text: str, offsets: Sequence[Span]) -> list[int]:
    """For each piece of `text` at `offsets`, the number of its sentence: 0, 1, … without gaps."""
    ends = [match.end() for match in END.finditer(text)]
    found: list[int] = []
    last, number = -1, -1
    for start, _ in offsets:
        place = bisect_right(ends, start)
        if place != last:
            last, number = place, number + 1
        found.append(number)
    return found


def summaries(logits: np.ndarray, lengths: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Eight features of each of N replies for each mechanism, (N, mechanisms * 8).

    `logits` (S, mechanisms) and `lengths` in pieces (S) are those of all sentences, reply after
    reply; `counts` (N) says how many each reply has. For each mechanism the features are: the two
    highest logits, the logarithm of the summed odds, the expected share, number of pieces and
    number of sentences that show it (the numbers as ln(1 + n)), the first and the last logit.
    """
    import numpy as np

    rows, sizes = _padded(logits, lengths, counts)
    ordered = np.sort(rows, 1)
    best, second = ordered[:, -1], ordered[:, -2]
    odds = np.exp(rows)
    chances = odds / (1 + odds)
    expected = (chances * sizes[:, :, None]).sum(1)
    features = [
        best,
        np.where(np.isfinite(second), second, best - 2),
        np.log(odds.sum(1)),
        expected / sizes.sum(1)[:, None],
        np.log1p(expected),
        np.log1p(chances.sum(1)),
        rows[:, 0],
        rows[np.arange(len(rows)), np.maximum(counts, 1) - 1],
    ]
    return np.stack(features, 2).reshape(len(rows), -1)


def _padded(
    logits: np.ndarray, lengths: np.ndarray, counts: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Logits (N, longest, mechanisms), -inf where there is no sentence, and lengths (N, longest).

    A reply without a sentence has one of length 1 that shows nothing; the longest is at least 2.
    """
    import numpy as np

    longest = max(2, counts.max(initial=0))
    rows = np.full((len(counts), longest, logits.shape[1]), -np.inf)
    sizes = np.zeros((len(counts), longest))
    inside = np.arange(longest) < counts[:, None]
    rows[inside], sizes[inside] = logits, lengths
    rows[counts == 0, 0], sizes[counts == 0, 0] = NOTHING, 1
    return rows, sizes
