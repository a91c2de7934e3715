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
from itertools import islice
from math import inf
from operator import eq
from typing import Any

import numpy as np
from numpy.typing import NDArray

from empo.errors import DataError

OUTCOMES = ("a", "b", "tie", "both_bad")
A, B, TIE, BOTH_BAD = range(4)
_CODE = {name: code for code, name in enumerate(OUTCOMES)}
_CHUNK = 1_000  # votes looked at together: few enough for the processor's cache
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

    def renamed(self, names: Mapping[str, str]) -> Votes:
        """The same votes with models called by `names`; as they are if two would be called alike.

        Models that `names` lacks keep their own.
        """
        called = [names.get(model, model) for model in self.models]
        models = tuple(sorted(called))
        if len(set(models)) < len(models):
            return self
        at = np.array([models.index(name) for name in called], dtype=np.int64)
        return replace(self, models=models, model_a=at[self.model_a], model_b=at[self.model_b])

    def pool_sizes(self) -> dict[str, int]:
        """Number of votes of each pool that has any, in the order of the pools' names."""
        counts = np.bincount(self.pool, minlength=len(self.pools))
        return {name: int(n) for name, n in zip(self.pools, counts, strict=True) if n}


_LENGTHS = ("length_a", "length_b")
_OPTIONAL = ("pool", "emotion", "item")
_COLUMNS = ("model_a", "model_b", "outcome", "voter", "pool", "item", "emotion", *_LENGTHS)


def collect(rows: Iterable[tuple[int, Any]], source: str = "The votes") -> Votes:
    """The votes of `rows`, pairs of a line number (from 1) and what that line holds.

    A line that repeats another (same battle, voter and outcome) counts once.

    Raises:
        DataError: a line is no vote (the sentence names `source`, the line and the field), or one
            voter judged one battle twice, differently.
    """
    taken = _Columns()
    rows = iter(rows)
    while chunk := list(islice(rows, _CHUNK)):
        lines, votes = zip(*chunk, strict=True)
        try:
            taken.add(votes, lines)
        except (KeyError, TypeError, ValueError, AttributeError):
            # Something is not as usual: look at each vote, and say which, or make it usual.
            taken.add([_checked(vote, f"{source}, line {line}") for line, vote in chunk], lines)
    arrays = {name: taken.column(name) for name in (*_COLUMNS, "battle", "line")}
    sizes = {name: len(taken.codes[name]) for name in ("item", "battle")}
    return _assemble(arrays, taken.codes, sizes, taken.scores, source)


class _Columns:
    """Votes column by column; names are numbered in the order they come."""

    def __init__(self) -> None:
        self.codes = {
            name: _codes() for name in ("model", "voter", "pool", "emotion", "item", "battle")
        }
        self.codes["item"][""] = 0  # no item
        self.parts: dict[str, list[NDArray[Any]]] = defaultdict(list)
        self.scores: dict[str, dict[int, tuple[float, float]]] = defaultdict(dict)
        self.count = 0

    def add(self, votes: Sequence[Mapping[str, Any]], lines: Sequence[int]) -> None:
        """Add `votes`, all or none; a column at a time, which is several times faster.

        Raises:
            KeyError, TypeError, ValueError, AttributeError: one of them is not as usual.
        """
        text = {key: [vote[key] for vote in votes] for key in _REQUIRED}
        text |= {key: [vote.get(key) or "" for vote in votes] for key in _OPTIONAL}
        if any(set(map(type, column)) != {str} for column in text.values()):
            raise TypeError
        if not all(all(text[key]) for key in _REQUIRED):
            raise ValueError
        if any(map(eq, text["model_a"], text["model_b"])):
            raise ValueError
        columns = {key: _lengths([vote.get(key) for vote in votes]) for key in _LENGTHS}
        columns["outcome"] = _numbered(_CODE, text["outcome"])
        scores = [(i, _scores(vote)) for i, vote in enumerate(votes) if "scores_a" in vote]
        # From here on nothing can fail.
        for key in ("model_a", "model_b", "voter", "battle", *_OPTIONAL):
            kind = "model" if key.startswith("model") else key
            columns[key] = _numbered(self.codes[kind], text[key])
        columns["line"] = np.asarray(lines, dtype=np.int64)
        for key, values in columns.items():
            self.parts[key].append(values)
        for i, found in scores:
            for name, pair in found.items():
                self.scores[name][self.count + i] = pair
        self.count += len(votes)

    def column(self, name: str) -> NDArray[Any]:
        empty = np.zeros(0, dtype=float if name in _LENGTHS else np.int64)
        return np.concatenate([empty, *self.parts[name]])


def _codes() -> defaultdict[str, int]:
    """A dictionary that numbers its keys in the order they come."""
    codes: defaultdict[str, int] = defaultdict()
    codes.default_factory = codes.__len__
    return codes


def _numbered(codes: Mapping[str, int], names: Sequence[str]) -> Ints:
    return np.fromiter(map(codes.__getitem__, names), dtype=np.int64, count=len(names))


def _lengths(values: Sequence[Any]) -> Floats:
    """NaN for None.

    Raises:
        ValueError: one is not a number from 0 on.
    """
    if not set(map(type, values)) <= {int, float, type(None)}:
        raise ValueError
    numbers = np.array(values, dtype=float)
    usual = np.isfinite(numbers) & (numbers >= 0)
    if len(numbers) - int(usual.sum()) != values.count(None):
        raise ValueError
    return numbers


def _checked(vote: Any, where: str) -> dict[str, Any]:
    """`vote` with names as texts (a whole number will do for a voter, a battle or an item).

    Raises:
        DataError: it is no vote; says what is wrong with it.
    """
    if not isinstance(vote, Mapping):
        raise DataError(f"{where}: a vote is an object with {', '.join(_REQUIRED)}; this is none.")
    vote = dict(vote)
    for key in _REQUIRED:
        if key not in vote:
            raise DataError(f"{where}: the field “{key}” is missing.")
    if not isinstance(vote["outcome"], str) or vote["outcome"] not in _CODE:
        shown = str(vote["outcome"])[:40]
        raise DataError(f"{where}: the outcome “{shown}” is not one of {', '.join(OUTCOMES)}.")
    for key in ("voter", "battle", "item"):
        if type(vote.get(key)) is int:
            vote[key] = str(vote[key])
    for key in ("model_a", "model_b", "voter", "battle"):
        if not isinstance(vote[key], str) or not vote[key]:
            raise DataError(f"{where}: the field “{key}” has to be a name (a text, not empty).")
    if vote["model_a"] == vote["model_b"]:
        raise DataError(f"{where}: “{vote['model_a'][:60]}” cannot meet itself in a battle.")
    for key in _OPTIONAL:
        if not isinstance(vote.get(key, ""), str | None):
            raise DataError(f"{where}: the field “{key}” has to be a text, or be left out.")
    for key in _LENGTHS:
        value = vote.get(key)
        if value is not None and (type(value) not in (int, float) or not 0 <= value < inf):
            raise DataError(f"{where}: “{key}” has to be a number from 0 on, or be left out.")
    try:
        _scores(vote)
    except (TypeError, ValueError, AttributeError):
        raise DataError(
            f"{where}: scores_a and scores_b have to map names of scores to numbers or null."
        ) from None
    return vote


def _scores(vote: Mapping[str, Any]) -> dict[str, tuple[float, float]]:
    """The empathy scores that both replies have.

    Raises:
        TypeError, ValueError, AttributeError: they are not numbers by name.
    """
    left, right = vote.get("scores_a") or {}, vote.get("scores_b") or {}
    both = {name: (left[name], right[name]) for name in left.keys() & right.keys()}
    both = {name: pair for name, pair in both.items() if None not in pair}
    if not all(type(value) in (int, float) for pair in both.values() for value in pair):
        raise ValueError
    return both


@dataclass(frozen=True, slots=True, eq=False)
class Encoded:
    """A column of texts (n,): row i holds `names[codes[i]]`, "" where there is none."""

    names: Sequence[str]
    codes: Ints


def from_columns(
    text: Mapping[str, Encoded], lengths: Mapping[str, Floats], battle: Ints, item: Ints
) -> Votes:
    """Votes from ready columns, without scores: what `collect` makes, several times faster.

    `text` has model_a, model_b, outcome, voter, pool and emotion; `battle` and `item` (n,) are
    numbers, -1 for none.

    Raises:
        ValueError: something is not as usual; `collect` says what, or can do with it.
        DataError: one voter judged one battle twice, differently.
    """
    usual = all(all(text[key].names) for key in text.keys() & set(_REQUIRED))
    usual &= set(text["outcome"].names) <= _CODE.keys() and bool((battle >= 0).all())
    usual &= all((np.isnan(x) | ((x >= 0) & np.isfinite(x))).all() for x in lengths.values())
    if not usual:
        raise ValueError("an empty name, an unknown outcome, or a length below 0")
    codes = {key: _positions(text[key].names) for key in ("voter", "pool", "emotion")}
    codes["model"] = _positions(sorted({*text["model_a"].names, *text["model_b"].names}))
    arrays: dict[str, NDArray[Any]] = {key: column.codes for key, column in text.items()}
    for key in ("model_a", "model_b"):
        arrays[key] = _numbered(codes["model"], text[key].names)[arrays[key]]
    arrays["outcome"] = _numbered(_CODE, text["outcome"].names)[arrays["outcome"]]
    if (arrays["model_a"] == arrays["model_b"]).any():
        raise ValueError("a model meets itself")
    arrays |= {**lengths, "battle": battle, "item": item + 1, "line": np.arange(len(battle)) + 1}
    sizes = {"item": int(item.max(initial=-1)) + 2, "battle": int(battle.max(initial=-1)) + 1}
    return _assemble(arrays, codes, sizes, {}, "The votes")


def _positions(names: Sequence[str]) -> dict[str, int]:
    return {name: i for i, name in enumerate(names)}


def _assemble(
    arrays: dict[str, NDArray[Any]],
    codes: Mapping[str, Mapping[str, int]],
    sizes: Mapping[str, int],
    scores: Mapping[str, Mapping[int, tuple[float, float]]],
    source: str,
) -> Votes:
    """Votes with the names sorted, so that nothing depends on the order of the lines.

    `arrays` hold numbers by `codes`; `sizes` says how many items (0: none given) and battles.
    """
    count = len(arrays["line"])
    no_item = arrays["item"] == 0
    arrays["item"] = np.where(no_item, sizes["item"] + arrays["battle"], arrays["item"])
    names = {}
    for kind in ("model", "voter", "pool", "emotion"):
        order = sorted(name for name in codes[kind] if name or kind != "emotion")
        rank = np.full(len(codes[kind]), -1)
        rank[_numbered(codes[kind], order)] = np.arange(len(order))
        for column in ("model_a", "model_b") if kind == "model" else (kind,):
            arrays[column] = rank[arrays[column]]
        names[kind] = tuple(order)
    keep = _first_of_each(arrays, sizes["battle"], names["voter"], source)
    return Votes(
        *names.values(),
        **{name: arrays[name][keep] for name in _COLUMNS},
        scores={name: _score_column(pairs, count)[keep] for name, pairs in sorted(scores.items())},
        repeats=count - len(keep),
    )


def _score_column(pairs: Mapping[int, tuple[float, float]], n: int) -> Floats:
    column = np.full((n, 2), np.nan)
    column[list(pairs)] = list(pairs.values())
    return column


def _first_of_each(
    arrays: dict[str, NDArray[Any]], battles: int, voters: Sequence[str], source: str
) -> Ints:
    """Indices of the votes to keep: one for each (battle, voter, pool).

    Raises:
        DataError: two lines disagree.
    """
    n = len(arrays["line"])
    if battles == n:
        return np.arange(n)
    pools = int(arrays["pool"].max()) + 1
    key = (arrays["battle"] * len(voters) + arrays["voter"]) * pools + arrays["pool"]
    _, first, inverse = np.unique(key, return_index=True, return_inverse=True)
    clash = np.zeros(n, dtype=bool)
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
