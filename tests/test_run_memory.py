"""Memory before launch: predicted from shapes alone, and held against measured peaks."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import median

import pytest

from empo.budget import predict
from empo.data.dialogues import load_split
from empo.data.pair_files import write_pairs
from empo.pairs import paper_pairs
from empo.settings import ROOT, child_environment
from empo.training.memory import (
    Load,
    Shape,
    activations,
    head,
    held,
    labelled,
    longest,
    peak,
    watching,
)
from empo.training.recipe import RunSpec, load_spec, parse_spec
from empo.types import PreferencePair
from tests.small_runs import small_spec
from train.entry import sample

GB = 10**9
OPTIMISER = {"epochs": 1, "learning_rate": 0.005, "batch": 4, "max_length": 256}
SHAPE = Shape(1000, 10, width=4, inner=8, layers=3, vocabulary=100, inside=14)
LOAD = Load(rows=2, length=5, labelled=6, gpu=False, checkpointing=False, reference=False)


def test_by_hand() -> None:
    """10 tokens; 8 × 4 + 4 × 8 + 14 = 78 a token and layer; a mask of 2 × 25 a layer."""
    assert held(SHAPE, LOAD) == 1000 + 10 * 4 * 4
    assert held(SHAPE, replace(LOAD, reference=True)) == 1000 + 10 * 4 * 5
    assert activations(SHAPE, LOAD) == 3 * (10 * 78 + 50) * 4
    assert activations(SHAPE, replace(LOAD, gpu=True)) == 3 * (10 * 78 + 50) * 2
    again = replace(LOAD, checkpointing=True)
    assert activations(SHAPE, again) == (3 * 10 * 4 + 10 * 78 + 50) * 4
    assert head(SHAPE, LOAD) == 3 * 6 * 100 * 4
    assert head(SHAPE, replace(LOAD, tiled=True)) == 3 * 10 * 100 * 4
    assert watching(SHAPE, LOAD) == 2 * 2 * 6 * 100 * 4
    assert peak(SHAPE, LOAD) == round(110e6 + 1160 + 1.5 * (9960 + 7200))
    assert peak(SHAPE, replace(LOAD, gpu=True)) == round(1.08 * (1160 + 4980 + 7200))


def test_the_longest_rows_grow_with_their_number() -> None:
    assert longest("pair", 1000, 512) == round(80 * 1000**0.195) == 308
    assert longest("reply", 1, 512) == 71
    assert longest("reply", 1000, 100) == 100 and longest("pair", 1000, 100) == 120
    assert longest("pair", 10**6, 512, percentile=95) == longest("pair", 20, 512)
    assert labelled("pair", 4, 100) == 100


def test_the_longest_rows_of_the_real_data(data_folder: Path) -> None:
    """Within a seventh, for all pairs and for the first 500 that a seed draws."""
    from transformers import AutoTokenizer

    from tests.tiny_models import NANO

    tokenizer = AutoTokenizer.from_pretrained(NANO)
    pairs = paper_pairs(load_split(data_folder, "train"))
    for count in (500, len(pairs)):
        some = sorted(sample(pairs, count, 0), key=characters)[-16:]
        sizes = [len(ids) for ids in tokenizer([as_text(pair) for pair in some])["input_ids"]]
        assert longest("pair", count, 512) == pytest.approx(max(sizes), rel=1 / 7)


def characters(pair: PreferencePair) -> int:
    return len(as_text(pair))


def as_text(pair: PreferencePair) -> str:
    """Prompt and both replies, as the embedded base's template has them."""
    turns = (f"<|{turn.role}|>\n{turn.text}</s>\n" for turn in pair.prompt)
    return f"{''.join(turns)}<|assistant|>\n{pair.chosen}</s>\n{pair.rejected}</s>\n"


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["dpo", "sft"])
def test_what_autograd_keeps_is_counted(tmp_path: Path, data_folder: Path, kind: str) -> None:
    """The bytes of all tensors saved for the way back, within 2 % of the formula."""
    import torch

    from tests.tiny_models import save_base
    from train import dpo, sft

    base = save_base(tmp_path / "base")
    spec = small_spec(base, "x", kind, limit=8, valid=0, optimiser=OPTIMISER)
    trainer = (dpo if kind == "dpo" else sft).build(spec, str(tmp_path / "state"))
    batch = next(iter(trainer.get_train_dataloader()))
    frozen = {p.untyped_storage().data_ptr() for p in trainer.model.parameters()}
    kept: dict[int, int] = {}
    held_on = []  # so that no address is given twice

    def note(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        held_on.append(storage)
        if storage.data_ptr() not in frozen:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    trainer.model.train()
    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        trainer.compute_loss(trainer.model, dict(batch))
    rows, length = batch["input_ids"].shape
    carries = batch["side"] > 0 if kind == "dpo" else batch["labels"][:, 1:] >= 0
    load = Load(rows, length, int(carries.sum()), False, False, False)
    shape = Shape(0, 0, width=64, inner=96, layers=2, vocabulary=8192, inside=4 * 7)
    wanted = activations(shape, load) + head(shape, load) // 3
    assert sum(kept.values()) == pytest.approx(wanted, rel=0.02)


def test_what_costs_and_what_saves() -> None:
    spec = load_spec("nano-dpo")
    usual = predict(spec, free=GB, gpu=False).needed
    assert usual and 1e9 < usual < 5e9
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
    assert predict(spec, free=5 * GB, gpu=False).fix == ""
    needed = predict(spec, free=5 * GB, gpu=False).needed
    assert needed
    half = predict(spec, free=round(0.7 * needed), gpu=False)
    assert not half.fits and half.fix == "set optimiser.batch=8 and optimiser.accumulate=2"
    assert predict(spec, free=1000, gpu=False).fix == "take a smaller base"


def test_a_base_that_is_not_here_is_not_guessed() -> None:
    budget = predict(load_spec("zephyr-dpo"), free=1, gpu=True)
    assert budget.needed is None and budget.fits


MEASURE = """
import json, sys
import torch
torch.set_num_threads(1)
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


DRAWN = 1000  # pairs, of which one batch of the longest is trained on: the first one, and the peak
STEPS = 8  # what malloc cannot use again adds up over the first ones
TIMES = 3  # the same run takes more or less when repeated: the median counts


@pytest.mark.nightly
@pytest.mark.parametrize("batch", [2, 5])
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
    pairs = sample(paper_pairs(load_split(data_folder, "train")), DRAWN, 0)
    write_pairs(tmp_path / "pairs.jsonl", sorted(pairs, key=characters)[-batch:], "jsonl")
    spec = parse_spec(
        {
            "kind": "dpo",
            "name": "x",
            "base": str(base),
            "pairs": str(tmp_path / "pairs.jsonl"),
            "limit": DRAWN,
            "valid": 0,
            "lora": {"rank": 16, "alpha": 32},
            "optimiser": {"epochs": STEPS, "learning_rate": 1e-4, "batch": batch},
        }
    )
    measured = sorted(peak_of(spec, tmp_path / str(n)) for n in range(TIMES))
    predicted = predict(spec, free=100 * GB, gpu=False).needed
    print(f"{body}, batch {batch}: {predicted / GB:.2f} GB predicted, {measured} bytes measured")
    assert predicted == pytest.approx(median(measured), rel=0.25)


def peak_of(spec: RunSpec, state: Path) -> int:
    """Bytes that training takes in a process of its own."""
    run = subprocess.run(
        [sys.executable, "-c", MEASURE, spec.model_dump_json(exclude_none=True), str(state)],
        cwd=ROOT, env=child_environment(), capture_output=True, text=True, timeout=1800,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr[-2000:]
    return int(run.stdout.split("PEAK ")[1])


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
