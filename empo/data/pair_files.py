"""Files of preference pairs, in the forms that TRL's trainers read.

`jsonl` and `parquet` hold TRL's conversational preference format: `prompt`, `chosen` and `rejected`
as lists of messages; `kto` is JSONL in its unpaired form: `prompt`, `completion` and `label`, with
each human reply once. All carry `emotion`, `opposite`, `origin` and the ids beside. A file gets its
name only when it is whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

import orjson

from empo.data.preferences import conversational
from empo.errors import DataError
from empo.types import PreferencePair

Format = Literal["jsonl", "parquet", "kto"]
FORMATS: tuple[Format, ...] = get_args(Format)
_BATCH = 4096


def preference_row(pair: PreferencePair) -> dict[str, Any]:
    """TRL's conversational row of `pair`, and where it comes from."""
    return conversational(pair) | {
        "emotion": pair.emotion,
        "opposite": pair.opposite,
        "origin": pair.origin,
        "dialogue_id": pair.dialogue_id,
        "rejected_id": pair.rejected_id,
    }


def unpaired_rows(pairs: Sequence[PreferencePair]) -> Iterator[dict[str, Any]]:
    """TRL's unpaired rows: each reply to a prompt once, `label` True for the human's."""
    seen: set[tuple[str, int, str]] = set()
    for pair in pairs:
        row = preference_row(pair)
        for side, label in (("chosen", True), ("rejected", False)):
            key = (pair.dialogue_id, len(pair.prompt), getattr(pair, side))
            if key not in seen:
                seen.add(key)
                kept = {k: v for k, v in row.items() if k not in ("chosen", "rejected")}
                yield kept | {"completion": row[side], "label": label}


def write_pairs(path: Path, pairs: Sequence[PreferencePair], form: Format = "jsonl") -> int:
    """Write `pairs` to `path` and return the number of rows.

    Raises:
        DataError: the file cannot be written.
    """
    part = path.with_name(f".{path.name}.part")
    try:
        if form == "parquet":
            _write_parquet(part, pairs)
            count = len(pairs)
        else:
            rows = unpaired_rows(pairs) if form == "kto" else map(preference_row, pairs)
            count = _write_lines(part, rows)
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise DataError(f"{path} cannot be written ({error.strerror or error}).") from error
    return count


def _write_lines(path: Path, rows: Iterator[dict[str, Any]]) -> int:
    count = 0
    with path.open("wb") as file:
        for row in rows:
            file.write(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE))
            count += 1
    return count


def _write_parquet(path: Path, pairs: Sequence[PreferencePair]) -> None:
    """Columns of messages are lists of {role, content}, the others strings."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    text = pa.string()
    messages = pa.list_(pa.struct([("role", text), ("content", text)]))
    names = ("emotion", "opposite", "origin", "dialogue_id", "rejected_id")
    fields = [(name, messages) for name in ("prompt", "chosen", "rejected")]
    schema = pa.schema([*fields, *((name, text) for name in names)])
    with pq.ParquetWriter(path, schema) as writer:
        for start in range(0, len(pairs), _BATCH):
            rows = [preference_row(pair) for pair in pairs[start : start + _BATCH]]
            writer.write_table(pa.Table.from_pylist(rows, schema=schema))
