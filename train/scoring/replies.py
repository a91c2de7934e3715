"""What the linear models are fitted to: replies in sentences, and the encoder's states of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from tokenizers import Encoding, Tokenizer

from empo.scoring.sentences import owners
from train.scoring.data import Pair
from train.scoring.encoding import padded
from train.scoring.network import Network

READ = 32
# A sentence of which the annotators marked this share of characters shows the mechanism.
MARKED = 0.5


@dataclass(frozen=True, slots=True)
class Reply:
    """`ids` (P) and `owners` (P) of all pieces; for each of the S sentences `marks` (S, mechanisms)
    and the mean low state of its pieces, `states` (S, H), NaN where none was read.
    """

    ids: np.ndarray
    owners: np.ndarray
    levels: tuple[int, ...]
    marks: np.ndarray
    states: np.ndarray

    @property
    def lengths(self) -> np.ndarray:
        """Pieces in each sentence."""
        return np.bincount(self.owners)

    def sentences(self) -> list[np.ndarray]:
        """The pieces of each sentence."""
        return np.split(self.ids, np.cumsum(self.lengths)[:-1]) if len(self.ids) else []


def read_replies(
    network: Network, tokenizer: Tokenizer, pairs: Sequence[Pair], read: int
) -> list[Reply]:
    """The replies of `pairs`; the encoder reads the first `read` pieces, markers included."""
    tokenizer.no_truncation()
    encodings = tokenizer.encode_batch([pair.reply for pair in pairs])
    order = sorted(range(len(pairs)), key=lambda n: len(encodings[n].ids))
    found: list[Reply | None] = [None] * len(pairs)
    for start in range(0, len(order), READ):
        chosen = order[start : start + READ]
        cut = [encodings[n].ids[1:-1][: read - 2] for n in chosen]
        begin, end = encodings[chosen[0]].ids[0], encodings[chosen[0]].ids[-1]
        batch = padded([(begin, *ids, end) for ids in cut])
        with torch.inference_mode():
            states = network.low_states(*batch, role=1).numpy()
        for row, n in enumerate(chosen):
            own = states[row, 1 : len(cut[row]) + 1]
            found[n] = _reply(pairs[n], encodings[n], own)
    return [reply for reply in found if reply is not None]


def _reply(pair: Pair, encoding: Encoding, states: np.ndarray) -> Reply:
    offsets = encoding.offsets[1:-1]
    own = np.array(owners(pair.reply, offsets), np.int64)
    count = len(np.bincount(own))
    marks = np.zeros((count, len(pair.levels)), bool)
    means = np.full((count, states.shape[1]), np.nan, np.float32)
    for k in range(count):
        places = np.flatnonzero(own == k)
        marks[k] = _marks(pair, offsets[places[0]][0], offsets[places[-1]][1])
        if places[0] < len(states):
            means[k] = states[places[places < len(states)]].mean(0)
    return Reply(np.array(encoding.ids[1:-1], np.int64), own, pair.levels, marks, means)


def _marks(pair: Pair, start: int, end: int) -> list[bool]:
    """Whether each mechanism's rationales cover enough of the characters from `start` to `end`."""
    shared = (
        sum(max(0, min(end, b) - max(start, a)) for a, b in spans) for spans in pair.rationales
    )
    return [count >= MARKED * (end - start) for count in shared]
