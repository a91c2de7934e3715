"""EmpatheticDialogues (Rashkin et al. 2019) as `Dialogue` values, from each form it comes in.

Three forms are read: the original tarball's CSV (`train.csv`: one row an utterance, commas written
`_comma_`), the Hub's parquet (revision `refs/convert/parquet`, the same columns), and JSONL with
one dialogue a line (`emotion, situation, conv_id, turns[]`), each plain or gzipped. Turns
alternate: the first speaker (user) tells, the listener (assistant) answers.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from empo.data.emotions import EMOTIONS
from empo.data.lines import text_lines
from empo.errors import DataError
from empo.sampling import clean_message
from empo.types import Dialogue, Turn

MAX_REPORTED = 20
SPLITS = {"train": ("train",), "valid": ("valid", "validation"), "test": ("test",)}
SUFFIXES = (".jsonl.gz", ".jsonl", ".csv", ".csv.gz", ".parquet")


@dataclass(frozen=True, slots=True)
class Problem:
    """A row that was left out: its line (or row) number in the file, from 1, and why."""

    line: int
    reason: str


@dataclass(frozen=True, slots=True)
class Dialogues:
    """What a file held: the good dialogues, how many rows were left out, the first of them."""

    path: Path
    dialogues: tuple[Dialogue, ...]
    malformed: int = 0
    problems: tuple[Problem, ...] = ()

    def report(self) -> str:
        """One sentence for a person."""
        text = f"{self.path.name}: {len(self.dialogues)} dialogues"
        if self.malformed:
            where = "; ".join(f"line {p.line}: {p.reason}" for p in self.problems[:3])
            text += f", {self.malformed} malformed rows left out ({where})"
        return text + "."


class _Utterance(NamedTuple):
    line: int
    conv_id: str
    index: int
    emotion: str
    situation: str
    text: str


def read_dialogues(path: Path) -> Dialogues:
    """Read the dialogues of `path`; malformed rows are counted and reported, never guessed at.

    Raises:
        DataError: the file is missing, is none of the three forms, or holds no good dialogue.
    """
    name = path.name.lower()
    if not path.is_file():
        raise DataError(f"There is no file {path}; get the data with: python -m empo fetch ed.")
    problems: list[Problem] = []
    try:
        if name.endswith((".jsonl", ".jsonl.gz")):
            dialogues = list(_from_jsonl(path, problems))
        elif name.endswith((".csv", ".csv.gz")):
            dialogues = _assemble(_from_csv(path, problems), problems)
        elif name.endswith(".parquet"):
            dialogues = _assemble(_from_parquet(path, problems), problems)
        else:
            raise DataError(f"{path.name} is not a .jsonl, .csv or .parquet file (.gz allowed).")
    except (OSError, csv.Error) as error:
        raise DataError(f"{path.name} cannot be read: {error}.") from error
    if not dialogues:
        first = (
            f" First problem: line {problems[0].line}: {problems[0].reason}." if problems else ""
        )
        raise DataError(f"{path.name} holds no dialogue that can be used.{first}")
    return Dialogues(path, tuple(dialogues), len(problems), tuple(problems[:MAX_REPORTED]))


def find_split(folder: Path, split: str) -> Path:
    """The file of `split` (train, valid, test) in `folder`, whichever form it has.

    Raises:
        DataError: there is none.
    """
    for stem in SPLITS[split]:
        for prefix in ("ed_", "", "empatheticdialogues/"):
            for suffix in SUFFIXES:
                if (path := folder / f"{prefix}{stem}{suffix}").is_file():
                    return path
    raise DataError(
        f"EmpatheticDialogues ({split}) is not in {folder}; get it with: python -m empo fetch ed "
        "(or set EMPO_DATA to the folder that has it)."
    )


def load_split(folder: Path, split: str) -> tuple[Dialogue, ...]:
    """The dialogues of `split` in `folder`.

    Raises:
        DataError: as `find_split` and `read_dialogues`.
    """
    return read_dialogues(find_split(folder, split)).dialogues


def listener_turns(dialogue: Dialogue) -> Iterator[tuple[tuple[Turn, ...], str]]:
    """Each listener turn with everything said before it: (context, reply)."""
    for i, turn in enumerate(dialogue.turns):
        if turn.role == "assistant":
            yield dialogue.turns[:i], turn.text


def _clean(text: str) -> str:
    return " ".join(clean_message(text.replace("_comma_", ",")).split())


def _from_jsonl(path: Path, problems: list[Problem]) -> Iterator[Dialogue]:
    for number, line in enumerate(text_lines(path), 1):
        if not line.strip():
            continue
        try:
            yield _dialogue_of(json.loads(line))
        except RecursionError:
            problems.append(Problem(number, "it is nested too deeply"))
        except ValueError as error:
            problems.append(Problem(number, str(error)))


def _dialogue_of(row: Any) -> Dialogue:
    if not isinstance(row, dict):
        raise ValueError("not a JSON object")
    turns = row.get("turns")
    if not isinstance(turns, list) or not all(isinstance(t, str) for t in turns):
        raise ValueError("field turns is not a list of strings")
    return _dialogue(
        str(row.get("conv_id", "")),
        str(row.get("emotion")),
        str(row.get("situation") or ""),
        turns,
    )


def _dialogue(conv_id: str, emotion: str, situation: str, texts: Iterable[str]) -> Dialogue:
    cleaned = [_clean(text) for text in texts]
    if not conv_id:
        raise ValueError("field conv_id is missing")
    if emotion not in EMOTIONS:
        raise ValueError(f"field emotion: “{emotion[:40]}” is not one of the 32 emotions")
    if len(cleaned) < 2:
        raise ValueError("fewer than two turns")
    if not all(cleaned):
        raise ValueError("an empty turn")
    turns = tuple(Turn("assistant" if i % 2 else "user", text) for i, text in enumerate(cleaned))
    return Dialogue(conv_id, turns, emotion, _clean(situation))


def _utterance(line: int, row: dict[str, Any]) -> _Utterance:
    for name in ("conv_id", "utterance_idx", "context", "prompt", "utterance"):
        if row.get(name) in (None, ""):
            raise ValueError(f"field {name} is missing or empty")
    try:
        index = int(row["utterance_idx"])
    except ValueError:
        raise ValueError(f"field utterance_idx is no number: {row['utterance_idx']!r}") from None
    texts = (str(row[name]) for name in ("context", "prompt", "utterance"))
    return _Utterance(line, str(row["conv_id"]), index, *texts)


def _from_csv(path: Path, problems: list[Problem]) -> Iterator[_Utterance]:
    # The original is not quoted: a quotation mark in it is one.
    reader = csv.DictReader(text_lines(path), quoting=csv.QUOTE_NONE)
    for row in reader:
        try:
            yield _utterance(reader.line_num, row)
        except ValueError as error:
            problems.append(Problem(reader.line_num, str(error)))


def _from_parquet(path: Path, problems: list[Problem]) -> Iterator[_Utterance]:
    import pyarrow
    import pyarrow.parquet

    try:
        file = pyarrow.parquet.ParquetFile(path)
        number = 0
        for batch in file.iter_batches(batch_size=4096):
            for row in batch.to_pylist():
                number += 1
                try:
                    yield _utterance(number, row)
                except ValueError as error:
                    problems.append(Problem(number, str(error)))
    except pyarrow.ArrowException as error:
        raise DataError(
            f"{path.name} is not a parquet file that can be read: {str(error).rstrip('.')}."
        ) from error


def _assemble(rows: Iterable[_Utterance], problems: list[Problem]) -> list[Dialogue]:
    """Dialogues from utterances, ordered by first appearance; a broken dialogue is one problem."""
    grouped: dict[str, list[_Utterance]] = {}
    for row in rows:
        grouped.setdefault(row.conv_id, []).append(row)
    dialogues = []
    for conv_id, utterances in grouped.items():
        utterances.sort(key=lambda u: u.index)
        first = utterances[0]
        try:
            if [u.index for u in utterances] != list(range(1, len(utterances) + 1)):
                raise ValueError(f"dialogue {conv_id} lacks or repeats an utterance_idx")
            dialogues.append(
                _dialogue(conv_id, first.emotion, first.situation, (u.text for u in utterances))
            )
        except ValueError as error:
            problems.append(Problem(first.line, str(error)))
    return dialogues
