"""The scorer's second opinion: linear models over words and sentences of the reply.

A small encoder trained on 2,418 pairs overlooks phrases that a plain word list knows; together
they are better than either (see the figures in the model card). There are three:

- *words*: a softmax regression for each mechanism on the reply's features: pieces, pairs of
  neighbours (the reply's edges among them) and pairs with one piece between, weighted
  1 + ln(count) times their inverse document frequency and scaled to length 1 (as scikit-learn's
  TfidfVectorizer);
- *sentences*: a logistic regression for each mechanism on the same features of one sentence,
  taught by the annotators' rationales; averaged with the mean of the encoder's own evidence for
  the sentence's pieces (the graph's output `evidence`);
- *summary*: a softmax regression for each mechanism on what the sentences' logits, of all
  mechanisms, say of the whole reply.

The levels are the weighted mean of the first's and the last's log-probabilities. `wide.npz` holds
`keys` (F) sorted, `idf` (F), `weights` int8 (F, mechanisms * 3 + mechanisms: words, sentences),
`scales` and `bias` of those columns, `summary` (mechanisms, mechanisms * 8 + 1, 3) with the
bias last, and `share`, the weight of the summary.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from empo.scoring.card import ScorerError
from empo.scoring.sentences import summaries
from empo.types import MECHANISMS

if TYPE_CHECKING:
    import numpy as np

LEVELS = 3
WORDS = LEVELS * len(MECHANISMS)
# Pair (a, b) of pieces has the key (a + 1) * PAIR + b; a single piece its own id; pairs with one
# piece between begin at SKIP.
PAIR = 1 << 15
SKIP = 1 << 29
# [CLS] and [SEP] mark the edges.
BEGIN, FINISH = 2, 3


class Opinion(NamedTuple):
    """`levels` (mechanisms, 3): log-probabilities; `sentences` (S, mechanisms): logits."""

    levels: np.ndarray
    sentences: np.ndarray


class Text(NamedTuple):
    """A reply: its `ids` in pieces (P), the numbers `owners` (P) of their sentences, and `evidence`
    (read, mechanisms), the encoder's logits for the first pieces.
    """

    ids: np.ndarray
    owners: np.ndarray
    evidence: np.ndarray


class Rows(NamedTuple):
    """The features of several texts, sorted by text: `text`, `key` and `count`, each (K)."""

    text: np.ndarray
    key: np.ndarray
    count: np.ndarray


def features(texts: Sequence[np.ndarray]) -> Rows:
    """How often each feature occurs in each of `texts` (ids in pieces, without markers)."""
    import numpy as np

    found = []
    for n, ids in enumerate(texts):
        edged = np.concatenate([[BEGIN], ids, [FINISH]])
        pairs = (edged[:-1] + 1) * PAIR + edged[1:]
        skips = SKIP + (ids[:-2] + 1) * PAIR + ids[2:]
        found.append(np.concatenate([ids, pairs, skips]) + (n << 32))
    if not found:
        return Rows(*np.zeros((3, 0), np.int64))
    both, counts = np.unique(np.concatenate(found), return_counts=True)
    return Rows(both >> 32, both & ((1 << 32) - 1), counts)


class Wide:
    """The linear models in the file `path`.

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
                self._summary = arrays["summary"].astype(np.float64)
                self._share = float(arrays["share"])
        except Exception as error:
            # Missing, cut short, or another kind of file: numpy raises many kinds.
            raise ScorerError(f"The scorer's {path.name} cannot be read: {error}.") from error

    def __call__(self, texts: Sequence[Text]) -> list[Opinion]:
        """The opinions on the replies `texts`, in one pass: most of it costs the same for many."""
        import numpy as np

        if not texts:
            return []
        lengths = [np.bincount(text.owners) for text in texts]
        counts = np.array([len(own) for own in lengths])
        parts = [np.split(t.ids, np.cumsum(n)[:-1]) for t, n in zip(texts, lengths, strict=True)]
        spoken = [part for own, n in zip(parts, counts, strict=True) for part in own[:n]]
        logits = self._linear([*(text.ids for text in texts), *spoken])
        words = log_softmax(logits[: len(texts), :WORDS].reshape(-1, len(MECHANISMS), LEVELS))
        found = blended(logits[len(texts) :, WORDS:], texts, counts)
        told = summaries(found, np.concatenate(lengths), counts)
        weights, bias = self._summary[:, :-1], self._summary[:, -1]
        told = log_softmax(np.einsum("nf,mfk->nmk", told, weights) + bias)
        levels = log_softmax((1 - self._share) * words + self._share * told)
        own = np.split(found, np.cumsum(counts)[:-1])
        return [Opinion(*both) for both in zip(levels, own, strict=True)]

    def _linear(self, texts: Sequence[np.ndarray]) -> np.ndarray:
        """The logits (texts, columns) of the words and sentences models."""
        import numpy as np

        rows = features(texts)
        places = np.searchsorted(self._keys, rows.key)
        known = self._keys[np.minimum(places, len(self._keys) - 1)] == rows.key
        places, text = places[known], rows.text[known]
        values = (1 + np.log(rows.count[known])) * self._idf[places]
        norms = np.sqrt(np.bincount(text, values**2, len(texts)))
        values = (values / norms[text]).astype(np.float32)
        logits = np.tile(self._bias, (len(texts), 1))
        np.add.at(logits, text, values[:, None] * self._weights[places])
        return logits


def blended(logits: np.ndarray, texts: Sequence[Text], counts: np.ndarray) -> np.ndarray:
    """Sentences' `logits` (S, mechanisms), averaged with the mean evidence of their pieces.

    The sentences are those of `texts`, `counts` (N) of each. One of whose pieces the encoder read
    none keeps its own.
    """
    import numpy as np

    starts = np.cumsum(counts) - counts
    read = [t.owners[: len(t.evidence)] + start for t, start in zip(texts, starts, strict=True)]
    own = np.concatenate(read)
    seen = np.bincount(own, minlength=len(logits))[:, None]
    sums = np.zeros(logits.shape)
    np.add.at(sums, own, np.concatenate([text.evidence for text in texts]))
    return np.where(seen > 0, (logits + sums / np.maximum(seen, 1)) / 2, logits)


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """Log-probabilities over the last axis, in float64."""
    import numpy as np

    raised = logits.astype(np.float64) - logits.max(-1, keepdims=True)
    return raised - np.log(np.exp(raised).sum(-1, keepdims=True))
