"""The commands ratings and agreement: exit codes, what goes where, both forms."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from empo.cli import main
from tests.board_votes import traps


@pytest.fixture
def votes(tmp_path: Path) -> Path:
    names, outcomes = ["base", "sft", "dpo"], ["a", "b", "tie", "a", "both_bad", "b", "a"]
    path = tmp_path / "votes.jsonl"
    rows = [
        {
            "battle": f"b{i}",
            "model_a": names[i % 3],
            "model_b": names[(i + 1 + i // 3 % 2) % 3],
            "outcome": outcomes[i % 7],
            "voter": f"v{i % 11}",
            "length_a": 8 + i % 7,
            "length_b": 9 + i % 5,
            "at": "2026-11-21T00:00:00Z",
        }
        for i in range(70)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture
def ratings(tmp_path: Path) -> Path:
    path = tmp_path / "ratings.csv"
    rows = [
        f"i{i},{system},r{r},{40 + 5 * i + 7 * r + 3 * (system == 'dpo') * (r + i)}"
        for i in range(4)
        for system in ("sft", "dpo")
        for r in range(3)
    ]
    path.write_text("\n".join(["item,system,rater,fit", *rows]))
    return path


def test_ratings_from_outside(votes: Path) -> None:
    command = [sys.executable, "-m", "empo", "ratings", "--votes", str(votes), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    report = json.loads(done.stdout)
    assert {"standings", "adjusted"} <= report.keys()
    assert set(report["standings"][0]) == {
        *("model", "rating", "low", "high", "wins", "losses", "ties", "votes")
    }


def test_ratings_for_a_person(votes: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ratings", "--votes", str(votes)]) == 0
    out = capsys.readouterr().out
    for part in ("cannot be told apart yet", "95 % interval", "adjusted", "would end the lead: "):
        assert part in out
    assert "Votes: 70, of them “both bad” 10; voters: 11." in out


def test_errors_and_warnings_go_to_standard_error(
    votes: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    votes.write_text(votes.read_text().replace('"both_bad"', '"neither"'))
    assert main(["ratings", "--votes", str(votes)]) == 1
    done = capsys.readouterr()
    assert done.out == ""
    assert done.err.startswith("votes.jsonl, line 5: the outcome “neither” is not one of a, b,")
    assert done.err.count("\n") == 1


def test_pooling_warns(votes: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = votes.read_text().splitlines()
    text[:30] = [line.replace("{", '{"pool": "live", ', 1) for line in text[:30]]
    votes.write_text("\n".join(text))
    assert main(["ratings", "--votes", str(votes)]) == 2
    assert "2 pools" in capsys.readouterr().err
    assert main(["ratings", "--votes", str(votes), "--all-pools", "--json"]) == 0
    done = capsys.readouterr()
    assert done.err.startswith("Warning: 2 pools of unlike votes are taken together")
    assert json.loads(done.out)["votes"] == 70


@pytest.mark.parametrize("name", traps())
def test_every_trap_gives_sensible_output_or_one_sentence(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "votes.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in traps()[name]))
    code = main(["ratings", "--votes", str(path)])
    done = capsys.readouterr()
    if name == "two pools":
        assert (code, done.out, done.err.count("\n")) == (2, "", 1)
        return
    assert code == 0 and "95 % interval" in done.out and "nan" not in done.out
    assert all(line.startswith("Warning: ") for line in done.err.splitlines())
    assert main(["ratings", "--votes", str(path), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert all(row["rating"] > 0 for row in report["standings"])
    assert ("Voter anon:clicker votes for the left reply" in done.out) == (name == "always left")


def test_agreement(ratings: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["agreement", "--ratings", str(ratings), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert set(report["dimensions"]["fit"]["pairs"][0]) == {
        *("a", "b", "d", "p", "p_holm", "low", "high")
    }
    assert main(["agreement", "--ratings", str(ratings)]) == 0
    out = capsys.readouterr().out
    assert "fit: Krippendorff's alpha" in out
    assert "dpo - sft" in out
    ratings.write_text("item,rater\n")
    assert main(["agreement", "--ratings", str(ratings)]) == 1
    assert "the header lacks system" in capsys.readouterr().err
