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


def summary(logits: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Eight features of a reply from its sentences' `logits` and `lengths` in pieces, both (S).

    The two highest logits, the logarithm of the summed odds, the expected share, number of pieces
    and number of sentences that show the mechanism (the numbers as ln(1 + n)), the first and the
    last logit.
    """
    import numpy as np

    if not len(logits):
        logits, lengths = np.array([NOTHING]), np.ones(1)
    chances = 1 / (1 + np.exp(-logits))
    expected = chances @ lengths
    best = np.sort(logits)[::-1]
    return np.array(
        [
            best[0],
            best[1] if len(best) > 1 else best[0] - 2,
            np.log(np.exp(logits).sum()),
            expected / lengths.sum(),
            np.log1p(expected),
            np.log1p(chances.sum()),
            logits[0],
            logits[-1],
        ]
    )
