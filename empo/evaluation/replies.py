"""The replies behind a report: read again, averaged by emotion, searched for the extreme ones."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from empo.errors import DataError

Line = Mapping[str, Any]
EVERY = "every situation"  # where nobody has said which emotion it is about


def read_lines(folder: Path) -> list[dict[str, Any]]:
    """The lines of replies.jsonl (or .jsonl.gz) in `folder`; none where there is no such file.

    Raises:
        DataError: a line is not JSON; names it.
    """
    for name in ("replies.jsonl", "replies.jsonl.gz"):
        if (path := folder / name).is_file():
            opened = gzip.open if path.suffix == ".gz" else open
            with opened(path, "rt", encoding="utf-8") as lines:
                return [_line(name, n, line) for n, line in enumerate(lines, 1) if line.strip()]
    return []


def _line(name: str, number: int, line: str) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{name}: row {number} is not JSON.") from error
    if not isinstance(found, dict) or not isinstance(found.get("scores"), dict):
        raise DataError(f"{name}: row {number}: field scores is missing.")
    return found


def by_emotion(lines: Sequence[Line], column: str) -> dict[str, dict[str, tuple[float, int]]]:
    """Emotion → system → (mean of `column`, over how many replies)."""
    found: dict[str, dict[str, list[float]]] = {}
    for line in lines:
        value, emotion = line["scores"].get(column), line.get("emotion") or EVERY
        if value is not None:
            found.setdefault(emotion, {}).setdefault(line["system"], []).append(value)
    return {
        emotion: {name: (sum(v) / len(v), len(v)) for name, v in row.items()}
        for emotion, row in found.items()
    }


def behind(
    lines: Sequence[Line], system: str, emotion: str | None, column: str, count: int = 6
) -> list[Line]:
    """Replies of `system` to that emotion: those with the highest and the lowest `column`."""
    own = [
        line
        for line in lines
        if line["system"] == system
        and (emotion is None or (line.get("emotion") or EVERY) == emotion)
        and line["scores"].get(column) is not None
    ]
    own.sort(key=lambda line: (-line["scores"][column], str(line["id"])))
    if len(own) <= count:
        return own
    half = count // 2
    return own[:half] + own[len(own) - (count - half) :]
