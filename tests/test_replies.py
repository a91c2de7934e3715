"""Files of replies: both forms, the same dialogue in several files, and files that are wrong."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from empo.data.replies import read_answers, stem
from empo.errors import DataError
from empo.types import Turn

HEAD = "~chat_templates~gen_targets~emotions~gens"
LEVELS = "~pred_IP_scores~pred_EX_scores~pred_ER_scores~gt_IP_scores~gt_EX_scores~gt_ER_scores"
PROMPT = '"<|user|>\nMy dog died.</s>\n<|assistant|>\n"'


def jsonl(folder: Path, *rows: Any, name: str = "mine.jsonl") -> Path:
    path = folder / name
    text = "".join(f"{row if isinstance(row, str) else json.dumps(row)}\n" for row in rows)
    path.write_text(text, "utf-8")
    return path


def test_a_jsonl_file_is_read(tmp_path: Path) -> None:
    row = {"context": ["My dog died.", "Oh.", "Yes."], "reply": " Sorry! ", "emotion": "sad"}
    levels = {"levels": {"ip": 0, "ex": 1, "er": 2}, "human_levels": None, "human": "Poor dog."}
    (name, (first, second)), *_ = read_answers(
        jsonl(tmp_path, {**row, **levels}, "", {"context": "Hi", "reply": ""})
    ).items()
    assert name == "mine" and first.reply == "Sorry!" and first.levels == (0, 1, 2)
    assert first.turns == (Turn("user", "My dog died."), Turn("assistant", "Oh."),
                           Turn("user", "Yes."))  # fmt: skip
    assert second.reply == "" and second.human is None and second.emotion is None


def test_lines_of_several_systems_are_told_apart_and_the_human_s_left_out(tmp_path: Path) -> None:
    rows = [{"system": s, "id": "1", "context": "Hi", "reply": s} for s in ("a", "b", "human")]
    found = read_answers(jsonl(tmp_path, *rows))
    assert {name: row[0].reply for name, row in found.items()} == {"a": "a", "b": "b"}
    assert list(read_answers(jsonl(tmp_path, rows[0], name="one.jsonl"))) == ["one"]


def test_the_paper_s_form_gives_levels_and_the_same_ids(tmp_path: Path) -> None:
    path = tmp_path / "preds.csv.gz"
    with gzip.open(path, "wt", encoding="utf-8") as file:
        file.write(f"{HEAD}{LEVELS}\n0~{PROMPT}~Poor dog.~sad~Oh no.~0~1~2~0.0~0.0~1.0\n")
        file.write(f"1~{PROMPT}~Poor dog.~sad~Sorry.~1~1~1~0~0~0\n")
    (first, second) = read_answers(path)["preds"]
    assert first.levels == (0, 1, 2) and first.human_levels == (0, 0, 1)
    mine = jsonl(tmp_path, {"context": "My dog died.", "human": "Poor dog.", "reply": "Hm."})
    assert read_answers(mine)["mine"][0].id == first.id != second.id


def test_a_stem_has_no_ending() -> None:
    assert stem(Path("a/preds_x.epi.csv.gz")) == "preds_x.epi" and stem(Path("b.JSONL")) == "b"


GOOD = {"context": "Hi", "reply": "Hello"}


@pytest.mark.parametrize(
    "row, said",
    [
        ("{", "row 2 is not JSON"),
        ("[" * 100_000, "row 2 is nested too deeply"),
        ("[]", "row 2 is not a JSON object"),
        ({"context": "Hi"}, "row 2: field reply is missing"),
        ({"context": "Hi", "reply": 3}, "row 2: field reply is no text"),
        ({"reply": "x"}, "row 2: field context is no text"),
        ({"context": ["Hi", "Ho"], "reply": "x"}, "row 2: field context must be turns"),
        ({"context": " ", "reply": "x"}, "row 2: field context must be turns"),
        ({**GOOD, "emotion": "meh"}, "row 2: emotion “meh” is none of the 32"),
        ({**GOOD, "levels": {"ip": 3, "ex": 0, "er": 0}}, "row 2: field levels is no level"),
        ({**GOOD, "human_levels": [0, 0, 0]}, "row 2: field human_levels is no level"),
        ({**GOOD, "id": 7}, "row 2: field id is no text"),
    ],
)
def test_a_wrong_line_is_named(tmp_path: Path, row: Any, said: str) -> None:
    with pytest.raises(DataError, match=said) as error:
        read_answers(jsonl(tmp_path, GOOD, row))
    assert "\n" not in str(error.value) and str(error.value).startswith("mine.jsonl")


def test_other_wrong_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no file"):
        read_answers(tmp_path / "absent.jsonl")
    with pytest.raises(DataError, match="holds no reply"):
        read_answers(jsonl(tmp_path))
    twice = {**GOOD, "id": "a"}
    with pytest.raises(DataError, match="row 2: id a stands twice"):
        read_answers(jsonl(tmp_path, twice, twice))
    (tmp_path / "x.csv").write_text(f"{HEAD}\n", "utf-8")
    with pytest.raises(DataError, match="holds no reply"):
        read_answers(tmp_path / "x.csv")
    (tmp_path / "x.csv").write_text("a,b\n1,2\n", "utf-8")
    with pytest.raises(DataError, match="~ must be between its columns"):
        read_answers(tmp_path / "x.csv")
    (tmp_path / "x.csv").write_text(
        f"{HEAD}{LEVELS}\n0~{PROMPT}~Poor dog.~sad~Oh no.~0~7~2~0~0~1\n", "utf-8"
    )
    with pytest.raises(DataError, match="row 1: column pred_EX_scores is no level"):
        read_answers(tmp_path / "x.csv")
    (tmp_path / "b.jsonl.gz").write_bytes(b"no gzip")
    with pytest.raises(DataError, match="cannot be read"):
        read_answers(tmp_path / "b.jsonl.gz")
    (tmp_path / "c.jsonl").write_bytes("é".encode("utf-16"))
    with pytest.raises(DataError, match="cannot be read"):
        read_answers(tmp_path / "c.jsonl")


def test_half_a_character_can_still_be_written(tmp_path: Path) -> None:
    line = '{"context": "Hi \\ud83d", "reply": "x \\ud83d"}'
    row = read_answers(jsonl(tmp_path, line))["mine"][0]
    assert row.reply.encode("utf-8") == b"x ?"


def test_replies_without_an_emotion_have_a_row_of_their_own() -> None:
    """Two lines with 1 and 3 words and no emotion: mean 2, and both are behind it."""
    from empo.evaluation.replies import EVERY, behind, by_emotion

    lines = [
        {"system": "sft", "id": str(n), "emotion": None, "scores": {"words": n}} for n in (1.0, 3.0)
    ]
    lines.append({"system": "sft", "id": "x", "emotion": "sad", "scores": {"words": None}})
    assert by_emotion(lines, "words") == {EVERY: {"sft": (2.0, 2)}}
    assert [line["id"] for line in behind(lines, "sft", EVERY, "words")] == ["3.0", "1.0"]
