"""What the scorer learns from: EPITOME's pairs with levels and rationales, ED's emotions.

EPITOME (Sharma et al. 2020): `epitome_{train,val,test}.csv[.gz]`, one row a pair of seeker post
and reply, with a level 0..2 and `|`-joined rationale spans for each mechanism; else its owners'
three files (`train/scoring/owners.py`), which hold the same rows.
"""

from __future__ import annotations

import csv
import gzip
import random
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from empo.data.dialogues import load_split
from empo.data.emotions import EMOTIONS
from empo.errors import DataError
from empo.types import MECHANISMS
from train.scoring.owners import owners_rows

COLUMNS = {"emotional_reaction": "ER", "interpretation": "IP", "exploration": "EX"}
Span = tuple[int, int]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Pair:
    """A post and a reply; `levels` and `rationales` (character spans) in MECHANISMS' order."""

    post: str
    reply: str
    levels: tuple[int, int, int]
    rationales: tuple[tuple[Span, ...], ...]


def read_epitome(folder: Path, split: str) -> list[Pair]:
    """EPITOME's `split` (train, val, test).

    Raises:
        DataError: the files are missing, or a row has no level; names the row.
    """
    for name in (f"epitome_{split}.csv.gz", f"epitome_{split}.csv"):
        if (path := folder / name).is_file():
            break
    else:
        if (rows := owners_rows(folder, split)) is not None:
            return [_pair(f"epitome, {split}", n, row) for n, row in enumerate(rows, 1)]
        raise DataError(
            f"There is no epitome_{split}.csv in {folder}: python -m empo fetch epitome brings "
            f"EPITOME's files, or set EMPO_DATA to their place."
        )
    csv.field_size_limit(sys.maxsize)
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "rt", encoding="utf-8", newline="") as lines:
        return [_pair(path.name, n, row) for n, row in enumerate(csv.DictReader(lines), 1)]


def _pair(name: str, number: int, row: dict[str, str]) -> Pair:
    try:
        levels = tuple(int(row[f"{COLUMNS[m]}_level"]) for m in MECHANISMS)
        reply = row["response_post"]
        spans = tuple(spans_of(reply, row[f"{COLUMNS[m]}_rationales"]) for m in MECHANISMS)
        return Pair(row["seeker_post"], reply, levels, spans)
    except (KeyError, ValueError, TypeError) as error:
        raise DataError(f"{name}, row {number}: {error!r} is no EPITOME level.") from error


def spans_of(reply: str, rationales: str) -> tuple[Span, ...]:
    """The character spans of `|`-joined rationales in `reply`, in order, overlaps joined.

    An annotator's selection that is not in the reply word for word is left out.
    """
    found = []
    for part in (p.strip() for p in rationales.split("|")):
        if part and (start := reply.find(part)) >= 0:
            found.append((start, start + len(part)))
    joined: list[Span] = []
    for start, end in sorted(found):
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((start, end))
    return tuple(joined)


@dataclass(frozen=True, slots=True)
class Feeling:
    """A speaker's text and the index of its emotion in EMOTIONS' order."""

    text: str
    emotion: int


def read_emotions(folder: Path, split: str) -> tuple[list[Feeling], list[Feeling]]:
    """The situations and the first utterances of ED's `split`, in the same order.

    Raises:
        DataError: as `load_split`.
    """
    index = {name: i for i, name in enumerate(EMOTIONS)}
    situations, utterances = [], []
    for dialogue in load_split(folder, split):
        if dialogue.emotion is None or not dialogue.situation:
            continue
        label = index[dialogue.emotion]
        situations.append(Feeling(dialogue.situation, label))
        utterances.append(Feeling(dialogue.turns[0].text, label))
    return situations, utterances


def batches(
    rows: Sequence[T], lengths: Sequence[int], size: int, rng: random.Random, pool: int = 30
) -> Iterator[list[T]]:
    """All rows once, shuffled, in batches of similar length (little padding), batches shuffled."""
    order = list(range(len(rows)))
    rng.shuffle(order)
    for start in range(0, len(order), size * pool):
        window = sorted(order[start : start + size * pool], key=lengths.__getitem__)
        chunks = [window[i : i + size] for i in range(0, len(window), size)]
        rng.shuffle(chunks)
        for chunk in chunks:
            yield [rows[i] for i in chunk]
