"""Windows of whole documents: no token ever attends to another document.

The token files hold documents one after the other, each beginning with `<s>`. A document longer
than a window is cut into pieces; pieces are packed into windows, the longest first into the fullest
window that still has room, a block of documents at a time.
"""

from __future__ import annotations

import io
import lzma
from bisect import bisect_left, insort
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from empo.errors import DataError

FIRST = 1  # <s>, which begins every document
IGNORED = -100
BLOCK = 1024  # documents that are packed together


class Windows(NamedTuple):
    """`n` windows of length `w`: tokens, the token after each (or IGNORED), and which document
    a token belongs to (0: filling). All int64 of shape (n, w).
    """

    tokens: np.ndarray
    targets: np.ndarray
    documents: np.ndarray


def read_tokens(path: Path) -> np.ndarray:
    """The token ids in `path`, a NumPy array packed with xz (or plain).

    Raises:
        DataError: it is missing, or no one-dimensional array of unsigned 16-bit numbers.
    """
    try:
        raw = lzma.decompress(path.read_bytes()) if path.suffix == ".xz" else path.read_bytes()
        tokens = np.load(io.BytesIO(raw), allow_pickle=False)
    except FileNotFoundError:
        raise DataError(f"There is no {path.name} in {path.parent}; set EMPO_DATA.") from None
    except (OSError, ValueError, lzma.LZMAError) as error:
        raise DataError(f"{path.name} cannot be read as an array of tokens: {error}.") from error
    if tokens.ndim != 1 or tokens.dtype != np.uint16 or not len(tokens) or tokens[0] != FIRST:
        raise DataError(
            f"{path.name} must be one row of uint16 tokens that begins with <s> ({FIRST})."
        )
    return tokens


def documents(tokens: np.ndarray) -> np.ndarray:
    """Where each document begins and ends: int64 of shape (documents, 2)."""
    starts = np.flatnonzero(tokens == FIRST)
    return np.stack([starts, np.append(starts[1:], len(tokens))], axis=1)


def windows(
    tokens: np.ndarray, width: int, seed: int | None = None, skip: int = 0
) -> Iterator[Windows]:
    """Windows one after the other, without end: pass after pass, each in an order of its own.

    `seed` None: one pass in the file's order. `skip`: windows to leave out at the beginning.
    """
    places, number = documents(tokens), 0
    while True:
        order = np.arange(len(places))
        if seed is not None:
            order = np.random.default_rng([seed, number]).permutation(len(places))
        for first in range(0, len(order), BLOCK):
            plan = _packed(places[order[first : first + BLOCK]], width)
            if seed is not None:
                np.random.default_rng([seed, number, first]).shuffle(plan)
            for pieces in plan[min(skip, len(plan)) :]:
                yield _window(tokens, pieces, width)
            skip -= min(skip, len(plan))
        if seed is None:
            return
        number += 1


def stacked(one: list[Windows]) -> Windows:
    """Windows of one row each as one value."""
    return Windows(*(np.concatenate(parts) for parts in zip(*one, strict=True)))


Piece = tuple[int, int, int]  # begins, ends (both in the file), end of its document


def _packed(places: np.ndarray, width: int) -> list[list[Piece]]:
    """The pieces of each window (best fit, longest first)."""
    pieces = [
        (at, min(at + width, int(end)), int(end))
        for start, end in places
        for at in range(int(start), int(end), width)
    ]
    pieces.sort(key=lambda piece: piece[0] - piece[1])
    plan: list[list[Piece]] = []
    room: list[tuple[int, int]] = []  # (free places, window), sorted
    for piece in pieces:
        length = piece[1] - piece[0]
        found = bisect_left(room, (length, -1))
        if found == len(room):
            plan.append([piece])
            insort(room, (width - length, len(plan) - 1))
        else:
            free, number = room.pop(found)
            plan[number].append(piece)
            insort(room, (free - length, number))
    return plan


def _window(tokens: np.ndarray, pieces: list[Piece], width: int) -> Windows:
    ids, targets, owners = np.zeros((3, 1, width), np.int64)
    targets[:] = IGNORED
    at = 0
    for number, (start, end, last) in enumerate(pieces, 1):
        length, known = end - start, min(end + 1, last) - start - 1
        ids[0, at : at + length] = tokens[start:end]
        targets[0, at : at + known] = tokens[start + 1 : start + 1 + known]
        owners[0, at : at + length] = number
        at += length
    return Windows(ids, targets, owners)
