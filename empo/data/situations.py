"""Situations to try, one per emotion of EmpatheticDialogues, from `assets/situations.yaml`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import yaml

from empo.data.emotions import EMOTIONS
from empo.errors import DataError
from empo.settings import ASSETS

SITUATIONS = ASSETS / "situations.yaml"


@dataclass(frozen=True, slots=True)
class Situation:
    """Something a person might say: `title` (2–4 words, for a button) and the `text` itself."""

    emotion: str
    title: str
    text: str


def read_situations(path: Path) -> tuple[Situation, ...]:
    """The situations of the YAML file `path`, a list of {emotion, title, text}.

    Raises:
        DataError: the file is no such list; names the entry, from 1, and the field.
    """
    try:
        rows = yaml.safe_load(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise DataError(f"{path.name} cannot be read as YAML: {reason}.") from error
    if not isinstance(rows, list) or not rows:
        raise DataError(f"{path.name} is not a list of situations.")
    return tuple(_situation(path.name, number, row) for number, row in enumerate(rows, 1))


def _situation(file: str, number: int, row: object) -> Situation:
    names = ("emotion", "title", "text")
    if not isinstance(row, dict) or set(row) != set(names):
        raise DataError(f"{file}: entry {number} must have exactly the fields {', '.join(names)}.")
    for name in names:
        if not isinstance(row[name], str) or not row[name].strip():
            raise DataError(f"{file}: entry {number}: field {name} is not a text.")
    if row["emotion"] not in EMOTIONS:
        raise DataError(
            f"{file}: entry {number}: “{row['emotion']}” is not one of the 32 emotions."
        )
    return Situation(**{name: row[name].strip() for name in names})


@cache
def situations() -> tuple[Situation, ...]:
    """The project's own 32 situations, in the order of the file."""
    return read_situations(SITUATIONS)
