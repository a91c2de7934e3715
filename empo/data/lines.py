"""The lines of a file that may be no text at all; every problem is one sentence with its line."""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Iterator
from pathlib import Path

from empo.errors import DataError

MAX_LINE = 4_000_000  # bytes
_BOM, _UTF16 = b"\xef\xbb\xbf", (b"\xff\xfe", b"\xfe\xff")
_LONE_CR = re.compile(r"(?<=\r)(?!\n)")


def text_lines(path: Path) -> Iterator[str]:
    """The lines of `path` (plain or gzip, UTF-8), each with its end; a lone CR ends one as well.

    Raises:
        DataError: it cannot be opened, is cut off, is no UTF-8, or has a line beyond `MAX_LINE`.
    """
    opened = gzip.open if path.suffix == ".gz" else open
    number = 0
    try:
        with opened(path, "rb") as file:
            while raw := file.readline(MAX_LINE + 1):
                number += 1
                for line in _LONE_CR.split(_text(raw, number)):
                    if line:
                        yield line
    except ValueError as error:
        raise DataError(f"{path.name} cannot be read: {error}.") from error
    except (OSError, EOFError, zlib.error) as error:
        where = f" beyond line {number}" if number else ""
        damaged = isinstance(error, zlib.error)
        said = "its compressed data are damaged" if damaged else " ".join(str(error).split())
        raise DataError(f"{path.name} cannot be read{where}: {said}.") from error


def _text(raw: bytes, number: int) -> str:
    """Raises ValueError with what is wrong with the line."""
    if number == 1:
        if raw.startswith(_UTF16):
            raise ValueError("it is UTF-16; save it as UTF-8")
        raw = raw.removeprefix(_BOM)
    if len(raw) > MAX_LINE:
        raise ValueError(f"line {number} is longer than {MAX_LINE // 1_000_000} MB")
    if b"\0" in raw:
        raise ValueError(f"line {number} holds a NUL byte, so it is no text or it is damaged")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"line {number}, byte {error.start + 1} is not UTF-8; save it as UTF-8"
        ) from error
