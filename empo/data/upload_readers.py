"""Rows of an untrusted file, one at a time: JSONL, CSV or parquet, each under limits.

Runs in a child process of its own (`upload_child`). Whatever is wrong is a `RowError` with the row;
no reader holds more than one row, or one small batch, at a time.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from empo.data.upload_rows import RowError

Rows = Iterator[tuple[int, dict[str, Any]]]
_UTF8_MARK = b"\xef\xbb\xbf"
_MAX_DIGITS = 40
# First bytes of what is often renamed, and what to call it.
_MAGIC = (
    (b"PK\x03\x04", "a zip archive"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"BZh", "a bzip2 archive"),
    (b"\xfd7zXZ", "an xz archive"),
    (b"\x80\x02", "a pickle"),
    (b"\x80\x03", "a pickle"),
    (b"\x80\x04", "a pickle"),
    (b"\x80\x05", "a pickle"),
    (b"PARE", "an encrypted parquet file"),
    (b"\xff\xfe", "UTF-16 text"),
    (b"\xfe\xff", "UTF-16 text"),
)


@dataclass(frozen=True, slots=True)
class Limits:
    """What is read at most. `memory` is address space of the child; `seconds` its time."""

    bytes: int = 16_000_000
    rows: int = 50_000
    row_bytes: int = 1_000_000
    decoded: int = 50_000_000
    columns: int = 64
    memory: int = 1_500_000_000
    seconds: float = 20.0


def rows_of(path: Path, suffix: str, limits: Limits) -> Rows:
    """The rows of the file at `path` with their numbers from 1; `suffix` says what it should be.

    Raises:
        RowError: it is not that, or goes beyond a limit.
    """
    size = path.stat().st_size
    if size > limits.bytes:
        raise RowError(f"it has {size / 1e6:,.1f} MB, at most {limits.bytes / 1e6:,.0f} are taken")
    _sniff(path, suffix)
    readers: dict[str, Callable[[Path, Limits], Rows]] = {
        ".jsonl": _jsonl,
        ".csv": _csv,
        ".parquet": _parquet,
    }
    last = 0
    for last, row in readers[suffix](path, limits):
        if last > limits.rows:
            raise RowError(
                f"there are more than {limits.rows:,} rows, take a part of them", row=last
            )
        yield last, row
    if not last:
        raise RowError("it holds no row")


def _sniff(path: Path, suffix: str) -> None:
    with path.open("rb") as file:
        head = file.read(8)
    if not head.removeprefix(_UTF8_MARK).strip():
        raise RowError("it is empty")
    for magic, what in _MAGIC:
        if head.startswith(magic):
            raise RowError(f"it is {what}, not a {suffix} file in UTF-8 or plain parquet", row=1)
    if head.startswith(b"PAR1") != (suffix == ".parquet"):
        raise RowError(f"it is not a {suffix} file, whatever its name says", row=1)


def _lines(path: Path, limits: Limits) -> Iterator[tuple[int, str]]:
    """(number, text) of each line; of a line, no more than the limit is ever held."""
    with path.open("rb") as file:
        number = 0
        while line := file.readline(limits.row_bytes + 1):
            number += 1
            if len(line) > limits.row_bytes:
                raise RowError(f"it is longer than {limits.row_bytes:,} bytes", row=number)
            if number == 1:
                line = line.removeprefix(_UTF8_MARK)
            if b"\x00" in line:
                raise RowError("it holds a NUL byte: save the file as UTF-8 text", row=number)
            try:
                yield number, line.decode("utf-8")
            except UnicodeDecodeError:
                raise RowError("it is not UTF-8: save the file as UTF-8 text", row=number) from None


def _jsonl(path: Path, limits: Limits) -> Rows:
    for number, line in _lines(path, limits):
        if line.strip():
            yield number, _object(line, number, limits)


def _object(line: str, number: int, limits: Limits) -> dict[str, Any]:
    def unique(items: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(items)
        if len(found) != len(items):
            names = [name for name, _ in items]
            twice = next(name for name in found if names.count(name) > 1)
            raise RowError("it stands there twice", twice[:40], number)
        return found

    def refuse(text: str) -> NoReturn:
        raise RowError(f"{text} is no number of JSON", row=number)

    def whole(text: str) -> int:
        if len(text) > _MAX_DIGITS:
            raise RowError(f"a number has {len(text):,} digits", row=number)
        return int(text)

    try:
        row = json.loads(line, object_pairs_hook=unique, parse_constant=refuse, parse_int=whole)
    except RecursionError:
        raise RowError("it is nested too deeply", row=number) from None
    except ValueError as error:
        reason = getattr(error, "msg", "not JSON")
        raise RowError(f"it is not one JSON object on one line ({reason})", row=number) from None
    if not isinstance(row, dict):
        what = "an array: write one object a line" if isinstance(row, list) else "no JSON object"
        raise RowError(f"it is {what}", row=number)
    if len(row) > limits.columns:
        raise RowError(
            f"it has {len(row):,} fields, at most {limits.columns} are taken", row=number
        )
    return row


def _csv(path: Path, limits: Limits) -> Rows:
    """The first line names the columns; row 1 is the one below it."""
    csv.field_size_limit(limits.row_bytes)
    reader = csv.reader((line for _, line in _lines(path, limits)), strict=True)
    number = 0
    try:
        names = _header(next(reader), limits)
        for number, cells in enumerate(reader, 1):
            if not cells:
                continue
            if len(cells) != len(names):
                reason = f"it has {len(cells):,} fields, the first line names {len(names)}"
                raise RowError(reason, row=number)
            yield number, {n: cell for n, cell in zip(names, cells, strict=True) if cell != ""}
    except csv.Error as error:
        raise RowError(f"it is not CSV ({error})", row=number + 1) from None


def _header(cells: list[str], limits: Limits) -> list[str]:
    if len(cells) > limits.columns:
        raise RowError(f"it names {len(cells):,} columns, at most {limits.columns} are taken")
    names = [cell.strip().lower() for cell in cells]
    for name in ("chosen", "rejected"):
        if names.count(name) != 1:
            raise RowError("the first line must name this column once", name)
    if len(set(names)) < len(names):
        raise RowError("the first line names a column twice")
    return names


def _parquet(path: Path, limits: Limits) -> Rows:
    import pyarrow as pa
    import pyarrow.parquet as pq

    number = 0
    try:
        file = pq.ParquetFile(
            path, thrift_string_size_limit=1 << 20, thrift_container_size_limit=1 << 16
        )
        names = _columns(file, limits)
        decoded = 0
        for batch in file.iter_batches(batch_size=64, columns=names, use_threads=False):
            decoded += batch.nbytes
            if decoded > limits.decoded:
                raise RowError("it unpacks to far more than it seems to hold", row=number + 1)
            for row in batch.to_pylist():
                number += 1
                yield number, row
    except (pa.ArrowException, OSError, ValueError) as error:
        reason = " ".join(str(error).split())[:120].rstrip(".")
        raise RowError(
            f"it is no parquet file that can be read ({reason})", row=number + 1
        ) from None


def _columns(file: Any, limits: Limits) -> list[str]:
    """The columns to read, once their number, their types and the size they claim are fine."""
    schema, meta = file.schema_arrow, file.metadata
    if meta.num_columns > limits.columns * 4 or len(schema) > limits.columns:
        raise RowError(f"it has {len(schema):,} columns, at most {limits.columns} are taken")
    if meta.num_rows > limits.rows:
        raise RowError(f"it has {meta.num_rows:,} rows, at most {limits.rows:,} are taken")
    claimed = sum(meta.row_group(i).total_byte_size for i in range(meta.num_row_groups))
    if claimed > limits.decoded:
        raise RowError(f"it unpacks to {claimed / 1e6:,.0f} MB, which is too much")
    for field in schema:
        if not _plain(field.type, field.name):
            raise RowError(f"columns of type {str(field.type)[:60]} are not read", field.name[:40])
    for name in ("chosen", "rejected"):
        if name not in schema.names:
            raise RowError("there is no such column", name)
    wanted = ("prompt", "chosen", "rejected", "emotion", "opposite")
    return [name for name in wanted if name in schema.names]


def _plain(kind: Any, name: str) -> bool:
    """Texts, and in the columns of a pair also lists of {role, content}; elsewhere any number."""
    from pyarrow import types

    if types.is_dictionary(kind):
        kind = kind.value_type
    if types.is_string(kind) or types.is_large_string(kind) or types.is_null(kind):
        return True
    if types.is_list(kind) or types.is_large_list(kind):
        inner = kind.value_type
        if types.is_struct(inner):
            return all(types.is_string(f.type) or types.is_large_string(f.type) for f in inner)
        return False
    return types.is_primitive(kind)
