"""Files that cannot be measured, as people make them: one sentence each, with row and field."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from empo.cli import main
from empo.data.dialogues import read_dialogues
from empo.data.lines import text_lines
from empo.data.replies import read_answers
from empo.errors import DataError
from empo.evaluation.request import Request
from empo.evaluation.run import evaluate
from empo.models.echo import EchoEngine
from empo.models.stacks import load_stack

ROW = {"context": "I am sad", "reply": "So sorry", "human": "Oh"}
GOOD = json.dumps(ROW) + "\n"
TALK = {"conv_id": "a", "emotion": "sad", "situation": "x", "turns": ["I am sad", "Oh no."]}
HEAD = "~chat_templates~gen_targets~prevs~emotions~gens\n"
PROMPT = '"<|user|>\nI am sad</s>\n<|assistant|>\n"'
PAPER = f"{HEAD}0~{PROMPT}~Oh~I am sad~sad~So sorry\n"
ZIPPED = gzip.compress(GOOD.encode() * 500)


def row(**changes: object) -> bytes:
    kept = {key: value for key, value in {**ROW, **changes}.items() if value != "gone"}
    return (GOOD + json.dumps(kept) + "\n").encode()


REPLIES: tuple[tuple[str, bytes, str], ...] = (
    ("a.jsonl", b"", "a.jsonl holds no reply."),
    ("a.jsonl", b" \n\n", "a.jsonl holds no reply."),
    ("a.jsonl", bytes(range(256)), "line 1 holds a NUL byte, so it is no text or it is damaged"),
    ("a.jsonl", GOOD.encode() + GOOD.encode()[:30], "row 2 is not JSON: Unterminated string"),
    ("a.jsonl", GOOD.encode() + b"\0\0", "cannot be read: line 2 holds a NUL byte"),
    ("a.jsonl", row(reply="x" * 4_000_000), "line 2 is longer than 4 MB"),
    ("a.jsonl", "é\n".encode("latin-1"), "line 1, byte 1 is not UTF-8; save it as UTF-8"),
    ("a.jsonl", GOOD.encode("utf-16"), "it is UTF-16; save it as UTF-8"),
    ("a.jsonl", json.dumps([ROW]).encode(), "row 1 is not a JSON object; write one a line"),
    ("a.json", json.dumps([ROW], indent=1).encode(), "write one JSON object a line, and call the"),
    ("a.jsonl", b"[" * 100_000, "row 1 is nested too deeply"),
    ("a.jsonl", b'{"n": ' + b"9" * 5000 + b"}", "row 1 holds a number that is too long"),
    ("a.jsonl", row(id="x") + row(id="x"), "row 4: id x stands twice"),
    ("a.jsonl", row(reply="gone"), "row 2: field reply is missing"),
    ("a.jsonl", row(reply=5), "row 2: field reply is no text"),
    ("a.jsonl", row(context=[]), "row 2: field context must be turns in alternation"),
    ("a.jsonl", row(emotion="hangry"), "row 2: emotion “hangry” is none of the 32"),
    ("a.jsonl", row(levels={"ip": 7}), "row 2: field levels is no level 0..2"),
    ("a.csv", PAPER.replace("~", ",").encode(), "~ must be between its columns"),
    ("a.csv", PAPER.replace("~gens", "~gen").encode(), "has no column gens"),
    ("a.csv", PAPER.rpartition("~")[0].encode(), "row 1: column gens is missing"),
    ("a.csv", PAPER.replace("~sad", "~hangry").encode(), "row 1: “hangry” is none of the 32"),
    ("a.csv", HEAD.encode(), "a.csv holds no reply."),
    ("a.csv", b"\x89PNG\r\n" + bytes(90), "line 1, byte 1 is not UTF-8"),
    ("a.csv.gz", b"no gzip", "a.csv.gz cannot be read: Not a gzipped file"),
    ("a.jsonl.gz", ZIPPED[:-20], "cannot be read beyond line"),
    (
        "a.jsonl.gz",
        ZIPPED[:40] + b"\xff\xff" + ZIPPED[42:],
        "cannot be read: its compressed data are",
    ),
)


@pytest.mark.parametrize(("name", "content", "said"), REPLIES)
def test_replies_that_cannot_be_read_are_one_sentence(
    tmp_path: Path, name: str, content: bytes, said: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError) as error:
        read_answers(tmp_path / name)
    text = str(error.value)
    assert said in text and text.startswith("a.") and text.endswith(".") and len(text) < 220, text
    assert "codec" not in text and "Error" not in text and "\n" not in text


DIALOGUES: tuple[tuple[str, bytes, str], ...] = (
    ("a.jsonl", b"", "holds no dialogue that can be used"),
    ("a.jsonl", "é".encode("latin-1"), "line 1, byte 1 is not UTF-8"),
    ("a.jsonl", json.dumps(TALK).encode("utf-16"), "it is UTF-16"),
    ("a.jsonl", json.dumps({**TALK, "turns": "x"}).encode(), "line 1: field turns is not a list"),
    ("a.jsonl", json.dumps({**TALK, "emotion": "x"}).encode(), "line 1: field emotion: “x”"),
    ("a.jsonl", b"[" * 100_000, "line 1: it is nested too deeply"),
    ("a.json", json.dumps([TALK]).encode(), "is not a .jsonl, .csv or .parquet file"),
    ("a.csv", PAPER.encode(), "line 2: field conv_id is missing"),
    ("a.parquet", b"PAR1" + bytes(90), "is not a parquet file that can be read"),
    ("a.jsonl.gz", ZIPPED[:-20], "cannot be read beyond line"),
)


@pytest.mark.parametrize(("name", "content", "said"), DIALOGUES)
def test_dialogues_that_cannot_be_read_are_one_sentence(
    tmp_path: Path, name: str, content: bytes, said: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError) as error:
        read_dialogues(tmp_path / name)
    assert said in str(error.value) and not str(error.value).endswith("..")


def test_the_command_says_it_and_leaves_nothing_half_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.jsonl").write_bytes(row(reply=5))
    out = tmp_path / "out"
    assert main(["evaluate", "--replies", str(tmp_path / "a.jsonl"), "--out", str(out)]) == 1
    assert capsys.readouterr().err == "a.jsonl: row 2: field reply is no text.\n"
    assert [path.name for path in out.iterdir()] == [".lock"]


def test_rows_that_are_left_out_are_told_and_a_dialogue_twice_is_refused(tmp_path: Path) -> None:
    lines = [json.dumps(TALK), '{"conv_id": "b"', json.dumps({**TALK, "conv_id": "c"})]
    data = tmp_path / "ed_test.jsonl"
    data.write_text("\n".join(lines), "utf-8")
    request = Request(tmp_path / "out", data, models=("sft",), metrics=("words",))
    report = evaluate(request, engine=EchoEngine(load_stack("nano")))
    assert report["run"]["counts"]["dialogues"] == 2
    said = "1 malformed rows left out (line 2: Expecting"
    assert said in report["run"]["left_out"] and said in (tmp_path / "out/report.md").read_text()
    data.write_text("\n".join([*lines, lines[0]]), "utf-8")
    with pytest.raises(DataError, match=r"ed_test\.jsonl: the conv_id a stands twice"):
        evaluate(request, engine=EchoEngine(load_stack("nano")))


def test_lines_end_as_any_system_ends_them(tmp_path: Path) -> None:
    """With a mark of UTF-8 before the first, and other line ends of Unicode left in the text."""
    path = tmp_path / "x.txt"
    path.write_bytes("\ufeffa\r\nb\rc\u2028d\n\ne".encode())
    assert list(text_lines(path)) == ["a\r\n", "b\r", "c\u2028d\n", "\n", "e"]
