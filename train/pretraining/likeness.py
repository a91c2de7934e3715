"""Which documents of a mix are most like the dialogues that the model is meant for.

Importance weights over tokens and hashed pairs of tokens, after Xie et al. 2023 (*Data Selection
for Language Models via Importance Resampling*, there of words): each is worth as much as it is
likelier in the dialogues than in the mix. The documents of the highest mean are kept, not drawn.
Only these counts are taken from the dialogues; no text of theirs reaches the model.
"""

from __future__ import annotations

import numpy as np

from train.pretraining.windows import documents

BUCKETS = 1 << 16  # of pairs of tokens
_MIXER = 2_654_435_761  # Knuth's multiplicative hash
_MOST = 4.0  # nats that one n-gram may say
_PRIOR = 32  # tokens as usual, added to every document: a short one says little


def most_like(mix: np.ndarray, wanted: np.ndarray, share: float) -> np.ndarray:
    """The documents of `mix` most like `wanted`, in the mix's order: at most `share` of its tokens.

    Both are rows of uint16 tokens, each document beginning with `<s>`.
    """
    places, worth = documents(mix), likeness(mix, wanted)
    sizes = places[:, 1] - places[:, 0]
    best = np.argsort(-worth, kind="stable")
    best = best[np.cumsum(sizes[best]) <= share * len(mix)]
    kept = np.zeros(len(places), dtype=bool)
    kept[best] = True
    return mix[np.repeat(kept, sizes)]


def likeness(mix: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """For each document of `mix`, nats a token above the mix's mean, drawn towards 0 where the
    document is short; (documents,)."""
    words = int(max(mix.max(), wanted.max())) + 1
    worth = np.zeros(len(mix))
    for kinds, size in ((_tokens, words), (_pairs, BUCKETS)):
        mine = kinds(mix, words)
        told = np.log(_shares(kinds(wanted, words), size)) - np.log(_shares(mine, size))
        worth[len(mix) - len(mine) :] += told.clip(-_MOST, _MOST)[mine] / 2
    sums = np.add.reduceat(worth - worth.mean(), documents(mix)[:, 0])
    return sums / (np.diff(documents(mix)).ravel() + _PRIOR)


def _tokens(row: np.ndarray, _: int) -> np.ndarray:
    return row.astype(np.int64)


def _pairs(row: np.ndarray, words: int) -> np.ndarray:
    """The bucket of each token with the one before it."""
    together = row[:-1].astype(np.int64) * words + row[1:]
    return together * _MIXER % (1 << 32) >> 16


def _shares(kinds: np.ndarray, size: int) -> np.ndarray:
    """How often each of `size` kinds comes, one of each added."""
    counts = np.bincount(kinds, minlength=size) + 1.0
    return counts / counts.sum()
