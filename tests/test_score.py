"""Scoring one pair and a file of them, as a library and on the command line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from empo.errors import DataError, UsageError
from empo.score import score_file, score_one
from empo.scoring.as_json import scores_json
from empo.scoring.scorer import Scorer, load_scorer

ROOT = Path(__file__).resolve().parent.parent
SAD = "My dog died."
KEYS = ["emotional_reaction", "interpretation", "exploration", "valence", "emotion"]


@pytest.fixture(scope="module")
def scorer() -> Scorer:
    return load_scorer()


def line(**fields: object) -> str:
    return json.dumps(fields) + "\n"


def run(*args: str, stdin: str = "") -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "empo", "score", *args],
        cwd=ROOT,
        env=dict(os.environ),
        input=stdin,
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_a_file_comes_out_in_order_with_its_fields_and_the_scores_of_each_alone(
    scorer: Scorer,
) -> None:
    replies = ["I am so sorry.", "How old was he?", "Ok."] * 100
    lines = [line(context=SAD, reply=reply, id=i) for i, reply in enumerate(replies)]
    lines.insert(5, "\n")
    rows = list(score_file(scorer, lines))
    assert [row["id"] for row in rows] == list(range(300))
    assert list(rows[0]["scores"]) == KEYS
    for row in rows[:3]:
        alone = scores_json(score_one(scorer, row["context"], row["reply"]))
        for name in KEYS[:3]:
            assert row["scores"][name]["level"] == alone[name]["level"]
            assert row["scores"][name]["probabilities"] == pytest.approx(
                alone[name]["probabilities"], abs=1e-5
            )


@pytest.mark.parametrize(
    "bad, said",
    [
        ("{", "Line 2 is not JSON"),
        ("[" * 100_000, "Line 2 is not JSON"),
        ("[1]", "Line 2 is not a JSON object"),
        (line(context=SAD), "Line 2: field reply"),
        (line(context=" ", reply="x"), "Line 2: field context"),
        (line(context=SAD, reply=3), "Line 2: field reply"),
    ],
)
def test_a_wrong_line_is_named(scorer: Scorer, bad: str, said: str) -> None:
    with pytest.raises(DataError, match=said):
        list(score_file(scorer, [line(context=SAD, reply="Oh no."), bad]))


def test_nothing_to_score_is_said(scorer: Scorer) -> None:
    with pytest.raises(UsageError, match="reply is empty"):
        score_one(scorer, SAD, " \n")
    with pytest.raises(UsageError, match="context is empty"):
        score_one(scorer, "", "Ok")


def test_half_characters_and_html_keep_their_places(scorer: Scorer) -> None:
    reply = "\ud800<b onclick=x()>\udfff I am so sorry for your loss"
    scores = score_one(scorer, SAD, reply)
    spans = scores.emotional_reaction.rationale
    assert spans
    assert "sorry" in " ".join(reply[a:b] for a, b in spans)


def test_the_command_line(tmp_path: Path) -> None:
    one = run("--context", SAD, "--reply", "I am so sorry for your loss.", "--json")
    assert one.returncode == 0, one.stderr
    found = json.loads(one.stdout)
    assert list(found) == KEYS
    assert found["emotional_reaction"]["level"] > 0
    words = run("--context", SAD, "--reply", "I am so sorry for your loss.")
    assert "emotional reaction: " in words.stdout
    (source := tmp_path / "in.jsonl").write_text(line(context=SAD, reply="Why?", x=1) * 2)
    out = tmp_path / "out.jsonl"
    assert run("--file", str(source), "--out", str(out)).returncode == 0
    rows = [json.loads(text) for text in out.read_text().splitlines()]
    assert [row["x"] for row in rows] == [1, 1]
    assert rows[0]["scores"]["exploration"]["level"] > 0
    piped = run("--file", "-", stdin=source.read_text())
    assert [json.loads(text) for text in piped.stdout.splitlines()] == rows
    source.write_text("nonsense\n")
    wrong = run("--file", str(source), "--out", str(out))
    assert wrong.returncode == 1
    assert wrong.stderr.startswith("Line 1 is not JSON")
    # What was there before is still there.
    assert len(out.read_text().splitlines()) == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.jsonl", "out.jsonl"]


@pytest.mark.parametrize(
    "args, said",
    [
        ((), "Give either"),
        (("--context", SAD), "Give either"),
        (("--context", SAD, "--reply", "a", "--file", "b"), "Give either"),
        (("--context", SAD, "--reply", "a", "--out", "b"), "--out goes with --file"),
        (("--context", SAD, "--reply", "a", "--scorer", "epitome-roberta"), "--checkpoints"),
    ],
)
def test_wrong_use_is_one_sentence(args: tuple[str, ...], said: str) -> None:
    done = run(*args)
    assert done.returncode == 2
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
