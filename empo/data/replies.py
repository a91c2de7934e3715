"""Files of replies to be measured: the paper's `~`-separated ones, and JSONL of this project.

A line of JSONL is one reply: `reply`, `context` (what the speaker said last, or the list of all
turns, the speaker's first) and, where known, `human` (the listener who was there), `emotion`, `id`,
`system`, `levels` and `human_levels` (`{"ip": 0, "ex": 1, "er": 2}`). `python -m empo evaluate`
writes such files, so that its replies can be measured again.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from empo.data.emotions import EMOTIONS
from empo.data.lines import text_lines
from empo.data.recorded import Levels, read_replies
from empo.errors import DataError
from empo.types import Turn

MECHANISM_KEYS = ("ip", "ex", "er")
HUMAN = "human"
_SUFFIXES = (".gz", ".jsonl", ".json", ".csv", ".txt")


@dataclass(frozen=True, slots=True)
class Answered:
    """One reply to a dialogue; `id` is the same for the same dialogue in every file.

    `turns` ends with the speaker's last utterance. None: the file does not say.
    """

    id: str
    turns: tuple[Turn, ...]
    reply: str
    human: str | None = None
    emotion: str | None = None
    levels: Levels | None = None
    human_levels: Levels | None = None


def stem(path: Path) -> str:
    """The file's name without its endings: what its system is called."""
    name = path.name
    while name.lower().endswith(_SUFFIXES):
        name = name.rsplit(".", 1)[0]
    return name


def read_answers(path: Path) -> dict[str, tuple[Answered, ...]]:
    """System name → its replies, in the file's order.

    The system is called as the file is, or as its lines' field `system` where they name several;
    lines of the system `human` are left out, for every line has the human's reply.

    Raises:
        DataError: it is no such file; names the row, from 1, and the field.
    """
    if not path.is_file():
        raise DataError(f"There is no file {path}.")
    if path.name.lower().endswith((".jsonl", ".jsonl.gz")):
        return _from_jsonl(path)
    if path.name.lower().endswith((".json", ".json.gz")):
        raise DataError(f"{path.name}: write one JSON object a line, and call the file .jsonl.")
    rows, seen = read_replies(path), Counter[str]()
    if not rows:
        raise DataError(f"{path.name} holds no reply.")
    return {
        stem(path): tuple(
            Answered(
                _numbered(_key(row.turns, row.human), seen),
                row.turns,
                row.text,
                row.human,
                row.emotion,
                row.levels,
                row.human_levels,
            )
            for row in rows
        )
    }


def _from_jsonl(path: Path) -> dict[str, tuple[Answered, ...]]:
    found: dict[str | None, list[Answered]] = {}
    seen: dict[str | None, Counter[str]] = {}
    for number, row in _objects(path.name, text_lines(path)):
        system = _text(path.name, number, row, "system")
        if system != HUMAN:
            answered = _answered(path.name, number, row, seen.setdefault(system, Counter()))
            found.setdefault(system, []).append(answered)
    if not found:
        raise DataError(f"{path.name} holds no reply.")
    if len(found) == 1:
        return {stem(path): tuple(*found.values())}
    return {name or stem(path): tuple(rows) for name, rows in found.items()}


def _objects(name: str, lines: Iterable[str]) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            said = f"{error.msg} (character {error.pos + 1})"
            raise DataError(f"{name}: row {number} is not JSON: {said}.") from error
        except RecursionError as error:
            raise DataError(f"{name}: row {number} is nested too deeply.") from error
        except ValueError as error:
            raise DataError(f"{name}: row {number} holds a number that is too long.") from error
        if not isinstance(row, dict):
            raise DataError(f"{name}: row {number} is not a JSON object; write one a line.")
        yield number, row


def _answered(name: str, number: int, row: dict[str, Any], seen: Counter[str]) -> Answered:
    reply = _text(name, number, row, "reply")
    if reply is None:
        raise DataError(f"{name}: row {number}: field reply is missing.")
    turns, human = _turns(name, number, row), _text(name, number, row, "human")
    emotion = _text(name, number, row, "emotion")
    if emotion is not None and emotion not in EMOTIONS:
        raise DataError(f"{name}: row {number}: emotion “{emotion[:40]}” is none of the 32.")
    given = _text(name, number, row, "id")
    if given is not None and seen[given]:
        raise DataError(f"{name}: row {number}: id {given[:40]} stands twice.")
    return Answered(
        _numbered(given or _key(turns, human), seen),
        turns,
        reply.strip(),
        human,
        emotion,
        _levels(name, number, row, "levels"),
        _levels(name, number, row, "human_levels"),
    )


def _text(name: str, number: int, row: dict[str, Any], field: str) -> str | None:
    value = row.get(field)
    if value is not None and not isinstance(value, str):
        raise DataError(f"{name}: row {number}: field {field} is no text.")
    # Half a character, as JSON may hold it, can be written to no file.
    return None if value is None else value.encode("utf-8", "replace").decode("utf-8")


def _turns(name: str, number: int, row: dict[str, Any]) -> tuple[Turn, ...]:
    given = row.get("context")
    texts = [given] if isinstance(given, str) else given
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise DataError(f"{name}: row {number}: field context is no text and no list of texts.")
    texts = [text.encode("utf-8", "replace").decode("utf-8").strip() for text in texts]
    if not len(texts) % 2 or not all(texts):
        raise DataError(
            f"{name}: row {number}: field context must be turns in alternation, none empty, the "
            "speaker's first and last."
        )
    return tuple(Turn("assistant" if i % 2 else "user", text) for i, text in enumerate(texts))


def _levels(name: str, number: int, row: dict[str, Any], field: str) -> Levels | None:
    given = row.get(field)
    if given is None:
        return None
    values = [given.get(key) for key in MECHANISM_KEYS] if isinstance(given, dict) else []
    if len(values) != 3 or any(v not in (0, 1, 2) or isinstance(v, bool) for v in values):
        raise DataError(f"{name}: row {number}: field {field} is no level 0..2 for ip, ex and er.")
    return int(values[0]), int(values[1]), int(values[2])


def _key(turns: tuple[Turn, ...], human: str | None) -> str:
    text = "\x1e".join([*(turn.text for turn in turns), human or ""])
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:16]


def _numbered(key: str, seen: Counter[str]) -> str:
    """`key`, with a number from its second occurrence on."""
    seen[key] += 1
    return key if seen[key] == 1 else f"{key}-{seen[key]}"
