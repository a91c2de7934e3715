"""Memory before launch: predicted from shapes alone, and held against measured peaks."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from empo.budget import predict
from empo.settings import ROOT, child_environment
from empo.training.memory import Load, Shape, activations, held, logits, peak
from empo.training.recipe import load_spec, parse_spec

GB = 10**9
SHAPE = Shape(1000, 10, width=4, inner=8, layers=3, heads=2, vocabulary=100)
LOAD = Load(rows=2, length=5, labelled=6, bytes_each=4, checkpointing=False, reference=False)


def test_by_hand() -> None:
    """10 tokens; 11 × 4 + 4 × 8 = 76 a token and layer; scores 2 × 2 × 2 × 25 = 200 a layer."""
    assert held(SHAPE, LOAD) == 1000 + 10 * 4 * 4
    assert activations(SHAPE, LOAD) == 3 * (10 * 76 + 200) * 4
    assert logits(SHAPE, LOAD) == 4 * 6 * 100 * 4
    assert peak(SHAPE, LOAD) == round(1.08 * (1160 + 11520 + 9600))


def test_what_costs_and_what_saves() -> None:
    spec = load_spec("nano-dpo")
    usual = predict(spec, free=GB, gpu=False).needed
    assert usual and 5e8 < usual < 3e9
    step = spec.optimiser

    def needs(**changes: object) -> int:
        optimiser = step.model_copy(update={k: v for k, v in changes.items() if hasattr(step, k)})
        rest = {k: v for k, v in changes.items() if not hasattr(step, k)}
        found = predict(spec.model_copy(update={"optimiser": optimiser, **rest}), GB, False).needed
        assert found
        return found

    assert needs(batch=32) > usual > needs(batch=8) > needs(batch=8, max_length=64)
    assert needs(gradient_checkpointing=True) < usual
    assert predict(spec, free=GB, gpu=True).needed < usual  # bf16


def test_the_cheapest_fix_that_fits_is_named() -> None:
    spec = load_spec("nano-dpo")
    assert predict(spec, free=3 * GB, gpu=False).fix == ""
    half = predict(spec, free=800_000_000, gpu=False)
    assert not half.fits and half.fix == "set optimiser.batch=8 and optimiser.accumulate=2"
    assert predict(spec, free=1000, gpu=False).fix == "take a smaller base"


def test_a_base_that_is_not_here_is_not_guessed() -> None:
    budget = predict(load_spec("zephyr-dpo"), free=1, gpu=True)
    assert budget.needed is None and budget.fits


MEASURE = """
import json, sys
import torch
torch.set_num_threads(2)
import train.trainers
from train.memory import Meter
from train import dpo
from empo.training.recipe import parse_spec
spec = parse_spec(json.loads(sys.argv[1]))
meter = Meter()
dpo.build(spec, sys.argv[2]).train()
print("PEAK", meter.peak)
"""
# (hidden, inner, layers, vocabulary): at least 75 million weights, 300 MB in fp32.
BODIES = {
    "wide": (1024, 2816, 6, 8192),
    "deep": (640, 1728, 14, 8192),
    "long": (768, 2048, 11, 8192),
}


@pytest.mark.nightly
@pytest.mark.parametrize("batch", [2, 6])
@pytest.mark.parametrize("body", sorted(BODIES))
def test_within_a_quarter_of_the_measured_peak(
    tmp_path: Path, data_folder: Path, body: str, batch: int
) -> None:
    from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

    from tests.tiny_models import NANO

    hidden, inner, layers, words = BODIES[body]
    config = LlamaConfig(
        vocab_size=words, hidden_size=hidden, intermediate_size=inner, num_hidden_layers=layers,
        num_attention_heads=8, bos_token_id=1, eos_token_id=2, pad_token_id=3,
    )  # fmt: skip
    base = tmp_path / "base"
    LlamaForCausalLM(config).save_pretrained(base)
    AutoTokenizer.from_pretrained(NANO).save_pretrained(base)
    assert (base / "model.safetensors").stat().st_size >= 300_000_000
    spec = parse_spec(
        {
            "kind": "dpo",
            "name": "x",
            "base": str(base),
            "limit": 4 * batch,
            "valid": 0,
            "lora": {"rank": 16, "alpha": 32},
            "optimiser": {"epochs": 1, "learning_rate": 1e-4, "batch": batch},
        }
    )
    run = subprocess.run(
        [sys.executable, "-c", MEASURE, spec.model_dump_json(exclude_none=True), str(tmp_path)],
        cwd=ROOT, env=child_environment(), capture_output=True, text=True, timeout=1800,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr[-2000:]
    measured = int(run.stdout.split("PEAK ")[1])
    predicted = predict(spec, free=100 * GB, gpu=False).needed
    assert predicted == pytest.approx(measured, rel=0.25), f"{predicted / measured:.2f}"


def test_a_run_waits_for_what_the_chat_gives_back() -> None:
    from train.memory import PATIENCE, await_room

    now, said, free = [0.0], list[str](), iter([1 * GB, 2 * GB, 5 * GB])

    def sleep(seconds: float) -> None:
        now[0] += seconds

    def room(needed: int | None, left: Callable[[], int | None]) -> bool:
        return await_room(needed, said.append, left, lambda: now[0], sleep)

    assert room(4 * GB, lambda: next(free)) and now[0] == 2.0
    assert said == ["waiting for the GPU"] * 2
    assert not room(4 * GB, lambda: GB) and now[0] == 2.0 + PATIENCE
    for needed, left in ((None, GB), (4 * GB, None)):  # not known, or no GPU
        assert room(needed, lambda left=left: left) and now[0] == 2.0 + PATIENCE


def test_what_the_chat_gives_back_counts_on_a_gpu_alone() -> None:
    spec = load_spec("nano-dpo")
    assert predict(spec, free=GB, gpu=True, released=2 * GB).free == 3 * GB
    assert predict(spec, free=GB, gpu=False, released=2 * GB).free == GB
