"""What the commands share: a progress line, a question, a table, JSON."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from typing import Any, TextIO

from empo.errors import UsageError


class ProgressLine:
    """One line on standard error: rewritten on a terminal, else a line every `seconds`."""

    def __init__(self, stream: TextIO | None = None, seconds: float = 5.0) -> None:
        self.stream = stream or sys.stderr
        self.live = self.stream.isatty()
        self.pause = 0.1 if self.live else seconds
        self._last = 0.0
        self._width = 0

    def show(self, text: str, last: bool = False) -> None:
        """Show `text`, unless the line before was shown just now; `last` is always shown."""
        now = time.monotonic()
        if not last and now - self._last < self.pause:
            return
        self._last = now
        if self.live:
            print(f"\r{text:<{self._width}}", end="\n" if last else "", file=self.stream)
            self._width = 0 if last else len(text)
        else:
            print(text, file=self.stream)
        self.stream.flush()


def ask(question: str, remedy: str) -> bool:
    """Whether the person at the terminal says yes; no answer is a no.

    Raises:
        UsageError: nobody is at a terminal; `remedy` says what to do instead.
    """
    if not sys.stdin.isatty():
        raise UsageError(f"{question} Nobody can answer here: {remedy}.")
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Columns of text, as wide as they need to be."""
    lines = [[str(cell) for cell in row] for row in (head, *rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def print_json(value: Any) -> None:
    """`value` as JSON on standard output; not-a-number is not JSON and raises ValueError."""
    print(json.dumps(value, ensure_ascii=False, allow_nan=False, indent=2))


def megabytes(count: float) -> str:
    """Bytes for a person: 17.1 MB, 3.86 GB (powers of ten)."""
    if count >= 1e9:
        return f"{count / 1e9:.2f} GB"
    return f"{count / 1e6:.1f} MB"
