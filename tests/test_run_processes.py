"""Two processes that speak through gloo do what one does with twice the accumulation."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from empo.settings import ROOT, child_environment
from empo.training.folder import RunFolder, make_folder
from empo.training.status import read_status
from tests.small_runs import small_spec
from tests.tiny_models import save_base

OPTIMISER = {"epochs": 1, "learning_rate": 0.005, "batch": 2, "max_length": 256}


def do(folder: RunFolder, processes: int) -> dict[int, float]:
    """The losses of the run in `folder`, done by that many processes."""
    module = ["-m", "train.dpo", "--run", str(folder.path)]
    command = [sys.executable, *module]
    if processes > 1:
        launch = ["--config_file", "train/accelerate.yaml"]
        more = ["--num_processes", str(processes), "--main_process_port", "0"]
        command = [sys.executable, "-m", "accelerate.commands.launch", *launch, *more, *module]
    done = subprocess.run(
        command, cwd=ROOT, env=child_environment(), capture_output=True, text=True, timeout=900
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    assert read_status(folder).state == "finished"
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text("utf-8").splitlines()]
    return {row["step"]: row["loss"] for row in rows if "loss" in row}


@pytest.mark.nightly
def test_two_processes_equal_one_with_twice_the_accumulation(
    tmp_path: Path, data_folder: Path
) -> None:
    base = save_base(tmp_path / "base")
    few = {"limit": 48, "samples": 0, "checkpoint_every": 100}
    one = make_folder(
        small_spec(base, "one", optimiser=OPTIMISER | {"accumulate": 2}, **few), tmp_path / "a"
    )
    two = make_folder(small_spec(base, "two", optimiser=OPTIMISER, **few), tmp_path / "b")
    alone, together = do(one, 1), do(two, 2)
    assert list(alone) == list(together) and len(alone) == 12
    assert max(abs(alone[step] - together[step]) for step in alone) < 1e-3
