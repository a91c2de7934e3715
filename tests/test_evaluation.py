"""The evaluation end to end on a few real dialogues; only the generating engine is the echo."""

from __future__ import annotations

import gzip
import json
import math
from pathlib import Path

import pytest
import torch

from empo.data.dialogues import load_split
from empo.errors import UsageError
from empo.evaluation import evaluate, markdown
from empo.models.echo import EchoEngine
from empo.models.likelihood import Likelihood
from empo.models.stacks import load_stack
from empo.pairs import paper_pairs
from empo.types import Turn

KEPT = 24


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory, data_folder: Path) -> Path:
    """A folder with the first dialogues of the real training and test splits."""
    folder = tmp_path_factory.mktemp("few")
    for split, count in (("train", 400), ("test", KEPT)):
        name = f"ed_{split}.jsonl.gz"
        with gzip.open(data_folder / name, "rt", encoding="utf-8") as whole:
            # The files are sorted by emotion: evenly spread lines hold all of them.
            lines = whole.readlines()
            lines = lines[:: len(lines) // count][:count]
        with gzip.open(folder / name, "wt", encoding="utf-8") as part:
            part.writelines(lines)
    return folder


@pytest.fixture(scope="module")
def report(few: Path) -> dict:
    torch.set_num_threads(1)
    heard: list[tuple[str, float]] = []
    result = evaluate(
        "nano",
        data_path=few,
        limit=KEPT,
        replies=KEPT,
        progress=lambda text, share: heard.append((text, share)),
        engine=EchoEngine(load_stack("nano")),
    )
    assert heard and all(0 <= share <= 1 for _, share in heard)
    assert {"human replies, sft", "rejected replies, dpo"} <= {text for text, _ in heard}
    return result


def test_report_is_plain_and_says_what_was_measured(report: dict) -> None:
    assert json.loads(json.dumps(report)) == report
    assert report["data"]["file"] == "ed_test.jsonl.gz"
    assert report["data"]["dialogues"] == KEPT
    assert list(report["perplexity"]) == ["base", "sft", "dpo"]
    assert list(report["pairs"]) == ["dpo"] and report["pairs"]["dpo"]["reference"] == "sft"
    assert report["replies"]["sampling"]["seed"] == report["seed"] == 0


def test_figures_follow_from_the_likelihoods(report: dict, few: Path) -> None:
    """Perplexity and pair accuracy, worked again from single scores."""
    dialogues = load_split(few, "test")
    likelihood = Likelihood(load_stack("nano"))
    turns = [t for d in likelihood.score("sft", [d.turns for d in dialogues]) for t in d]
    nats = sum(t.nats for t in turns) / sum(t.tokens for t in turns)
    assert report["perplexity"]["sft"]["value"] == pytest.approx(math.exp(nats), rel=1e-4)
    pairs = paper_pairs(dialogues, 0)
    assert report["data"]["pairs"] == len(pairs) > 5
    texts = [(*p.prompt, Turn("assistant", r)) for p in pairs for r in (p.chosen, p.rejected)]
    sft, dpo = (
        [turns[-1].nats for turns in likelihood.score(name, texts)] for name in ("sft", "dpo")
    )
    ratios = [s - d for s, d in zip(sft, dpo, strict=True)]
    won = sum(c > r for c, r in zip(ratios[::2], ratios[1::2], strict=True))
    assert report["pairs"]["dpo"]["value"] == pytest.approx(won / len(pairs), abs=1 / len(pairs))


def test_baselines_stand_beside(report: dict) -> None:
    assert set(report["baselines"]) == {
        "longer reply",
        "overlap with the context",
        "typical of the emotion",
    }
    for row in report["baselines"].values():
        assert 0 <= row["low"] <= row["value"] <= row["high"] <= 1


def test_replies_come_from_the_engine(report: dict, few: Path) -> None:
    """The echo says the last user turn back after two words of its own."""
    figures = report["replies"]["figures"]
    assert set(figures) == {"base", "sft", "dpo", "human"}
    last = [
        next(t.text for t in reversed(d.turns[:-1]) if t.role == "user")
        if d.turns[-1].role == "assistant"
        else d.turns[-3].text
        for d in load_split(few, "test")
    ]
    heard = sum(min(60, 2 + len(text.split())) for text in last) / KEPT
    assert figures["sft"]["mean_words"] == pytest.approx(heard)
    assert report["replies"]["count"] == KEPT


def test_without_training_split_learnt_baselines_are_not_measured(few: Path) -> None:
    (alone := few / "alone").mkdir()
    path = alone / "ed_test.jsonl.gz"
    path.write_bytes((few / "ed_test.jsonl.gz").read_bytes())
    engine = EchoEngine(load_stack("nano"))
    report = evaluate("nano", ["base"], path, limit=KEPT, replies=2, engine=engine)
    assert report["pairs"] == {}
    assert report["baselines"]["typical of the emotion"] is None
    text = markdown(report)
    assert "| typical of the emotion | not measured |" in text
    assert "| base |" in text and "| sft |" not in text


def test_markdown_has_each_figure(report: dict) -> None:
    text = markdown(report)
    row = report["perplexity"]["dpo"]
    assert f"| dpo | {row['value']:.2f} ({row['low']:.2f}–{row['high']:.2f}) |" in text
    assert "| dpo against sft |" in text and "| human |" in text
    assert "temperature 0.7" in text


def test_an_unknown_model_is_said(few: Path) -> None:
    with pytest.raises(UsageError, match="no model “x”"):
        evaluate("nano", ["x"], few)
