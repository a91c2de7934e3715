"""The leaderboard: a file of votes in, one report out, for the command line and the page."""

from __future__ import annotations

import gzip
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json as pa_json

from empo.arena import flip, tallies
from empo.arena.agreement import voter_agreement
from empo.arena.bradley_terry import Cells, Ints
from empo.arena.cells import plain_cells
from empo.arena.ratings import Contrast, Ratings, rate, rate_adjusted
from empo.arena.unusual import Unusual, unusual_voters
from empo.arena.votes import Encoded, Votes, collect, from_columns
from empo.errors import DataError, UsageError

METHOD = (
    "Bradley–Terry by maximum likelihood with Davidson's (1970) ties; 400 points are odds of 10 "
    "to 1, mean 1000; 95 % intervals by the jackknife over voters; “both bad” takes no part. "
    "Adjusted: with terms for the left seat and for the relative difference of lengths."
)
_NAMES = ("model_a", "model_b", "outcome", "voter", "pool", "emotion")
_LENGTHS = ("length_a", "length_b")
_BLOCK = 8_000_000  # bytes parsed at once; also the longest line that can be read quickly
# No more pools than this are named in a sentence.
_NAMED = 8
# An interval that reaches this far (odds of 30 to 1) says only that nothing is known.
_WIDE = 600


def read_votes(path: Path) -> Votes:
    """The votes of a JSONL file (gzipped if it ends in .gz), one object a line.

    Raises:
        DataError: the file cannot be read, or a line is not a vote; names the line.
    """
    if not path.is_file():
        raise DataError(f"There is no file {path}: name a file with one vote a line (JSONL).")
    try:
        try:
            return _read_plain(path)
        except (ValueError, pa.ArrowException, DataError):
            # Unusual, or wrong: line by line takes longer, but can say which line.
            return collect(_rows(path), path.name)
    except (OSError, EOFError) as error:
        raise DataError(f"{path.name} cannot be read: {error}.") from error


def _read_plain(path: Path) -> Votes:
    """Read a file in which nothing is unusual, by column.

    Raises:
        ValueError, ArrowException, DataError: something is.
    """
    # A score is an object, not a text: then this fails, and line by line it is read.
    texts = (*_NAMES, "battle", "item", "scores_a")
    fields = [(name, pa.string()) for name in texts] + [(name, pa.float64()) for name in _LENGTHS]
    parsing = pa_json.ParseOptions(
        explicit_schema=pa.schema(fields), unexpected_field_behavior="ignore"
    )
    reading = pa_json.ReadOptions(use_threads=False, block_size=_BLOCK)
    with pa.input_stream(str(path), compression="detect") as file:
        read = pa_json.read_json(file, reading, parsing).combine_chunks()
    return from_columns(
        {name: Encoded(*_coded(read[name])) for name in _NAMES},
        {name: read[name].to_numpy() for name in _LENGTHS},
        battle=_numbers(read["battle"]),
        item=_numbers(read["item"]),
    )


def _coded(column: pa.ChunkedArray) -> tuple[list[str], Ints]:
    names, codes = _dictionary(column.fill_null(""))
    return names.to_pylist(), codes


def _numbers(column: pa.ChunkedArray) -> Ints:
    """(n,): the same number for the same text, -1 for none."""
    names, codes = _dictionary(column)
    empty = pc.index(names, "").as_py()
    return codes if empty < 0 else np.where(codes == empty, -1, codes)


def _dictionary(column: pa.ChunkedArray) -> tuple[pa.Array, Ints]:
    coded = column.combine_chunks().dictionary_encode()
    if isinstance(coded, pa.ChunkedArray):  # a column without rows
        coded = coded.chunk(0)
    return coded.dictionary, coded.indices.fill_null(-1).to_numpy().astype(np.int64)


def _rows(path: Path) -> Iterator[tuple[int, Any]]:
    with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as file:
        for line, text in enumerate(file, start=1):
            if line == 1:
                text = text.removeprefix(b"\xef\xbb\xbf")
            try:
                yield line, orjson.loads(text)
            except orjson.JSONDecodeError as error:
                if text.strip():
                    raise DataError(f"{path.name}, line {line}: not JSON ({error}).") from error


def choose_pool(
    votes: Votes, pool: str | None = None, pooled: bool = False
) -> tuple[Votes, list[str]]:
    """The votes of one pool, or of all where `pooled`; and the warnings that go with it.

    Unlike votes (live or recorded, another prompt, another revision) are never mixed silently.

    Raises:
        UsageError: there are several pools and no choice, or no pool called `pool`.
    """
    sizes = votes.pool_sizes()
    listed = "; ".join(f"{_shown(name)}: {n} votes" for name, n in list(sizes.items())[:_NAMED])
    if pool is not None:
        if pool not in sizes:
            raise UsageError(f"There is no pool {_shown(pool)}; the pools are {listed or 'none'}.")
        return votes.take(votes.pool == votes.pools.index(pool)), []
    if len(sizes) < 2:
        return votes, []
    if pooled:
        return votes, [f"{len(sizes)} pools of unlike votes are taken together ({listed})."]
    raise UsageError(
        f"These votes are of {len(sizes)} pools, which are not mixed unless you ask for it "
        f"({listed}): choose one with --pool NAME, or --all-pools."
    )


def _shown(pool: str) -> str:
    return f"“{pool[:60]}”" if pool else "votes without a pool"


def ratings_report(votes: Votes, pool: str | None = None, pooled: bool = False) -> dict[str, Any]:
    """Everything the votes say, ready for JSON: None is *cannot be said*.

    `{"standings": [{"model", "rating", "low", "high", "wins", "losses", "ties", "votes"}],
    "adjusted": [the same], "sentence", "warnings": [...], "adjusted_warnings": [those of them that
    are about the adjusted ratings alone], "votes", "voters", "pools": {name: n},
    "groups": [[model]], "effects": {"side" | "length": {"points", "low", "high"}}, "matrix",
    "pairs": [{"a", "b", "difference", "low", "high", "told_apart", "votes_needed"}],
    "flip": {"votes", "leader", "challenger"}, "both_bad", "position_bias", "voter_agreement",
    "score_agreement", "unusual_voters", "without_unusual": {"votes", "order"}, "emotions",
    "tie_parameter", "method"}`; the parts as `arena.tallies`, `arena.ratings`, `arena.agreement`
    and `arena.unusual` say. `order` is that of the first group if unusual voters are left out.

    Raises:
        UsageError: as `choose_pool`.
    """
    votes, warnings = choose_pool(votes, pool, pooled)
    if votes.repeats:
        warnings.append(f"Lines that repeat an earlier vote, and were left out: {votes.repeats}.")
    cells = plain_cells(votes)
    plain, adjusted = rate(votes, cells), rate_adjusted(votes, cells)
    unusual = unusual_voters(votes, cells)
    report = {
        "standings": [asdict(row) for row in plain.standings],
        "adjusted": [asdict(row) for row in adjusted.standings],
        "sentence": sentence(votes, plain),
        "warnings": list(dict.fromkeys((*warnings, *plain.warnings, *adjusted.warnings))),
        "adjusted_warnings": [
            line for line in adjusted.warnings if line not in (*warnings, *plain.warnings)
        ],
        "votes": len(votes),
        "voters": int(np.count_nonzero(np.bincount(votes.voter))),
        "pools": votes.pool_sizes(),
        "groups": [list(group) for group in plain.groups],
        "effects": {name: asdict(effect) for name, effect in adjusted.effects.items()},
        "matrix": tallies.win_matrix(votes),
        "pairs": [asdict(contrast) for contrast in plain.contrasts],
        "flip": _flip(votes, cells, plain),
        "both_bad": tallies.both_bad(votes),
        "position_bias": tallies.position_bias(votes),
        "voter_agreement": voter_agreement(votes),
        "score_agreement": tallies.score_agreement(votes),
        "unusual_voters": [asdict(entry) for entry in unusual],
        "without_unusual": _without(votes, unusual, plain),
        "emotions": tallies.emotion_wins(votes),
        "tie_parameter": plain.tie_parameter,
        "method": METHOD,
    }
    return rounded(report)


def rounded(value: Any) -> Any:
    """`value` with floats to six decimals: the last bits depend on the order of a sum."""
    if isinstance(value, float):
        return round(float(value), 6)
    if isinstance(value, Mapping):
        return {key: rounded(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(item) for item in value]
    return value


def sentence(votes: Votes, plain: Ratings) -> str:
    """The honest sentence on top of the leaderboard."""
    if not len(votes):
        return "No votes yet: the ranking begins with the first."
    top = plain.contrasts[0] if plain.contrasts else None
    if top is None or top.difference is None:
        return "No vote has said yet which of two models is the better one."
    if top.low is None:
        return (
            f"{top.a} is ahead of {top.b}, but the votes are too few people's to say whether "
            "others would agree."
        )
    if top.told_apart:
        return f"{top.a} leads: {_lead(plain.contrasts)}."
    if top.votes_needed is None:
        few = top.high is None or top.high > _WIDE
        rest = (
            "the votes are too few" if few else f"either may be up to {top.high:.0f} points ahead"
        )
        return f"{top.a} and {top.b} cannot be told apart yet: they are level so far, and {rest}."
    return (
        f"{top.a} and {top.b} cannot be told apart yet: about {two_digits(top.votes_needed)} "
        f"{'vote' if top.votes_needed == 1 else 'votes'} between the two to go."
    )


def _lead(contrasts: Sequence[Contrast]) -> str:
    top = contrasts[0]
    upper = "" if top.high is None else f" to {top.high:.0f}"
    return f"{top.difference:.0f} points above {top.b} (95 % interval from {top.low:.0f}{upper})"


def two_digits(count: int) -> int:
    """`count` to two significant digits."""
    step = 10 ** max(0, len(str(count)) - 2)
    return round(count / step) * step


def _without(votes: Votes, unusual: Sequence[Unusual], plain: Ratings) -> dict[str, Any] | None:
    """What the unusual voters make of the order; None where there are none of them, or no order."""
    if not unusual or not plain.groups or len(plain.groups[0]) < 2:
        return None
    named = [votes.voters.index(entry.voter) for entry in unusual]
    rest = votes.take(~np.isin(votes.voter, named))
    rated = rate(rest).groups
    return {"votes": len(rest), "order": list(rated[0]) if rated else []}


def _flip(votes: Votes, cells: Cells, plain: Ratings) -> dict[str, Any] | None:
    """How many votes would end the lead of the first of the first group."""
    if not plain.groups or len(plain.groups[0]) < 2:
        return None
    index = sorted(votes.models.index(name) for name in plain.groups[0])
    wins, ties = (part[index][:, index] for part in flip.table(cells))
    found = flip.votes_to_flip(wins, ties)
    if found is None:
        return None
    count, leader, challenger = found
    names = [votes.models[i] for i in index]
    return {"votes": count, "leader": names[leader], "challenger": names[challenger]}
