"""The study of strategies: the table on the shipped adapter, and one tiny study from end to end."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from empo.data.dialogues import load_split
from empo.errors import EmpoError, UsageError
from empo.pairs.make import make_pairs
from empo.pairs.report import Baselines, tells
from empo.settings import ROOT
from empo.training.recipe import DpoRecipe, load_recipe
from train import pairs_study
from train.pairs_study import accuracies, markdown, stack_of

SHIPPED = ROOT / "assets" / "models" / "nano"


def test_the_shipped_adapter_is_told_from_its_start(data_folder: Path) -> None:
    """DPO prefers the human's reply more often than not; SFT against itself is a tie."""
    torch.set_num_threads(1)
    pairs = make_pairs(load_split(data_folder, "test"), "paper")[::100]
    stack = stack_of({"dpo": SHIPPED / "dpo", "same": SHIPPED / "sft"})
    found = accuracies(stack, {"paper": pairs}, 0)
    assert found["same"]["paper"]["value"] == 0.5
    row = found["dpo"]["paper"]
    assert row["count"] == len(pairs) and row["low"] < row["value"] < row["high"]
    assert row["value"] > 0.6
    whole = {
        "held_out": {"paper": len(pairs)},
        "accuracy": found,
        "baselines": {"paper": tells(pairs, Baselines(()), 0)},
    }
    lines = markdown(whole).splitlines()
    assert lines[0] == "| trained on | paper (n = 26) |"
    assert [line.split("|")[1].strip() for line in lines[2:]] == [
        *("dpo", "same", "length alone", "an emotion classifier", "word overlap")
    ]
    assert "50.0 % (50.0–50.0)" in lines[3] and "not measured" in lines[5]


def test_the_recipe_says_the_strategy() -> None:
    assert load_recipe("nano-dpo", DpoRecipe).strategy == "paper"
    assert load_recipe("nano-dpo", DpoRecipe, ["strategy=hard"]).strategy == "hard"
    with pytest.raises(UsageError, match="strategy"):
        load_recipe("nano-dpo", DpoRecipe, ["strategy=best"])


def test_wrong_requests_are_said() -> None:
    with pytest.raises(UsageError, match="no strategy “best”"):
        pairs_study.main(["--strategies", "paper,best"])
    with pytest.raises(UsageError, match="at least 1"):
        pairs_study.main(["--budget", "0"])


@pytest.mark.nightly
def test_a_training_that_fails_is_one_sentence(no_data: Path, tmp_path: Path) -> None:
    with pytest.raises(EmpoError, match=r"The training on hard failed: .*EmpatheticDialogues"):
        pairs_study.train("hard", 4, 0, tmp_path)


@pytest.mark.nightly
def test_a_tiny_study(data_folder: Path, tmp_path: Path, capsys) -> None:
    """Two strategies of four pairs each; a second run trains nothing and says the same."""
    wanted = ["--budget", "4", "--pairs", "6", "--strategies", "paper,balanced", "--json"]
    assert pairs_study.main([*wanted, "--keep", str(tmp_path)]) == 0
    first = capsys.readouterr()
    found = json.loads(first.out)
    assert first.err.count("Training") == 2 and found["held_out"] == {"paper": 6, "balanced": 6}
    assert set(found["accuracy"]) == set(found["accuracy"]["paper"]) == {"paper", "balanced"}
    assert pairs_study.main([*wanted, "--keep", str(tmp_path)]) == 0
    second = capsys.readouterr()
    assert "Training" not in second.err and json.loads(second.out) == found
