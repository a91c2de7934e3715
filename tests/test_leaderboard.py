"""The leaderboard from files: reading, pools, the report's shape, the honest sentence."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from empo.arena.votes import collect
from empo.errors import DataError, UsageError
from empo.leaderboard import _read_plain, choose_pool, ratings_report, read_votes, two_digits

KEYS = {"model", "rating", "low", "high", "wins", "losses", "ties", "votes"}


def line(i: int, a: str, b: str, outcome: str, voter: str, **more: Any) -> dict[str, Any]:
    return {
        "battle": f"b{i}",
        "model_a": a,
        "model_b": b,
        "outcome": outcome,
        "voter": voter,
        "length_a": 8 + i % 7,
        "length_b": 9 + i % 5,
        "at": "2026-11-21T00:00:00Z",
        **more,
    }


def some_votes(n: int = 60) -> list[dict[str, Any]]:
    names, outcomes = ["base", "sft", "dpo"], ["a", "b", "tie", "a", "both_bad", "b", "a"]
    return [
        line(i, names[i % 3], names[(i + 1 + i // 3 % 2) % 3], outcomes[i % 7], f"v{i % 11}")
        for i in range(n)
    ]


def written(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def test_report_shape(tmp_path: Path) -> None:
    report = ratings_report(read_votes(written(tmp_path / "v.jsonl", some_votes())))
    assert len(report["standings"]) == len(report["adjusted"]) == 3
    assert all(set(row) == KEYS for row in report["standings"] + report["adjusted"])
    assert sum(row["rating"] for row in report["standings"]) == pytest.approx(3000)
    assert sum(row["rating"] for row in report["adjusted"]) == pytest.approx(3000)
    for row in report["standings"]:
        assert row["low"] < row["rating"] < row["high"]
        assert row["wins"] + row["losses"] + row["ties"] == row["votes"]
    assert (report["votes"], report["voters"]) == (60, 11)
    assert len(report["pairs"]) == 3
    assert report["flip"]["leader"] == report["standings"][0]["model"]
    json.dumps(report, allow_nan=False)


def test_quick_and_careful_reading_agree(tmp_path: Path) -> None:
    """Plain, gzipped, with a byte order mark, with blank lines, and line by line for scores."""
    rows = some_votes()
    text = written(tmp_path / "plain.jsonl", rows).read_bytes()
    (tmp_path / "v.jsonl.gz").write_bytes(gzip.compress(text))
    (tmp_path / "bom.jsonl").write_bytes(b"\xef\xbb\xbf" + text)
    (tmp_path / "blank.jsonl").write_bytes(b"\n" + text.replace(b"\n", b"\r\n\r\n"))
    scored = [{**row, "scores_a": {"warm": 1}, "scores_b": {"warm": 0}} for row in rows]
    written(tmp_path / "scored.jsonl", scored)
    plain = ratings_report(read_votes(tmp_path / "plain.jsonl"))
    assert ratings_report(_read_plain(tmp_path / "plain.jsonl")) == plain
    assert ratings_report(collect(enumerate(rows, 1))) == plain
    for name in ("v.jsonl.gz", "bom.jsonl", "blank.jsonl"):
        assert ratings_report(read_votes(tmp_path / name)) == plain
    report = ratings_report(read_votes(tmp_path / "scored.jsonl"))
    assert report["standings"] == plain["standings"]
    assert report["score_agreement"]["warm"]["votes"] == sum(row["outcome"] in "ab" for row in rows)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('{"battle": 1}\n', "line 1: the field “model_a” is missing"),
        ("\n{oops}\n", "line 2: not JSON"),
        ("[" * 100_000 + "\n", "line 1: not JSON"),
        ('"\\ud800"\n', "line 1: not JSON"),
        ("1\n", "line 1: a vote is an object"),
        ('{"length_a": NaN}\n', "line 1: not JSON"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "votes.jsonl"
    path.write_text(text)
    with pytest.raises(DataError, match=says) as caught:
        read_votes(path)
    assert len(str(caught.value)) < 300


def test_an_unknown_outcome_is_an_error_with_its_line(tmp_path: Path) -> None:
    rows = some_votes(9)
    rows[6]["outcome"] = "A"
    with pytest.raises(DataError, match=r"votes.jsonl, line 7: the outcome “A” is not one of"):
        read_votes(written(tmp_path / "votes.jsonl", rows))


def test_contradiction_names_the_lines(tmp_path: Path) -> None:
    rows = [line(1, "x", "y", "a", "p"), line(2, "x", "y", "a", "p"), line(1, "x", "y", "b", "p")]
    with pytest.raises(DataError, match=r"line 3: .* in line 1"):
        read_votes(written(tmp_path / "votes.jsonl", rows))


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="There is no file"):
        read_votes(tmp_path / "none.jsonl")


def test_pools_are_never_mixed_silently(tmp_path: Path) -> None:
    rows = [{**row, "pool": "live" if i < 40 else "recorded"} for i, row in enumerate(some_votes())]
    votes = read_votes(written(tmp_path / "v.jsonl", rows))
    with pytest.raises(UsageError, match=r"2 pools.*“live”: 40 votes; “recorded”: 20 votes"):
        ratings_report(votes)
    with pytest.raises(UsageError, match=r"no pool “nano”; the pools are “live”: 40 votes"):
        ratings_report(votes, pool="nano")
    live = ratings_report(votes, pool="live")
    assert (live["votes"], live["pools"], live["warnings"]) == (40, {"live": 40}, [])
    both = ratings_report(votes, pooled=True)
    assert both["votes"] == 60
    assert "2 pools of unlike votes are taken together" in both["warnings"][0]
    alone, warnings = choose_pool(votes.take(votes.pool == 0))
    assert len(alone) == 40 and warnings == []


def sentence(rows: list[dict[str, Any]], folder: Path) -> str:
    return ratings_report(read_votes(written(folder / "v.jsonl", rows)))["sentence"]


def test_the_honest_sentence(tmp_path: Path) -> None:
    assert sentence([], tmp_path) == "No votes yet: the ranking begins with the first."
    bad = [line(i, "A", "B", "both_bad", f"v{i}") for i in range(4)]
    assert sentence(bad, tmp_path).startswith("No vote has said yet")
    mine = [line(i, "A", "B", "ab"[i % 3 == 0], "me") for i in range(9)]
    assert sentence(mine, tmp_path).startswith("A is ahead of B, but the votes are too few people")
    close = [line(i, "A", "B", "b" if i % 9 < 4 else "a", f"v{i}") for i in range(90)]
    assert sentence(close, tmp_path).startswith("A and B cannot be told apart yet: about ")
    clear = [line(i, "A", "B", "b" if i % 9 < 2 else "a", f"v{i}") for i in range(90)]
    assert sentence(clear, tmp_path).startswith("A leads: 218 points above B (95 % interval from")
    level = [line(i, "A", "B", "ab"[i % 2], f"v{i}") for i in range(90)]
    assert "level so far, and either may be up to" in sentence(level, tmp_path)


@pytest.mark.parametrize(("count", "said"), [(1, 1), (94, 94), (144, 140), (1251, 1300)])
def test_two_digits(count: int, said: int) -> None:
    assert two_digits(count) == said
