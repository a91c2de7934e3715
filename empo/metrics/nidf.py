"""NIDF: how specific the words of a reply are, from 0 (in every utterance) to 1 (rarest, unknown).

Normalised inverse document frequency (See, Roller, Kiela & Weston 2019, arXiv 1902.08654), as in
the code of Lee et al. 2022 that EmPO uses: the mean over the *set* of case-sensitive tokens of
(ln c_max − ln c) / (ln c_max − ln c_min), an unknown token counting 1, with c the number of
utterances of EmpatheticDialogues' training and validation splits that have the token.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping

from empo.metrics.tokens import tokens

UNKNOWN = 1.0


def document_frequencies(utterances: Iterable[str]) -> Counter[str]:
    """In how many of `utterances` each token occurs."""
    found: Counter[str] = Counter()
    for utterance in utterances:
        found.update(set(tokens(utterance)))
    return found


class Nidf:
    """NIDF by the given document frequencies.

    Raises:
        ValueError: all tokens are equally frequent, or there are none.
    """

    def __init__(self, frequencies: Mapping[str, int]) -> None:
        values = frequencies.values()
        if not values or min(values) == max(values):
            raise ValueError("All tokens are equally frequent: there is no rarity to measure.")
        top, bottom = math.log(max(values)), math.log(min(values))
        self._rarity = {
            token: (top - math.log(count)) / (top - bottom) for token, count in frequencies.items()
        }

    def __call__(self, reply: str) -> float | None:
        """The mean rarity of the different tokens of `reply`; None where it has none."""
        found = set(tokens(reply))
        if not found:
            return None
        # Added in a fixed order: a set's own changes from run to run, and so would the last digit.
        return sum(self._rarity.get(token, UNKNOWN) for token in sorted(found)) / len(found)
