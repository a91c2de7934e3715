"""`python -m train.scorer --refit` from end to end, on a few of the real pairs and dialogues."""

from __future__ import annotations

import csv
import gzip
import itertools
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from empo.scoring.embedded import EmbeddedScorer
from empo.scoring.scorer import EMBEDDED
from empo.scoring.valence import ValenceMeter
from empo.settings import settings
from train.scorer import main

# Enough that every level of every mechanism is there, in every part of the inner folds.
EACH, DIALOGUES, LONGEST = 8, 12, 300


def few_pairs(path: Path, out: Path) -> None:
    """The first short rows of the file at `path` with each level of each mechanism."""
    with gzip.open(path, "rt", encoding="utf-8", newline="") as lines:
        rows = [r for r in csv.DictReader(lines) if len(r["response_post"]) <= LONGEST]
    chosen: dict[int, dict[str, str]] = {}
    for short, level in itertools.product(("ER", "IP", "EX"), "012"):
        own = [n for n, row in enumerate(rows) if row[f"{short}_level"] == level]
        chosen |= {n: rows[n] for n in own[:EACH]}
    with out.open("w", encoding="utf-8", newline="") as lines:
        writer = csv.DictWriter(lines, list(rows[0]))
        writer.writeheader()
        writer.writerows(chosen.values())


@pytest.fixture
def few(data_file: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder with little in it, in EMPO_DATA."""
    for split in ("train", "val"):
        few_pairs(data_file(f"epitome_{split}.csv.gz"), tmp_path / f"epitome_{split}.csv")
    with gzip.open(data_file("ed_valid.jsonl.gz"), "rt", encoding="utf-8") as lines:
        text = "".join(itertools.islice(lines, DIALOGUES))
    (tmp_path / "ed_valid.jsonl").write_text(text, "utf-8")
    monkeypatch.setenv("EMPO_DATA", str(tmp_path))
    settings.cache_clear()
    return tmp_path


def weights(folder: Path) -> dict[str, np.ndarray]:
    graph = onnx.load(folder / "scorer.onnx").graph
    return {w.name: onnx.numpy_helper.to_array(w) for w in graph.initializer}


def test_what_stands_on_the_encoder_is_fitted_anew(few: Path) -> None:
    torch.set_num_threads(1)
    out = few / "scorer"
    shutil.copytree(EMBEDDED, out)
    main(["--refit", "--set", f"out={out}"])
    before, after = weights(EMBEDDED), weights(out)
    assert before.keys() == after.keys()
    changed = {name for name in before if not np.array_equal(before[name], after[name])}
    assert changed == {"evidence.weight", "evidence.bias"}
    with np.load(EMBEDDED / "wide.npz") as old, np.load(out / "wide.npz") as new:
        assert set(old) == set(new)
        assert len(new["keys"]) < len(old["keys"])
        assert new["summary"].shape == old["summary"].shape
    card = json.loads((out / "scorer.json").read_text("utf-8"))
    turns = [json.loads(line)["turns"] for line in (few / "ed_valid.jsonl").open(encoding="utf-8")]
    assert card["listener"]["replies"] == sum(len(own) // 2 for own in turns)
    (scores,) = EmbeddedScorer(out, ValenceMeter()).score([("My dog died.", "I am so sorry.")])
    assert scores.emotional_reaction.level > 0
    assert scores.exploration.level == 0
