"""The scorer's second opinion: a linear model over the words and word pairs of the reply.

A small encoder trained on 2,418 pairs overlooks phrases that a plain word list knows; together
they are better than either (see the figures in the model card). Features are the pieces of the
reply and the pairs of neighbouring pieces, weighted 1 + ln(count) times their inverse document
frequency and scaled to length 1 (as scikit-learn's TfidfVectorizer), with one softmax regression
for each mechanism. `wide.npz` holds them: `keys` (F) sorted, `idf` (F), `weights` int8
(F, mechanisms * 3), `scales` and `bias` (mechanisms * 3).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from empo.scoring.card import ScorerError
from empo.types import MECHANISMS

if TYPE_CHECKING:
    import numpy as np

LEVELS = 3
# Pair (a, b) of pieces has the key (a + 1) * PAIR + b; a single piece its own id.
PAIR = 1 << 15


def features(ids: Sequence[int]) -> Counter[int]:
    """How often each piece and each pair of neighbours occurs; `ids` without markers."""
    counts = Counter(int(i) for i in ids)
    counts.update((int(a) + 1) * PAIR + int(b) for a, b in pairwise(ids))
    return counts


class Wide:
    """The linear model in the file `path`.

    Raises:
        ScorerError: it is missing or is not such a file; names it.
    """

    def __init__(self, path: Path) -> None:
        import numpy as np

        try:
            with np.load(path, allow_pickle=False) as arrays:
                self._keys = arrays["keys"].astype(np.int64)
                self._idf = arrays["idf"].astype(np.float32)
                self._weights = arrays["weights"].astype(np.float32) * arrays["scales"]
                self._bias = arrays["bias"].astype(np.float32)
        except Exception as error:
            # Missing, cut short, or another kind of file: numpy raises many kinds.
            raise ScorerError(f"The scorer's {path.name} cannot be read: {error}.") from error

    def __call__(self, ids: Sequence[int]) -> np.ndarray:
        """Log-probabilities (mechanisms, 3) of the levels of a reply with these pieces."""
        import numpy as np

        counts = features(ids)
        keys = np.fromiter(counts, np.int64, len(counts))
        places = np.searchsorted(self._keys, keys)
        known = self._keys[np.minimum(places, len(self._keys) - 1)] == keys
        logits = self._bias.copy()
        if known.any():
            places = places[known]
            often = np.fromiter(counts.values(), np.float32, len(counts))[known]
            values = (1 + np.log(often)) * self._idf[places]
            logits += (values / np.linalg.norm(values)) @ self._weights[places]
        return log_softmax(logits.reshape(len(MECHANISMS), LEVELS))


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """Log-probabilities over the last axis, in float64."""
    import numpy as np

    raised = logits.astype(np.float64) - logits.max(-1, keepdims=True)
    return raised - np.log(np.exp(raised).sum(-1, keepdims=True))
