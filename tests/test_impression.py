"""First replies to the project's own situations: whose valence has the right sign."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from empo.cli import main
from empo.data.situations import Situation, situations
from empo.errors import UsageError
from empo.impression import First, first_replies, right_signs, samples
from empo.models.echo import EchoEngine
from empo.models.stacks import load_stack
from empo.types import Sampling


def test_the_share_of_right_signs_by_hand() -> None:
    rows = [
        First("joyful", "a", "m", 0, "How wonderful!", 0.6),
        First("joyful", "a", "m", 1, "I'm so sorry.", -0.2),
        First("sad", "b", "m", 0, "Oh no, how terrible.", -0.5),
        First("sad", "b", "m", 1, "The table.", None),
    ]
    found = right_signs(rows)["m"]
    assert [row.right for row in rows] == [True, False, True, False]
    assert (found["right"], found["pleasant"], found["unpleasant"]) == (0.5, 0.5, 0.5)
    # one reply in four is glad, two are sad; half of the situations are pleasant
    assert found["chance"] == pytest.approx(0.25 * 0.5 + 0.5 * 0.5)
    assert (found["unmeasured"], found["replies"]) == (0.25, 4)
    assert found["low"] == found["high"] == 0.5  # both situations have one right reply of two


def test_every_model_answers_every_situation_with_each_seed() -> None:
    told, heard = situations()[:2], []
    engine = EchoEngine(load_stack("nano"))
    rows = first_replies(engine, told, Sampling(seed=3), 2, heard.append)
    assert heard == [1, 2] and len(rows) == 2 * 2 * 3
    assert {row.seed for row in rows} == {3, 4} and {row.model for row in rows} == {
        "base", "sft", "dpo",
    }  # fmt: skip
    assert all(told[0].text in row.reply for row in rows[:6])
    table = samples(rows, 1)
    assert table.startswith("| Said | base | sft | dpo |") and "dpo heard:" in table
    told = samples([replace(rows[0], reply="One\ntwo | three")], 1)
    assert told.splitlines()[2].endswith(" | One two \\| three |")


def test_nothing_to_answer_is_said() -> None:
    engine = EchoEngine(load_stack("nano"))
    with pytest.raises(UsageError, match="at least one"):
        first_replies(engine, (), Sampling(), 1)
    with pytest.raises(UsageError, match="at least one"):
        first_replies(engine, (Situation("sad", "t", "x"),), Sampling(), 0)


def test_the_command_prints_a_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "replies.jsonl"
    options = ["--limit", "2", "--draws", "1", "--samples", "2", "--out", str(out)]
    assert main(["impression", *options]) == 0
    text = capsys.readouterr().out
    assert "| dpo |" in text and text.count("| *") == 2
    rows = [json.loads(line) for line in out.read_text("utf-8").splitlines()]
    assert len(rows) == 2 * 3 and {"emotion", "reply", "right"} <= set(rows[0])
