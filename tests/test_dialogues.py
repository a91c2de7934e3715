"""empo/data/dialogues.py: the three forms, malformed rows, the real files."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest

from empo.data.dialogues import (
    MAX_REPORTED,
    Dialogues,
    find_split,
    listener_turns,
    load_split,
    read_dialogues,
)
from empo.errors import DataError
from empo.types import Dialogue, Turn

COLUMNS = ["conv_id", "utterance_idx", "context", "prompt", "speaker_idx", "utterance"]
ROWS = [
    ("hit:1_conv:2", "1", "sad", "My fish_comma_ Bob_comma_ died.", "0", "My  fish_comma_ he died"),
    ("hit:1_conv:2", "2", "sad", "My fish_comma_ Bob_comma_ died.", "1", 'Oh "no"'),
    ("hit:1_conv:2", "3", "sad", "My fish_comma_ Bob_comma_ died.", "0", "Yes."),
    ("hit:3_conv:4", "2", "proud", "I won.", "9", "Well done!"),
    ("hit:3_conv:4", "1", "proud", "I won.", "8", "I won."),
]
WANTED = (
    Dialogue(
        "hit:1_conv:2",
        (Turn("user", "My fish, he died"), Turn("assistant", 'Oh "no"'), Turn("user", "Yes.")),
        "sad",
        "My fish, Bob, died.",
    ),
    Dialogue(
        "hit:3_conv:4", (Turn("user", "I won."), Turn("assistant", "Well done!")), "proud", "I won."
    ),
)


def csv_of(rows: list[tuple[str, ...]]) -> str:
    lines = [",".join([*COLUMNS, "selfeval", "tags"])]
    return "\n".join([*lines, *(",".join((*row, "5|5|5", "")) for row in rows)]) + "\n"


def write(path: Path, text: str) -> Path:
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(text.encode("utf-8")))
    else:
        path.write_text(text, "utf-8")
    return path


def write_parquet(path: Path, rows: list[tuple[str, ...]]) -> Path:
    columns = {name: [row[i] for row in rows] for i, name in enumerate(COLUMNS)}
    columns["utterance_idx"] = [int(value) for value in columns["utterance_idx"]]
    pyarrow.parquet.write_table(pyarrow.table(columns), path)
    return path


def line(**changes: object) -> str:
    row = {"conv_id": "c", "emotion": "sad", "situation": "s", "turns": ["a", "b"]}
    return json.dumps({**row, **changes})


@pytest.mark.parametrize("name", ["train.csv", "train.csv.gz"])
def test_the_tarball_s_csv(tmp_path: Path, name: str) -> None:
    """Commas restored, white space folded, quotation marks kept, rows put in order."""
    read = read_dialogues(write(tmp_path / name, csv_of(ROWS)))
    assert read.dialogues == WANTED
    assert read.report() == f"{name}: 2 dialogues."


def test_the_hub_s_parquet(tmp_path: Path) -> None:
    assert read_dialogues(write_parquet(tmp_path / "train.parquet", ROWS)).dialogues == WANTED


@pytest.mark.parametrize("name", ["ed_train.jsonl", "ed_train.jsonl.gz"])
def test_jsonl(tmp_path: Path, name: str) -> None:
    rows = [
        {
            "conv_id": d.id,
            "emotion": d.emotion,
            "situation": d.situation,
            "turns": [turn.text for turn in d.turns],
        }
        for d in WANTED
    ]
    text = "\n".join(json.dumps(row) for row in rows)
    assert read_dialogues(write(tmp_path / name, text)).dialogues == WANTED


@pytest.mark.parametrize(
    "text, reason",
    [
        ("{", "Expecting"),
        ("[1]", "not a JSON object"),
        ("[" * 100_000, "nested too deeply"),
        ('{"conv_id": ' + "9" * 5000 + "}", "digits"),
        (line(turns="a b"), "field turns is not a list of strings"),
        (line(turns=["a", None]), "field turns is not a list of strings"),
        (line(turns=["a"]), "fewer than two turns"),
        (line(turns=["a", "  "]), "an empty turn"),
        (line(emotion="hungry"), "“hungry” is not one of the 32 emotions"),
        (line(emotion=None), "“None” is not one of the 32 emotions"),
        (line(conv_id=""), "field conv_id is missing"),
    ],
)
def test_a_malformed_json_line_is_left_out_and_reported(
    tmp_path: Path, text: str, reason: str
) -> None:
    read = read_dialogues(write(tmp_path / "d.jsonl", f"{line()}\n\n{text}\n{line(conv_id='d')}\n"))
    assert [dialogue.id for dialogue in read.dialogues] == ["c", "d"]
    assert read.malformed == 1
    assert read.problems[0].line == 3
    assert reason in read.problems[0].reason
    assert "1 malformed rows left out (line 3: " in read.report()


@pytest.mark.parametrize(
    "row, line_number, reason",
    [
        (("c", "x", "sad", "s", "0", "hi"), 7, "utterance_idx is no number: 'x'"),
        (("c", "1", "sad", "s", "0", ""), 7, "field utterance is missing or empty"),
        (("c", "1"), 7, "field prompt is missing"),
        (("c", "2", "sad", "s", "0", "hi"), 7, "lacks or repeats an utterance_idx"),
        (("hit:3_conv:4", "2", "proud", "s", "0", "hi"), 6, "lacks or repeats"),
        (("c", "1", "sad", "s", "0", "hi"), 7, "fewer than two turns"),
    ],
)
def test_a_malformed_csv_row_is_left_out_and_reported(
    tmp_path: Path, row: tuple[str, ...], line_number: int, reason: str
) -> None:
    read = read_dialogues(write(tmp_path / "train.csv", csv_of([*ROWS, row])))
    assert WANTED[0] in read.dialogues
    assert read.malformed == 1
    assert (read.problems[0].line, reason in read.problems[0].reason) == (line_number, True)


def test_a_malformed_parquet_row(tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "t.parquet", [*ROWS, ("c", "1", "sad", "s", "0", "")])
    read = read_dialogues(path)
    assert read.dialogues == WANTED
    assert read.problems[0].line == 6


def test_what_breaks_terminals_and_databases_is_cleaned(tmp_path: Path) -> None:
    text = line(turns=["a\x00b \ud800", "c"], situation=None)
    (dialogue,) = read_dialogues(write(tmp_path / "d.jsonl", text)).dialogues
    assert dialogue.turns[0].text == "ab \ufffd"
    assert dialogue.situation == ""


def test_many_problems_are_counted_and_the_first_are_kept(tmp_path: Path) -> None:
    read = read_dialogues(write(tmp_path / "d.jsonl", "\n".join([line(), *["{"] * 50])))
    assert read.malformed == 50
    assert len(read.problems) == MAX_REPORTED


@pytest.mark.parametrize(
    "name, body, said",
    [
        ("d.jsonl", b"", "holds no dialogue"),
        ("d.jsonl", b"{\n", "First problem: line 1"),
        ("d.jsonl", b"\xff\xfe\x00", "cannot be read"),
        ("d.jsonl.gz", b"not gzip", "cannot be read"),
        ("d.jsonl.gz", gzip.compress(b"{}" * 999)[:-9], "cannot be read"),
        ("d.csv", b"a,b\n1,2\n", "holds no dialogue .* field conv_id is missing"),
        ("d.parquet", b"PAR1 not", "not a parquet file"),
        ("d.txt", b"hello", "not a .jsonl, .csv or .parquet"),
    ],
)
def test_a_file_that_is_no_such_file(tmp_path: Path, name: str, body: bytes, said: str) -> None:
    (tmp_path / name).write_bytes(body)
    with pytest.raises(DataError, match=said):
        read_dialogues(tmp_path / name)


def test_a_missing_file_or_split_names_the_command_that_gets_it(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="python -m empo fetch ed"):
        read_dialogues(tmp_path / "none.csv")
    with pytest.raises(DataError, match=r"\(valid\) is not in .* python -m empo fetch ed"):
        find_split(tmp_path, "valid")


@pytest.mark.parametrize(
    "name",
    ["ed_valid.jsonl.gz", "valid.csv", "validation.parquet", "empatheticdialogues/valid.csv"],
)
def test_a_split_is_found_in_each_form(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.touch()
    assert find_split(tmp_path, "valid") == path


def test_each_listener_turn_with_what_was_said_before() -> None:
    turns = tuple(Turn("assistant" if i % 2 else "user", str(i)) for i in range(5))
    assert list(listener_turns(Dialogue("d", turns))) == [(turns[:1], "1"), (turns[:3], "3")]


@pytest.mark.parametrize("split, count", [("train", 19_418), ("valid", 2_771), ("test", 2_571)])
def test_the_real_files_are_read_whole(data_folder: Path, split: str, count: int) -> None:
    read: Dialogues = read_dialogues(find_split(data_folder, split))
    assert (len(read.dialogues), read.malformed) == (count, 0)
    assert not any("_comma_" in t.text for d in read.dialogues for t in d.turns)
    assert load_split(data_folder, split) == read.dialogues
