"""`python -m empo pairs`: sets, reports, uploads, and one sentence for each wrong request."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from empo.cli import main
from empo.cli.pairs import PRESETS
from empo.data.dialogues import load_split
from empo.data.splits import apart


def lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def test_the_starter_set_needs_no_data(no_data: Path, tmp_path: Path, capsys) -> None:
    out = tmp_path / "p.jsonl"
    assert main(["pairs", "--data", "starter", "--out", str(out), "--draws", "2", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    rows = lines(out)
    assert found["pairs"] == found["rows"] == len(rows) > 180
    assert (found["source"], found["strategy"], found["dialogues"]) == (
        *("starter_dialogues.jsonl", "paper"),
        96,
    )
    assert {row["origin"] for row in rows} == {"paper"}


def test_a_mix_has_its_shares_and_keeps_origins(no_data: Path, tmp_path: Path) -> None:
    out = tmp_path / "p.jsonl"
    shares = ["--strategy", "mix", "--mix", "paper=1,same-situation=3"]
    assert main(["pairs", "--data", "starter", *shares, "--out", str(out)]) == 0
    origins = Counter(row["origin"] for row in lines(out))
    assert origins.total() >= 92 and abs(origins["same-situation"] - 3 * origins["paper"]) <= 3


def test_a_limit_is_drawn_over_the_whole_set(no_data: Path, tmp_path: Path) -> None:
    """The same by the same seed, in their order, and not the first ones."""
    out, some = tmp_path / "p.jsonl", []
    start = ["pairs", "--data", "starter", "--out", str(out)]
    assert main(start) == 0
    every = lines(out)
    for seed in (0, 0, 1):
        assert main([*start, "--limit", "20", "--seed", str(seed)]) == 0
        some.append(lines(out))
    assert some[0] == some[1] and len(some[0]) == 20 and some[0] != some[2]
    places = [every.index(row) for row in some[0]]
    assert places == sorted(places) and places[-1] > 40


def test_map_and_sampler_replace_the_strategy_s_own(no_data: Path, tmp_path: Path) -> None:
    out = tmp_path / "p.jsonl"
    more = ["--map", "polarity", "--sampler", "random", "--seed", "5"]
    assert main(["pairs", "--data", "starter", *more, "--out", str(out)]) == 0
    rows = lines(out)
    assert {row["origin"] for row in rows} == {"random/polarity"}
    assert {row["opposite"] for row in rows if row["emotion"] == "grateful"} == {"angry"}


def test_formats_and_a_report(no_data: Path, tmp_path: Path, capsys) -> None:
    report, page = tmp_path / "r.json", tmp_path / "r.html"
    wanted = ["--report", str(report), "--report", str(page), "--sample", "4"]
    out = tmp_path / "k.jsonl"
    more = ["--out", str(out), "--format", "kto"]
    assert main(["pairs", "--data", "starter", *more, *wanted]) == 0
    assert {"completion", "label"} <= lines(out)[0].keys()
    found = json.loads(report.read_text("utf-8"))
    assert (found["sample"], found["strategy"], found["draws"]) == (4, "paper", 1)
    assert found["tells"]["emotion"] is None  # there is nothing to fit it on
    assert found["emotional_reaction"]["difference"]["count"] == 4
    assert "What these preference pairs teach" in page.read_text("utf-8")
    assert "| paper |" in capsys.readouterr().out


def test_ready_pairs_are_checked_and_converted(no_data: Path, tmp_path: Path, capsys) -> None:
    sent, out = tmp_path / "s.csv", tmp_path / "o.parquet"
    sent.write_text("prompt,chosen,rejected\nHi.,Hello.,Go.\n", "utf-8")
    assert main(["pairs", "--upload", str(sent), "--out", str(out), "--format", "parquet"]) == 0
    assert "1 pairs of s.csv by upload" in capsys.readouterr().out and out.is_file()
    sent.write_text("prompt,chosen,rejected\nHi.,,Go.\n", "utf-8")
    assert main(["pairs", "--upload", str(sent), "--out", str(out)]) == 1
    assert capsys.readouterr().err == "s.csv, row 1, field chosen: it is missing.\n"


@pytest.mark.parametrize(
    "options, code, said",
    [
        ([], 2, "Say where the pairs go, with --out FILE"),
        (["--out", "x.jsonl"], 1, "EmpatheticDialogues (train) is not in"),
        (["--data", "none.jsonl", "--out", "x.jsonl"], 1, "There is no file none.jsonl"),
        (["--data", "starter", "--out", "no/x.jsonl"], 2, "There is no folder"),
        (["--data", "starter", "--report", "x.txt"], 2, "ends in .html or .json, not x.txt"),
        (["--data", "starter", "--out", "x", "--draws", "0"], 2, "from 1 to 20, not 0"),
        (["--data", "starter", "--out", "x", "--seed", "-1"], 2, "--seed must be"),
        (["--data", "starter", "--out", "x", "--sample", "0"], 2, "--sample must be at least 1"),
        (["--data", "starter", "--out", "x", "--limit", "0"], 2, "--limit must be at least 1"),
        (["--data", "starter", "--out", "x", "--mix", "hard=1"], 2, "of --strategy mix"),
        (
            ["--data", "starter", "--out", "x", "--strategy", "mix", "--mix", "hard=x"],
            *(2, "write it as paper=0.5,hard=0.5"),
        ),
        (
            ["--data", "starter", "--out", "x", "--strategy", "mix", "--map", "paper"],
            *(2, "give neither"),
        ),
        (["--strategy", "all", "--out", "x"], 2, "only reports"),
        (["--upload", "x.csv", "--data", "starter", "--out", "x"], 2, "takes ready pairs"),
    ],
)
def test_a_wrong_request_is_one_sentence(
    no_data: Path, tmp_path: Path, monkeypatch, capsys, options, code, said
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["pairs", *options]) == code
    err = capsys.readouterr().err
    assert said in err and err.count("\n") == 1 and list(tmp_path.glob("x*")) == []


def test_splits_do_not_mix(data_folder: Path, tmp_path: Path, capsys) -> None:
    """Pairs of the real training split hold no conversation and no first text of the test split."""
    out = tmp_path / "p.jsonl"
    assert main(["pairs", "--out", str(out), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    train = load_split(data_folder, "train")
    others = (*load_split(data_folder, "valid"), *load_split(data_folder, "test"))
    allowed = {dialogue.id for dialogue in apart(train, others)}
    assert found["left_out"] == len(train) - len(allowed) > 0
    rows = lines(out)
    assert len(rows) == found["pairs"] > 19_000
    assert {row["dialogue_id"] for row in rows} | {row["rejected_id"] for row in rows} <= allowed


@pytest.mark.nightly
def test_all_strategies_side_by_side(data_folder: Path, capsys) -> None:
    assert main(["pairs", "--strategy", "all", "--sample", "50"]) == 0
    table = capsys.readouterr().out.splitlines()
    assert [row.split("|")[1].strip() for row in table[2:]] == list(PRESETS)
