"""The paper's released replies: `~`-separated files, one row per test dialogue and system.

`python -m empo fetch replies` puts them into the data folder; they carry no licence, so they are
read from there and never shipped. Columns used: `chat_templates` (the prompt as rendered by
Zephyr's template, with the dialogue so far), `gen_targets` (the human listener's reply), `emotions`
and `gens` (the system's reply); where they are there, `pred_IP_scores` … and `gt_IP_scores` … (the
EPITOME levels that the authors' classifiers gave the system's and the human's reply).
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

from empo.data.emotions import EMOTIONS
from empo.data.lines import text_lines
from empo.errors import DataError
from empo.types import ModelSpec, Turn

HUMAN = ModelSpec("human", "Human", "the listener who was there", "human")
# File stem → the system whose replies it holds; in the order of the columns.
SYSTEMS: dict[str, ModelSpec] = {
    "recorded_replies_base": ModelSpec("base", "Base", "before empathy training", "base"),
    "recorded_replies_base_short": ModelSpec(
        "base-short", "Base, short", "held to 30 tokens", "base"
    ),
    "recorded_replies_sft_124": ModelSpec("sft", "SFT", "taught by examples", "sft"),
    "recorded_replies_dpo_d270": ModelSpec("dpo", "DPO", "taught by preferences", "dpo"),
}
# The same files as the paper's repository names them, in the same order.
PUBLISHED = (
    "preds_dlrxxx_zephyr-7b-sft-full_epi.txt",
    "preds_dlrxxx30x_zephyr-7b-sft-full_epi.txt",
    "preds_dlr1e6m1000_zephyr-7b-sft-full124_epi.txt",
    "preds_dlr1e6m1000_zephyr-7b-sft-full124_d270_epi.txt",
)
_NEEDED = ("chat_templates", "gen_targets", "emotions", "gens")
_PART = re.compile(r"<\|(system|user|assistant)\|>\n(.*?)(?=</s>\n<\||</s>\n?$|\Z)", re.DOTALL)
_FIELD_LIMIT = 1_000_000  # characters of one cell; a rendered prompt has a few thousand


Levels = tuple[int, int, int]
"""Predicted EPITOME levels 0, 1, 2: interpretation, exploration, emotional reaction."""


@dataclass(frozen=True, slots=True)
class RecordedReply:
    """One row of one file. `turns` ends with the speaker's last utterance, no system turn."""

    turns: tuple[Turn, ...]
    human: str
    emotion: str
    text: str
    system: str | None = None
    levels: Levels | None = None
    human_levels: Levels | None = None


@dataclass(frozen=True, slots=True)
class Recorded:
    """A situation with every system's recorded reply to it, by model name."""

    number: int
    turns: tuple[Turn, ...]
    human: str
    emotion: str
    replies: Mapping[str, str] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """The first utterance, cut for a list."""
        text = self.turns[0].text
        return text if len(text) <= 90 else text[:89].rstrip() + "…"


def read_replies(path: Path) -> tuple[RecordedReply, ...]:
    """The rows of one `~`-separated file, plain or gzip.

    Raises:
        DataError: it is not such a file; names the row, from 1, and the column.
    """
    try:
        return tuple(_rows(path.name, text_lines(path)))
    except csv.Error as error:
        raise DataError(f"{path.name} cannot be read: {' '.join(str(error).split())}.") from error


def _rows(name: str, lines: Iterable[str]) -> Iterator[RecordedReply]:
    csv.field_size_limit(_FIELD_LIMIT)
    reader = csv.DictReader(lines, delimiter="~")
    names = reader.fieldnames or ()
    if len(names) == 1:
        raise DataError(f"{name} is no file of recorded replies: ~ must be between its columns.")
    if not names:
        raise DataError(f"{name} holds no reply.")
    if lacking := [c for c in _NEEDED if c not in names]:
        raise DataError(f"{name} has no column {lacking[0]}: it is no file of recorded replies.")
    for number, row in enumerate(reader, 1):
        yield _row(name, number, row)


def _row(name: str, number: int, row: Mapping[str, str | None]) -> RecordedReply:
    for column in _NEEDED:
        if not isinstance(row[column], str):
            raise DataError(f"{name}: row {number}: column {column} is missing.")
    system, turns = parse_prompt(row["chat_templates"] or "")
    if not turns or turns[-1].role != "user":
        raise DataError(f"{name}: row {number}: chat_templates ends with no user turn.")
    if row["emotions"] not in EMOTIONS:
        raise DataError(f"{name}: row {number}: “{row['emotions']}” is none of the 32 emotions.")
    texts = {column: (row[column] or "").strip() for column in _NEEDED}
    return RecordedReply(
        turns,
        texts["gen_targets"],
        texts["emotions"],
        texts["gens"],
        system,
        _levels(name, number, row, "pred"),
        _levels(name, number, row, "gt"),
    )


def _levels(name: str, number: int, row: Mapping[str, str | None], kind: str) -> Levels | None:
    """The stored levels; None where the file has no such columns."""
    columns = [f"{kind}_{mechanism}_scores" for mechanism in ("IP", "EX", "ER")]
    if any(column not in row for column in columns):
        return None
    for column in columns:
        if row[column] not in ("0", "1", "2", "0.0", "1.0", "2.0"):
            raise DataError(f"{name}: row {number}: column {column} is no level 0, 1 or 2.")
    first, second, third = (int(float(row[column] or 0)) for column in columns)
    return first, second, third


def parse_prompt(rendered: str) -> tuple[str | None, tuple[Turn, ...]]:
    """System prompt and turns of a prompt rendered by Zephyr's chat template.

    The empty assistant turn at the end, which asks for the reply, is left out.
    """
    parts = [(m[1], m[2].strip()) for m in _PART.finditer(rendered)]
    system = next((text for role, text in parts if role == "system"), None)
    turns = tuple(
        Turn("user" if role == "user" else "assistant", text)
        for role, text in parts
        if role != "system" and text
    )
    return system, turns


def find_files(place: Path) -> dict[str, Path]:
    """Model name → its file of recorded replies in the folder `place`, in the order of the columns.

    `place` may also be one such file. Names as `fetch` gives them, or as the paper's repository.
    """
    found = {}
    for (stem, spec), published in zip(SYSTEMS.items(), PUBLISHED, strict=True):
        for name in (f"{stem}.csv", f"{stem}.csv.gz", published):
            path = place if place.name == name else place / name
            if path.is_file():
                found[spec.name] = path
                break
    return found


def join(files: Mapping[str, Sequence[RecordedReply]]) -> tuple[Recorded, ...]:
    """Rows of several systems put together by dialogue and human reply, in the first file's order.

    A dialogue that occurs twice is joined in order of occurrence; one that only some systems
    answered has only their replies.
    """
    found: dict[tuple[object, ...], Recorded] = {}
    for model, rows in files.items():
        seen: Counter[tuple[object, ...]] = Counter()
        for row in rows:
            dialogue = (row.turns, row.human)
            key = (*dialogue, seen[dialogue])
            seen[dialogue] += 1
            entry = found.setdefault(
                key, Recorded(len(found), row.turns, row.human, row.emotion, {})
            )
            found[key] = replace(entry, replies={**entry.replies, model: row.text})
    return tuple(found.values())


@cache
def recorded(place: Path) -> tuple[Recorded, ...]:
    """Everything recorded in the folder or file `place`; empty where there is nothing.

    Raises:
        DataError: a file there is damaged.
    """
    return join({model: read_replies(path) for model, path in find_files(place).items()})


def search(
    entries: Sequence[Recorded], emotion: str | None = None, text: str = "", limit: int = 50
) -> tuple[Recorded, ...]:
    """The first `limit` entries of that emotion whose dialogue holds every word of `text`."""
    words = text.lower().split()
    found = []
    for entry in entries:
        if emotion and entry.emotion != emotion:
            continue
        said = " ".join(turn.text for turn in entry.turns).lower()
        if all(word in said for word in words):
            found.append(entry)
            if len(found) == limit:
                break
    return tuple(found)
