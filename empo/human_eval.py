"""Ratings by people: a CSV of who gave which system's reply how many points, and what it says."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from empo.arena.agreement import HumanRatings, compare_systems
from empo.errors import DataError
from empo.leaderboard import rounded

KEYS = ("item", "system", "rater")


def read_ratings(path: Path) -> HumanRatings:
    """The ratings of a CSV with the columns item, system, rater and one for each dimension.

    An empty cell is *not rated*.

    Raises:
        DataError: the file cannot be read as that; names the line and the column.
    """
    if not path.is_file():
        raise DataError(
            f"There is no file {path}: name a CSV with item, system, rater and ratings."
        )
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            header = [name.strip() for name in next(reader, [])]
            dimensions = _dimensions(header, path.name)
            rows = list(_rows(reader, header, dimensions, path.name))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path.name} cannot be read as CSV in UTF-8: {error}.") from error
    if not rows:
        raise DataError(f"{path.name} holds no ratings: add one line a rating below the header.")
    keys = list(zip(*(row[0] for row in rows), strict=True))
    names = [tuple(sorted(set(column))) for column in keys]
    indices = [
        np.array([lookup[value] for value in column], dtype=np.int64)
        for column, lookup in zip(
            keys, ({name: i for i, name in enumerate(known)} for known in names), strict=True
        )
    ]
    return HumanRatings(*names, dimensions, *indices, np.array([row[1] for row in rows]))


def agreement_report(path: Path, seed: int = 0) -> dict[str, Any]:
    """`compare_systems` on the file at `path`, ready for JSON.

    Raises:
        DataError: as `read_ratings`.
    """
    return rounded(compare_systems(read_ratings(path), seed))


def _dimensions(header: Sequence[str], source: str) -> tuple[str, ...]:
    missing = [key for key in KEYS if key not in header]
    if missing:
        raise DataError(f"{source}: the header lacks {', '.join(missing)} (of {', '.join(KEYS)}).")
    dimensions = tuple(name for name in header if name not in KEYS)
    if not dimensions or len(set(header)) < len(header) or "" in header:
        raise DataError(
            f"{source}: after {', '.join(KEYS)} the header needs at least one dimension, each "
            "column with a name of its own."
        )
    return dimensions


def _rows(
    reader: Iterator[list[str]], header: Sequence[str], dimensions: Sequence[str], source: str
) -> Iterator[tuple[tuple[str, ...], list[float]]]:
    """((item, system, rater), values) of each row that is not empty."""
    seen: dict[tuple[str, ...], int] = {}
    for cells in reader:
        line = reader.line_num
        if not any(cell.strip() for cell in cells):
            continue
        if len(cells) != len(header):
            raise DataError(
                f"{source}, line {line}: {len(cells)} cells where the header has {len(header)}."
            )
        row = dict(zip(header, (cell.strip() for cell in cells), strict=True))
        key = tuple(row[name] for name in KEYS)
        if "" in key:
            raise DataError(f"{source}, line {line}: the {KEYS[key.index('')]} is empty.")
        if key in seen:
            raise DataError(
                f"{source}, line {line}: {key[2][:40]} has rated {key[1][:40]} on item "
                f"{key[0][:40]} before, in line {seen[key]}; keep one of the two."
            )
        seen[key] = line
        yield key, [_number(row[name], name, f"{source}, line {line}") for name in dimensions]


def _number(text: str, dimension: str, where: str) -> float:
    if not text:
        return math.nan
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise DataError(f"{where}: “{text[:40]}” in the column {dimension} is not a number.")
    return value
