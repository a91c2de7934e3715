"""The released DPO file (2,540 replies): the published figures come out to their last digit.

Levels, agreement, words, variety, VADER and the VAD differences are those of the authors' file and
code; the arousal difference is the one figure that the untrained sentence splitter moves, by one in
the last digit.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from empo.evaluation.request import METRICS, Request
from empo.evaluation.run import evaluate

NAME = "recorded_replies_dpo_d270"
LEFT_OUT = ("nidf", "bertscore_f1")  # no published figure, and the slowest


@pytest.fixture(scope="module")
def report(
    tmp_path_factory: pytest.TempPathFactory, data_file: Callable[[str], Path]
) -> dict[str, Any]:
    path = data_file(f"{NAME}.csv.gz")
    out = tmp_path_factory.mktemp("released")
    metrics = tuple(name for name in METRICS if name not in LEFT_OUT)
    lexicon = data_file("nrc_vad_lexicon.txt.gz")
    evaluate(Request(out, path.parent, replies=(path,), metrics=metrics, vad=lexicon))
    return json.loads((out / "report.json").read_text("utf-8"))


def value(report: dict[str, Any], path: str, system: str = NAME) -> float:
    found: Any = (report["systems"] | report["baselines"])[system]
    for part in path.split("/"):
        found = found[part]
    assert found["low"] <= found["value"] <= found["high"]
    return found["value"]


@pytest.mark.parametrize(
    "path, digits, expected",
    [
        ("diff_epitome/ip", 4, 0.8000),
        ("diff_epitome/ex", 4, 0.7213),
        ("diff_epitome/er", 4, 0.5953),
        ("level/ip", 3, 0.303),
        ("level/ex", 3, 0.147),
        ("level/er", 3, 0.705),
        ("kappa/ip", 2, 0.22),
        ("kappa/ex", 2, 0.12),
        ("kappa/er", 2, 0.28),
        ("words", 2, 12.74),
        ("distinct/1", 3, 0.052),
        ("distinct/2", 3, 0.285),
        ("distinct/3", 3, 0.530),
        ("self_bleu_4", 3, 0.632),
        ("vader", 3, 0.401),
        ("vad/diff_max_v", 4, -0.0411),
        ("vad/diff_max_d", 4, -0.0180),
        ("vad/mean_abs_v", 3, 0.126),
        ("vad/mean_abs_a", 3, 0.167),
        ("vad/mean_abs_d", 3, 0.127),
    ],
)
def test_of_the_system(report: dict[str, Any], path: str, digits: int, expected: float) -> None:
    assert round(value(report, path), digits) == expected


@pytest.mark.parametrize(
    "path, digits, expected",
    [
        ("level/ip", 3, 0.300),
        ("level/ex", 3, 0.306),
        ("level/er", 3, 0.531),
        ("words", 2, 12.90),
        ("distinct/1", 3, 0.085),
        ("distinct/2", 3, 0.462),
        ("distinct/3", 3, 0.793),
        ("self_bleu_4", 3, 0.344),
        ("vader", 3, 0.349),
    ],
)
def test_of_the_human(report: dict[str, Any], path: str, digits: int, expected: float) -> None:
    assert round(value(report, path, "human"), digits) == expected


def test_arousal_to_within_its_last_digit(report: dict[str, Any]) -> None:
    assert value(report, "vad/diff_max_a") == pytest.approx(0.0021, abs=1e-4)


def test_a_constant_beats_the_system(report: dict[str, Any]) -> None:
    """What the recomputation found: level 0 for everything has the lower diff-EPITOME."""
    for key, expected in (("ip", 0.600), ("ex", 0.613), ("er", 0.667), ("mean", 0.627)):
        assert round(value(report, f"diff_epitome/{key}", "constant-0"), 3) == expected
    row = next(
        row
        for row in report["comparisons"]
        if (row["a"], row["b"], row["metric"]) == (NAME, "constant-0", "diff_epitome.mean")
    )
    assert row["difference"]["low"] > 0 and row["p_holm"] < 0.01


def test_shuffled_human_replies(report: dict[str, Any]) -> None:
    """The mean over all shuffles is .942; one shuffle of 2,540 is within a hundredth or two."""
    assert value(report, "diff_epitome/mean", "shuffled human") == pytest.approx(0.942, abs=0.02)


def test_what_was_not_measured_says_why(report: dict[str, Any]) -> None:
    system, human = report["systems"][NAME], report["baselines"]["human"]
    assert (
        system["perplexity"]["value"] is None and "without the model" in system["perplexity"]["why"]
    )
    assert "Intensity lexicon" in system["vad"]["diff_max_intensity"]["why"]
    assert human["diff_epitome"]["mean"]["value"] is None
    assert report["run"]["levels"] == "stored with the replies"
    assert report["run"]["counts"]["replies"] == {NAME: 2540}
