"""Files of pairs in the three forms; what is written reads back, also into TRL's own functions."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from empo.data.pair_files import preference_row, unpaired_rows, write_pairs
from empo.data.uploads import read_upload
from empo.errors import DataError
from empo.types import PreferencePair, Turn

PROMPT = (Turn("user", "Hi."), Turn("assistant", "Yes?"), Turn("user", "My dog “Bo” died."))
PAIRS = (
    PreferencePair(PROMPT, "Oh no.", "How nice!", "sad", "joyful", "paper", "d1", "r1"),
    PreferencePair(PROMPT, "Oh no.", "Great 🎉", "sad", "joyful", "paper", "d1", "r2"),
    PreferencePair(PROMPT[:1], "Hello.", "Go.", None, None, "upload", "d2", "d2"),
)


def test_jsonl_is_trl_s_conversational_format(tmp_path: Path) -> None:
    path = tmp_path / "pairs.jsonl"
    assert write_pairs(path, PAIRS) == 3
    rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    assert rows[0] == preference_row(PAIRS[0])
    assert rows[0]["prompt"][-1] == {"role": "user", "content": "My dog “Bo” died."}
    assert rows[0]["chosen"] == [{"role": "assistant", "content": "Oh no."}]
    facts = {"emotion": "sad", "opposite": "joyful", "origin": "paper"}
    assert facts.items() <= rows[0].items() and rows[2]["emotion"] is None
    assert (rows[1]["dialogue_id"], rows[1]["rejected_id"]) == ("d1", "r2")
    assert [path.name for path in tmp_path.iterdir()] == ["pairs.jsonl"]


def test_kto_says_each_reply_once(tmp_path: Path) -> None:
    rows = list(unpaired_rows(PAIRS))
    said = [(row["completion"][0]["content"], row["label"]) for row in rows]
    assert said == [
        *(("Oh no.", True), ("How nice!", False), ("Great 🎉", False)),
        *(("Hello.", True), ("Go.", False)),
    ]
    assert write_pairs(tmp_path / "k.jsonl", PAIRS, "kto") == 5
    assert {"prompt", "completion", "label"} <= rows[0].keys() and "chosen" not in rows[0]


@pytest.mark.parametrize("name, form", [("a.jsonl", "jsonl"), ("a.parquet", "parquet")])
def test_what_is_written_can_be_sent_back(tmp_path: Path, name: str, form: str) -> None:
    write_pairs(tmp_path / name, PAIRS, form)
    back = read_upload(tmp_path / name)
    assert [(p.prompt, p.chosen, p.rejected, p.emotion, p.opposite) for p in back] == [
        (p.prompt, p.chosen, p.rejected, p.emotion, p.opposite) for p in PAIRS
    ]


def test_parquet_has_the_same_rows(tmp_path: Path) -> None:
    write_pairs(tmp_path / "a.parquet", PAIRS, "parquet")
    assert pq.read_table(tmp_path / "a.parquet").to_pylist() == [preference_row(p) for p in PAIRS]


def test_a_place_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be written"):
        write_pairs(tmp_path / "no" / "a.jsonl", PAIRS)
