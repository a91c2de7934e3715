"""The gate of a run: what it forgets is measured on the way, and too much stops it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from peft import PeftModel

from empo.errors import UsageError
from empo.models.likelihood import Likelihood, Reader, TurnScore
from empo.models.probe import probe, read_questions, right_answers
from empo.settings import ROOT, child_environment, settings
from empo.training.checkpoints import last_whole, step_of
from empo.training.folder import RunFolder, make_folder
from empo.training.recipe import DpoRecipe, SftRecipe, load_recipe, load_spec, parse_spec
from empo.training.status import read_status
from empo.ui.run_charts import curves
from empo.ui.run_desk import form_of
from tests.small_runs import small_spec
from tests.tiny_models import plain, save_adapter, save_base, stack_of
from train.entry import main
from train.sft import build

NANO = "assets/models/nano/base"


@pytest.fixture(autouse=True)
def own_folders(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, no_data: Path) -> None:
    monkeypatch.setenv("EMPO_HOME", str(tmp_path / "home"))
    settings.cache_clear()


def run(
    folder: Path, gate: dict[str, float] | None, rate: float, evaluations: int = 3
) -> RunFolder:
    """Nine steps of SFT on the starter dialogues, done by a process as any run is."""
    optimiser = {"epochs": 1, "learning_rate": rate, "batch": 4, "max_length": 128, "clip": 1e9,
                 "schedule": "constant_with_warmup", "warmup": 0.0}  # fmt: skip
    more = {"gate": gate} if gate else {}
    few = {"limit": 36, "valid": 4, "samples": 0, "checkpoint_every": 100, "data": "starter"}
    spec = small_spec(
        NANO, "gated", "sft", evaluations=evaluations, optimiser=optimiser, **few, **more
    )
    found = make_folder(spec, folder)
    command = [sys.executable, "-m", "train.sft", "--run", str(found.path)]
    env = child_environment() | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    return found


def test_a_run_that_forgets_too_much_stops_itself_with_a_whole_checkpoint(tmp_path: Path) -> None:
    """A learning rate that destroys the model: at the first evaluation it is over."""
    folder = run(tmp_path, {"fall": 0.05}, 1e30)
    status = read_status(folder)
    rows = [row for row in folder.rows("metrics.jsonl") if "probe" in row]
    assert [row["step"] for row in rows] == [0, 3] and rows[1]["probe"] == 0.0
    assert (status.state, status.step) == ("stopped", 3), status
    before, seconds = rows[0]["probe"], rows[1]["probe_seconds"]
    assert before >= 0.1 and seconds > 0
    said = "It stopped itself after step 3: its probe of general knowledge fell from "
    said += f"{before:.3f} to 0.000 (40 questions, {seconds:.1f} s), more than gate.fall=0.05"
    assert status.sentence == f"{said} allows." and "learning_rate" in status.action
    checkpoint = last_whole(folder)
    assert checkpoint is not None and step_of(checkpoint) == 3
    assert not folder.adapter.exists() and not (folder / "model.json").exists()
    assert "General knowledge" in curves({"gated": folder.rows("metrics.jsonl")})


@pytest.mark.nightly
def test_a_run_within_its_gate_ends_as_any_other(tmp_path: Path) -> None:
    """With the same seed the probe changes nothing in the losses."""
    kept = run(tmp_path / "a", {"fall": 1.0}, 0.0005)
    free = run(tmp_path / "b", None, 0.0005)
    assert read_status(kept).state == "finished" == read_status(free).state

    def losses(folder: RunFolder) -> list[float]:
        return [row["loss"] for row in folder.rows("metrics.jsonl") if "loss" in row]

    assert losses(kept) == losses(free) and len(losses(free)) == 9
    rows = [row for row in kept.rows("metrics.jsonl") if "probe" in row]
    assert [row["step"] for row in rows] == [0, 3, 6, 9]


@pytest.mark.nightly
def test_where_nothing_is_left_to_stop_the_end_says_what_was_forgotten(tmp_path: Path) -> None:
    status = read_status(run(tmp_path, {"fall": 0.05}, 1e30, evaluations=1))
    assert (status.state, status.step) == ("finished", 9)
    assert status.sentence.startswith("It finished after 9 steps. But its probe of general")


def test_the_policy_is_asked_as_it_would_be_served(tmp_path: Path) -> None:
    """A model in training mode, with its adapter laid over it, and the same adapter in a stack."""
    base = save_base(tmp_path / "base")
    adapter = save_adapter(base, tmp_path / "adapter", 1)
    likelihood = Likelihood(stack_of(base, {"sft": adapter}))
    model = PeftModel.from_pretrained(plain(base), adapter, is_trainable=True)
    few = read_questions()[:12]
    model.eval()
    right = right_answers(Reader(model, likelihood.tokenizer).turns, few)
    assert right == probe(stack_of(base, {"sft": adapter}), "sft", few, likelihood)
    assert any(parameter.requires_grad for parameter in model.parameters())


def test_a_model_without_numbers_knows_nothing() -> None:
    def broken(texts: Any) -> list[list[TurnScore]]:
        return [[TurnScore(float("nan"), 3)] for _ in texts]

    assert not any(right_answers(broken))


def test_a_gate_is_a_part_of_a_recipe() -> None:
    found = load_spec("nano-dpo", ["gate.fall=0.05"])
    assert found.gate is not None and (found.gate.tasks, found.gate.fall) == (("probe",), 0.05)
    again = parse_spec(found.model_dump(mode="json", exclude_none=True))
    assert again == found and load_spec("nano-dpo").gate is None
    assert "gate={'tasks': ['probe'], 'fall': 0.05}" in form_of(found).more


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("gate.fall=1.5", "nano-dpo.yaml: gate.fall: Input should be less than or equal to 1"),
        ("gate.fall=much", "nano-dpo.yaml: gate.fall"),
        ("gate={}", "nano-dpo.yaml: gate.fall: Field required"),
        ("gate={tasks: [mmlu], fall: 0.1}", "nano-dpo.yaml: gate.tasks.0: Input should be 'probe'"),
        ("gate={tasks: [], fall: 0.1}", "nano-dpo.yaml: gate.tasks"),
        ("gate.rise=1", "nano-dpo.yaml: gate"),
    ],
)
def test_a_wrong_gate_is_said(change: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        load_spec("nano-dpo", [change])


def test_a_gate_needs_evaluations_and_a_run() -> None:
    with pytest.raises(UsageError, match="a gate looks at every evaluation, and valid=0 makes"):
        load_recipe("nano-dpo", DpoRecipe, ["gate.fall=0.1", "valid=0"])
    argv = ["--recipe", "nano-sft", "--set", "gate.fall=0.1"]
    with pytest.raises(UsageError, match="A gate stops a run: use python -m empo runs start"):
        main("about", SftRecipe, "sft", build, argv)
