"""From texts to tensors: padded batches, and labels for every token of a reply."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from tokenizers import Encoding, Tokenizer
from torch import Tensor

from empo.types import MECHANISMS
from train.scoring.data import Feeling, Pair


class Padded(NamedTuple):
    """`ids` and `mask` (N, L), padded on the right."""

    ids: Tensor
    mask: Tensor


@dataclass(frozen=True, slots=True)
class EncodedPair:
    """A pair in pieces. `marks` holds, for each reply piece, 0/1 for each mechanism."""

    post: tuple[int, ...]
    reply: tuple[int, ...]
    marks: tuple[tuple[int, ...], ...]
    levels: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class EncodedFeeling:
    """A speaker's text in pieces."""

    text: tuple[int, ...]
    emotion: int


def encode_pairs(
    tokenizer: Tokenizer, pairs: Sequence[Pair], post: int, reply: int
) -> list[EncodedPair]:
    """`pairs` cut to `post` and `reply` pieces."""
    posts = _encode(tokenizer, [p.post for p in pairs], post)
    replies = _encode(tokenizer, [p.reply for p in pairs], reply)
    return [
        EncodedPair(tuple(a.ids), tuple(b.ids), _marks(b, pair), pair.levels)
        for a, b, pair in zip(posts, replies, pairs, strict=True)
    ]


def encode_feelings(
    tokenizer: Tokenizer, rows: Sequence[Feeling], length: int
) -> list[EncodedFeeling]:
    """`rows` cut to `length` pieces."""
    texts = _encode(tokenizer, [row.text for row in rows], length)
    return [EncodedFeeling(tuple(e.ids), row.emotion) for e, row in zip(texts, rows, strict=True)]


def padded(rows: Sequence[Sequence[int]]) -> Padded:
    """`rows` of ids as one batch; [PAD] is id 0."""
    longest = max(map(len, rows))
    ids = torch.zeros(len(rows), longest, dtype=torch.long)
    mask = torch.zeros(len(rows), longest, dtype=torch.long)
    for i, row in enumerate(rows):
        ids[i, : len(row)] = torch.tensor(row)
        mask[i, : len(row)] = 1
    return Padded(ids, mask)


def padded_marks(rows: Sequence[EncodedPair]) -> Tensor:
    """The rationale labels (N, L, mechanisms) of a batch of replies."""
    longest = max(len(row.reply) for row in rows)
    marks = torch.zeros(len(rows), longest, len(MECHANISMS))
    for i, row in enumerate(rows):
        marks[i, : len(row.marks)] = torch.tensor(row.marks, dtype=torch.float32)
    return marks


def _encode(tokenizer: Tokenizer, texts: list[str], length: int) -> list[Encoding]:
    tokenizer.no_padding()
    tokenizer.enable_truncation(length)
    return tokenizer.encode_batch(texts)


def _marks(encoding: Encoding, pair: Pair) -> tuple[tuple[int, ...], ...]:
    marks = []
    for start, end in encoding.offsets:
        inside = (
            int(start < end and any(a < end and start < b for a, b in spans))
            for spans in pair.rationales
        )
        marks.append(tuple(inside))
    return tuple(marks)
