"""Files of votes: JSONL (canonical), CSV and parquet; all three hold and read back the same.

In CSV and parquet a value that is no text is JSON in its cell. CSV cells that a spreadsheet would
take for a formula begin with an apostrophe, which is taken off again when the file is read.
"""

from __future__ import annotations

import csv
import gzip
import os
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import IO, Any, Final

import orjson

from empo.arena.records import COLUMNS
from empo.errors import DataError, UsageError

KINDS: Final = (".jsonl", ".jsonl.gz", ".csv", ".parquet")
_TEXTS = frozenset(
    {
        *("battle", "pool", "model_a", "revision_a", "model_b", "revision_b", "outcome", "voter"),
        *("item", "emotion", "flags", "consent", "at", "reason"),
    }
)
_MAY_LACK = ("item", "emotion")
# What Excel, LibreOffice and Sheets take for the start of a formula, also in full width.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\0", "＝", "＋", "－", "＠", "'")
_LONGEST: Final = 16_000_000  # bytes of one row
_AT_ONCE = 1_000


def write_votes(path: Path, rows: Iterable[Mapping[str, Any]]) -> int:
    """Write `rows` to `path`, of the kind that its ending names; their number.

    The file is there whole or not at all.

    Raises:
        UsageError: an ending of no kind.
        DataError: the file cannot be written.
    """
    write = _of_kind(path, {".csv": _write_csv, ".parquet": _write_parquet}, _write_jsonl)
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    counted = _Counted(rows)
    try:
        try:
            with beside.open("xb") as file:
                write(file, counted, path)
                file.flush()
                os.fsync(file.fileno())
            beside.replace(path)
        finally:
            beside.unlink(missing_ok=True)
    except OSError as error:
        raise DataError(f"{path.name} cannot be written: {error.strerror or error}.") from error
    return counted.count


def read_rows(path: Path) -> Iterator[tuple[int, Any]]:
    """(row number from 1, row) of the file at `path`.

    Raises:
        UsageError: an ending of no kind, or no file.
        DataError: it cannot be read as that kind; names the row.
    """
    read = _of_kind(path, {".csv": _read_csv, ".parquet": _read_parquet}, _read_jsonl)
    if not path.is_file():
        raise UsageError(f"There is no file {path}: name a file of votes.")
    try:
        yield from read(path)
    except (OSError, EOFError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path.name} cannot be read: {' '.join(str(error).split())}.") from error


def _of_kind(path: Path, kinds: Mapping[str, Callable[..., Any]], jsonl: Any) -> Any:
    name = path.name.lower()
    if name.endswith((".jsonl", ".jsonl.gz")):
        return jsonl
    for ending, function in kinds.items():
        if name.endswith(ending):
            return function
    raise UsageError(f"{path.name} is no file of votes: its name has to end in {', '.join(KINDS)}.")


class _Counted:
    """Rows that are counted as they pass."""

    def __init__(self, rows: Iterable[Mapping[str, Any]]) -> None:
        self.count = 0
        self._rows = rows

    def __iter__(self) -> Iterator[Mapping[str, Any]]:
        for row in self._rows:
            self.count += 1
            yield row


def _write_jsonl(file: IO[bytes], rows: Iterable[Mapping[str, Any]], path: Path) -> None:
    with _maybe_zipped(file, path) as out:
        for row in rows:
            out.write(orjson.dumps(row) + b"\n")


@contextmanager
def _maybe_zipped(file: IO[bytes], path: Path) -> Iterator[Any]:
    if path.suffix != ".gz":
        yield file
        return
    with gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0) as out:
        yield out


def _read_jsonl(path: Path) -> Iterator[tuple[int, Any]]:
    with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as file:
        number = 0
        while line := file.readline(_LONGEST + 1):
            number += 1
            if len(line) > _LONGEST:
                raise DataError(f"{path.name}, row {number}: longer than {_LONGEST:,} bytes.")
            text = line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line
            if text.strip():
                yield number, _parsed(text, f"{path.name}, row {number}")


def _parsed(text: bytes | str, where: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise DataError(f"{where}: not JSON ({error}).") from error


def _write_csv(file: IO[bytes], rows: Iterable[Mapping[str, Any]], path: Path) -> None:
    import io

    text = io.TextIOWrapper(file, encoding="utf-8", newline="", write_through=True)
    out = csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\r\n")
    out.writerow(COLUMNS)
    for row in rows:
        out.writerow([inert(cell) for cell in _cells(row)])
    text.detach()


def inert(cell: str) -> str:
    """`cell` so that no spreadsheet computes it; `_active` takes it back."""
    return f"'{cell}" if cell.startswith(_FORMULA) else cell


def _active(cell: str) -> str:
    return cell.removeprefix("'")


def _read_csv(path: Path) -> Iterator[tuple[int, Any]]:
    csv.field_size_limit(_LONGEST)
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file, strict=True)
        header = next(reader, [])
        if sorted(header) != sorted(COLUMNS):
            raise DataError(f"{path.name} has other columns than a file of votes: it is none.")
        for number, cells in enumerate(reader, 1):
            where = f"{path.name}, row {number}"
            if len(cells) != len(header):
                raise DataError(f"{where}: {len(cells)} cells instead of {len(header)}.")
            yield number, _row(dict(zip(header, map(_active, cells), strict=True)), where)


def _cells(row: Mapping[str, Any]) -> list[str]:
    """The values of `row` in the order of `COLUMNS`, each as a text; "" for None."""
    return [
        (value or "") if name in _TEXTS else orjson.dumps(value).decode()
        for name, value in ((name, row[name]) for name in COLUMNS)
    ]


def _row(cells: Mapping[str, str | None], where: str) -> dict[str, Any]:
    """The row whose cells these are.

    Raises:
        DataError: a cell is not the JSON that it should be; names the column.
    """
    found: dict[str, Any] = {}
    for name in COLUMNS:
        cell = cells[name] or ""
        if name in _TEXTS:
            found[name] = None if not cell and name in _MAY_LACK else cell
        else:
            found[name] = _parsed(cell, f"{where}: {name}")
    return found


def _write_parquet(file: IO[bytes], rows: Iterable[Mapping[str, Any]], path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema([(name, pa.string()) for name in COLUMNS])
    rows = iter(rows)
    with pq.ParquetWriter(file, schema, compression="zstd") as out:
        while some := [_cells(row) for row in islice(rows, _AT_ONCE)]:
            columns = [pa.array(column, pa.string()) for column in zip(*some, strict=True)]
            out.write_table(pa.table(columns, schema=schema))


def _read_parquet(path: Path) -> Iterator[tuple[int, Any]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            if sorted(file.schema_arrow.names) != sorted(COLUMNS):
                raise DataError(f"{path.name} has other columns than a file of votes: it is none.")
            number = 0
            for batch in file.iter_batches(_AT_ONCE):
                for cells in batch.to_pylist():
                    number += 1
                    yield number, _row(_texts(cells, path, number), f"{path.name}, row {number}")
    except pa.ArrowException as error:
        raise DataError(f"{path.name} cannot be read as parquet: {error}.") from error


def _texts(cells: Mapping[str, Any], path: Path, number: int) -> Mapping[str, str | None]:
    for name, cell in cells.items():
        if not isinstance(cell, str | None):
            raise DataError(f"{path.name}, row {number}: {name} has to be a text.")
    return cells
