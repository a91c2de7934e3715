"""Votes as columns: a million of them are a handful of arrays.

One vote is a mapping `{"battle", "model_a", "model_b", "outcome": "a|b|tie|both_bad", "voter",
"length_a"?, "length_b"?, "pool"?, "item"?, "emotion"?, "scores_a"?, "scores_b"?}`. Lengths are in
any one unit (words, say). `item` names what was judged where several battles show the same pair of
replies to several voters; without it the battle itself is the item. `scores_a` and `scores_b` map
the names of empathy scores to numbers. Other keys are ignored.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from empo.errors import DataError

OUTCOMES = ("a", "b", "tie", "both_bad")
A, B, TIE, BOTH_BAD = range(4)
_CODE = {name: code for code, name in enumerate(OUTCOMES)}
_REQUIRED = ("battle", "model_a", "model_b", "outcome", "voter")

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Votes:
    """n votes. Names are sorted tuples; the (n,) arrays hold indices into them.

    `outcome` indexes OUTCOMES; lengths are NaN and `emotion` is -1 where not given; `scores` maps
    a score's name to an (n, 2) array (reply a, reply b), NaN where not measured. `repeats` counts
    lines that said again what an earlier line had said, and were left out.
    """

    models: tuple[str, ...]
    voters: tuple[str, ...]
    pools: tuple[str, ...]
    emotions: tuple[str, ...]
    model_a: Ints
    model_b: Ints
    outcome: Ints
    voter: Ints
    pool: Ints
    item: Ints
    emotion: Ints
    length_a: Floats
    length_b: Floats
    scores: Mapping[str, Floats] = field(default_factory=dict)
    repeats: int = 0

    def __len__(self) -> int:
        return len(self.outcome)

    def take(self, keep: NDArray[np.bool_]) -> Votes:
        """The votes where `keep` (n,) is true; models nobody voted on any more are dropped."""
        columns = {name: getattr(self, name)[keep] for name in _COLUMNS}
        present = np.union1d(columns["model_a"], columns["model_b"])
        for name in ("model_a", "model_b"):
            columns[name] = np.searchsorted(present, columns[name])
        models = tuple(self.models[i] for i in present)
        scores = {name: values[keep] for name, values in self.scores.items()}
        return replace(self, models=models, scores=scores, **columns)

    def pool_sizes(self) -> dict[str, int]:
        """Number of votes per pool, in the order of the pools' names."""
        counts = np.bincount(self.pool, minlength=len(self.pools))
        return {name: int(n) for name, n in zip(self.pools, counts, strict=True)}


_COLUMNS = (
    *("model_a", "model_b", "outcome", "voter", "pool", "item", "emotion"),
    *("length_a", "length_b"),
)


def collect(rows: Iterable[tuple[int, Any]], source: str = "The votes") -> Votes:
    """The votes of `rows`, pairs of a line number (from 1) and what that line holds.

    A line that repeats another (same battle, voter and outcome) counts once.

    Raises:
        DataError: a line is no vote (the sentence names `source`, the line and the field), or one
            voter judged one battle twice, differently.
    """
    models, voters, pools, emotions, battles, items = (_codes() for _ in range(6))
    columns: dict[str, list[Any]] = {name: [] for name in (*_COLUMNS, "battle", "line")}
    add = [columns[name].append for name in columns]
    scores: dict[str, dict[int, tuple[float, float]]] = defaultdict(dict)
    for line, row in rows:
        try:
            a, b, voter, battle = row["model_a"], row["model_b"], row["voter"], row["battle"]
            outcome = _CODE[row["outcome"]]
            length_a, length_b = row.get("length_a"), row.get("length_b")
            pool, emotion, item = row.get("pool"), row.get("emotion"), row.get("item")
            if not (type(a) is type(b) is str) or a == b or not (a and b):
                raise ValueError
            if type(voter) is not str or type(battle) is not str:
                voter, battle = _name(voter), _name(battle)
            if type(length_a) is not int or type(length_b) is not int:
                length_a, length_b = _length(length_a), _length(length_b)
            pool, emotion = _label(pool), _label(emotion)
            unit = items["item", _name(item)] if item is not None else items["battle", battle]
        except (KeyError, TypeError, ValueError, AttributeError):
            _explain(row, f"{source}, line {line}")
        values = (
            *(models[a], models[b], outcome, voters[voter], pools[pool], unit),
            *(emotions[emotion] if emotion else -1, length_a, length_b, battles[battle], line),
        )
        for append, value in zip(add, values, strict=True):
            append(value)
        if "scores_a" in row:
            _take_scores(row, len(columns["line"]) - 1, scores, f"{source}, line {line}")
    return _assemble(columns, (models, voters, pools, emotions), scores, source)


def _codes() -> defaultdict[Any, int]:
    """A dictionary that numbers its keys in the order they come."""
    codes: defaultdict[Any, int] = defaultdict()
    codes.default_factory = codes.__len__
    return codes


def _name(value: Any) -> str:
    if type(value) is int:
        return str(value)
    if type(value) is not str or not value:
        raise TypeError
    return value


def _length(value: Any) -> float:
    if value is None:
        return float("nan")
    if type(value) not in (int, float) or not value >= 0:
        raise ValueError
    return value


def _label(value: Any) -> str:
    if value is None:
        return ""
    if type(value) is not str:
        raise TypeError
    return value


def _explain(row: Any, where: str) -> NoReturn:
    """Raise the sentence that says what is wrong with `row`; the slow path of `collect`."""
    if not isinstance(row, Mapping):
        raise DataError(f"{where}: a vote is an object with {', '.join(_REQUIRED)}; this is none.")
    for key in _REQUIRED:
        if key not in row:
            raise DataError(f"{where}: the field “{key}” is missing.")
    if not isinstance(row["outcome"], str) or row["outcome"] not in _CODE:
        shown = str(row["outcome"])[:40]
        raise DataError(f"{where}: the outcome “{shown}” is not one of {', '.join(OUTCOMES)}.")
    for key in ("model_a", "model_b", "voter", "battle"):
        if not isinstance(row[key], str) or not row[key]:
            raise DataError(f"{where}: the field “{key}” has to be a name (a text, not empty).")
    if row["model_a"] == row["model_b"]:
        raise DataError(f"{where}: “{row['model_a'][:60]}” cannot meet itself in a battle.")
    for key in ("length_a", "length_b"):
        value = row.get(key)
        if value is not None and (type(value) not in (int, float) or not value >= 0):
            raise DataError(f"{where}: “{key}” has to be a number from 0 on, or be left out.")
    raise DataError(f"{where}: pool, emotion and item have to be texts, or be left out.")


def _take_scores(row: Mapping[str, Any], index: int, scores: Any, where: str) -> None:
    """Note the empathy scores that both replies of vote `index` have."""
    left, right = row["scores_a"], row.get("scores_b")
    if not (isinstance(left, Mapping) and isinstance(right, Mapping)):
        raise DataError(f"{where}: scores_a and scores_b have to map score names to numbers.")
    for name in left.keys() & right.keys():
        pair = left[name], right[name]
        if None in pair:
            continue
        if not all(type(value) in (int, float) for value in pair):
            raise DataError(f"{where}: the score “{name[:40]}” has to be a number or null.")
        scores[name][index] = pair


def _assemble(
    columns: dict[str, list[Any]],
    names: Sequence[Mapping[str, int]],
    scores: Mapping[str, Mapping[int, tuple[float, float]]],
    source: str,
) -> Votes:
    """Arrays from lists, with names sorted: nothing depends on the order of the lines."""
    arrays = {
        name: np.asarray(values, dtype=float if name.startswith("length") else np.int64)
        for name, values in columns.items()
    }
    wide = {name: _score_column(pairs, len(arrays["line"])) for name, pairs in scores.items()}
    sorted_names = []
    for codes, used_by in zip(
        names, (("model_a", "model_b"), ("voter",), ("pool",), ("emotion",)), strict=True
    ):
        order = sorted(codes)
        rank = np.empty(len(order) + 1, dtype=np.int64)
        rank[np.array([codes[name] for name in order], dtype=np.int64)] = np.arange(len(order))
        rank[-1] = -1  # the emotion nobody gave
        for column in used_by:
            arrays[column] = rank[arrays[column]]
        sorted_names.append(tuple(order))
    keep = _first_of_each(arrays, sorted_names[1], source)
    columns_left = {name: arrays[name][keep] for name in _COLUMNS}
    left_out = len(arrays["line"]) - len(keep)
    wide = {name: values[keep] for name, values in sorted(wide.items())}
    return Votes(*sorted_names, **columns_left, scores=wide, repeats=left_out)


def _score_column(pairs: Mapping[int, tuple[float, float]], n: int) -> Floats:
    column = np.full((n, 2), np.nan)
    column[list(pairs)] = list(pairs.values())
    return column


def _first_of_each(arrays: dict[str, NDArray[Any]], voters: Sequence[str], source: str) -> Ints:
    """Indices of the votes to keep: one for each (battle, voter, pool).

    Raises:
        DataError: two lines disagree.
    """
    width, pools = len(voters) + 1, int(arrays["pool"].max(initial=0)) + 1
    key = (arrays["battle"] * width + arrays["voter"]) * pools + arrays["pool"]
    _, first, inverse = np.unique(key, return_index=True, return_inverse=True)
    if len(first) == len(key):
        return np.arange(len(key))
    clash = np.zeros(len(key), dtype=bool)
    for name in ("model_a", "model_b", "outcome"):
        clash |= arrays[name] != arrays[name][first[inverse]]
    if clash.any():
        at = int(np.argmax(clash))
        earlier, later = arrays["line"][first[inverse[at]]], arrays["line"][at]
        raise DataError(
            f"{source}, line {later}: the voter “{voters[arrays['voter'][at]][:60]}” has voted "
            f"differently on the same battle in line {earlier}; keep one of the two."
        )
    return np.sort(first)
