"""From a stack to an engine: quantisation, memory, and what must not or cannot be loaded."""

from __future__ import annotations

import json
import struct
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from huggingface_hub import constants

from empo.errors import OutOfMemory, StackError, UsageError
from empo.models import loading
from empo.models.footprint import footprint
from empo.models.loading import check_memory, free_memory, load_engine, pick_stack
from empo.models.stacks import Source, Stack, load_stack
from empo.types import Quantisation
from tests.tiny_models import (
    LAYERS,
    VOCABULARY,
    answer,
    engine_of,
    logits,
    row,
    save_adapter,
    save_base,
    stack_of,
)

LINEARS = 8 * 7  # of nano: layers, and linear layers in each


@pytest.fixture(autouse=True)
def on_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.set_num_threads(1)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_base(tmp_path_factory.mktemp("loading") / "base")


@pytest.fixture(scope="module")
def stack(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Stack:
    folder = tmp_path_factory.mktemp("adapters")
    return stack_of(
        base, {name: save_adapter(base, folder / name, i) for i, name in enumerate("ab")}
    )


def answers_in(quantisation: Quantisation) -> list[str]:
    engine = engine_of(load_stack("nano"), quantisation)
    assert (engine.quantisation, engine.device) == (quantisation, "cpu")
    # As calculated, but for the rotary frequencies (twice 32) and the 4- and 8-bit code tables.
    need = footprint(engine.stack, quantisation)
    codes = LINEARS * (16 + 256) if quantisation == "nf4" else 0
    assert need and engine.tensor_bytes["base"] == need.base + 4 * (2 * 32 + codes)
    rows = [row("My dog died last week.", spec.adapters) for spec in engine.stack.models]
    replies = answer(engine, rows)
    assert all(reply.text and reply.tokens for reply in replies)
    ids = engine.decoder.encoder.encode(rows[0].messages)
    quantised = logits(engine, [one.adapters for one in rows], ids)[:, -1].float()
    engine.close()
    exact_engine = engine_of(load_stack("nano"))
    exact = logits(exact_engine, [one.adapters for one in rows], ids)[:, -1]
    exact_engine.close()
    assert not torch.equal(exact, quantised), "it is quantised"
    for own, other in zip(exact, quantised, strict=True):
        assert torch.corrcoef(torch.stack([own, other]))[0, 1] > 0.95
    return [reply.text for reply in replies]


@pytest.mark.slow
@pytest.mark.parametrize("quantisation", ["nf4", "int8"])
def test_nano_answers_quantised_on_the_cpu(quantisation: Quantisation) -> None:
    assert len(set(answers_in(quantisation))) == 3, "three voices"


def test_4_bits_are_4_bits(base: Path) -> None:
    """The linear layers of a tiny base in nf4, double quantised, compute in bf16."""
    engine = engine_of(stack_of(base, {}), "nf4")
    layer = engine.decoder.model.model.layers[0].self_attn.q_proj
    assert layer.weight.dtype == torch.uint8 and layer.weight.numel() == 64 * 64 // 2
    assert layer.weight.quant_state.quant_type == "nf4" and layer.weight.quant_state.nested
    assert layer.compute_dtype == torch.bfloat16
    engine.close()


def test_one_base_in_memory_however_many_models(stack: Stack) -> None:
    """Base: two tables and, per layer, 4·64² + 3·64·96 weights and two norms; and the last norm.

    Adapters, two of rank 8: each A once, and B of layers that go together as a block diagonal.
    The rotary embedding holds its frequencies twice: 2·8 floats.
    """
    engine = engine_of(stack)
    weights = 2 * VOCABULARY * 64 + LAYERS * (4 * 64**2 + 3 * 64 * 96 + 128) + 64
    rotary = 2 * 8
    assert engine.tensor_bytes["base"] == 4 * (weights + rotary)
    a = 3 * 16 * 64 + 16 * 64 + 2 * 16 * 64 + 16 * 96
    b = 48 * 192 + 16 * 64 + 32 * 192 + 16 * 64
    assert engine.tensor_bytes["stack"] - engine.tensor_bytes["base"] == 4 * LAYERS * (a + b)
    engine.close()


def test_progress_is_told_to_the_end(stack: Stack) -> None:
    told: list[tuple[str, float]] = []
    load_engine(stack, None, lambda text, share: told.append((text, share))).close()
    assert [text for text, _ in told] == [
        "Loading the base", "Loading the adapter a", "Loading the adapter b", "Ready",
    ]  # fmt: skip
    shares = [share for _, share in told]
    assert shares == sorted(shares) and shares[-1] == 1.0


def test_without_a_gpu_it_is_fp32(stack: Stack) -> None:
    engine = load_engine(stack)
    assert engine.quantisation == "none"
    assert {p.dtype for p in engine.decoder.model.parameters()} == {torch.float32}
    engine.close()


def test_a_quantisation_that_is_none(stack: Stack) -> None:
    with pytest.raises(UsageError, match="no quantisation “fp2”; choose nf4, int8, none"):
        load_engine(stack, "fp2")  # type: ignore[arg-type]


def test_auto_is_nano_where_the_paper_s_files_are_not() -> None:
    assert pick_stack("auto").name == "nano"
    assert pick_stack("zephyr-7b").name == "zephyr-7b"
    with pytest.raises(UsageError, match="no stack “nope”"):
        pick_stack("nope")


def test_auto_is_the_largest_that_is_here_and_fits(
    base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """nano, a little less of it, a smaller stack, and the paper's, whose files are not here."""
    nano = load_stack("nano")
    less = replace(nano, adapters={"sft": nano.adapters["sft"]})
    found = {"nano": nano, "less": less, "tiny": stack_of(base, {}), "z": load_stack("zephyr-7b")}
    monkeypatch.setattr(loading, "stack_names", lambda: tuple(found))
    monkeypatch.setattr(loading, "load_stack", found.__getitem__)
    need = footprint(found["nano"], "none")
    assert need and pick_stack("auto") is found["nano"]
    monkeypatch.setattr(loading, "free_memory", lambda gpu: need.total)
    assert pick_stack("auto") is found["tiny"], "what fits only just does not fit"


def test_too_little_memory_is_one_sentence_with_the_fix(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = footprint(stack, "none")
    small = footprint(stack, "nf4")
    assert plain and small and small.total < plain.total
    between = int((plain.total + small.total) / 2 * 1.15)
    monkeypatch.setattr(loading, "free_memory", lambda gpu: between)
    with pytest.raises(
        OutOfMemory, match=r"tiny needs about .* in none, .* use --quantisation nf4\.$"
    ):
        load_engine(stack)
    check_memory(stack, "nf4", gpu=False)
    monkeypatch.setattr(loading, "free_memory", lambda gpu: small.total // 2)
    for how in ("none", "nf4"):
        with pytest.raises(OutOfMemory, match=r"use --stack nano\.$"):
            load_engine(stack, how)  # type: ignore[arg-type]
    assert free_memory(gpu=False) > 10**8, "the machine's own"


def test_a_stack_of_the_hub_without_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    start = time.monotonic()
    with pytest.raises(StackError) as caught:
        load_engine(load_stack("zephyr-7b"))
    assert time.monotonic() - start < 60
    said = str(caught.value)
    assert said.startswith(
        "The stack zephyr-7b: base (alignment-handbook/zephyr-7b-sft-full) is not"
    )
    assert said.endswith("Check the network, or use --stack nano.") and "\n" not in said


def test_a_path_that_is_no_folder(stack: Stack) -> None:
    gone = replace(stack, adapters={"a": Source("/no/such/folder")})
    with pytest.raises(StackError, match=r"adapter a \(/no/such/folder\) is not on this machine"):
        load_engine(gone)


def spoilt(stack: Stack, name: str, adapter: Path) -> Stack:
    return replace(stack, adapters={**stack.adapters, name: Source(str(adapter))})


def test_a_refused_adapter_is_named(base: Path, stack: Stack, tmp_path: Path) -> None:
    other = save_adapter(base, tmp_path / "other", 5)
    config = other / "adapter_config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"use_dora": True}))
    with pytest.raises(StackError, match=r"The adapter c in .* uses use_dora"):
        load_engine(spoilt(stack, "c", other))


def test_an_adapter_that_has_only_a_pickle(stack: Stack, tmp_path: Path) -> None:
    (tmp_path / "adapter_config.json").write_text('{"peft_type": "LORA", "r": 8, "lora_alpha": 8}')
    (tmp_path / "adapter_model.bin").write_bytes(b"never read")
    with pytest.raises(StackError, match=r"adapter c \(.*\) has no safetensors.* a pickle can run"):
        load_engine(spoilt(stack, "c", tmp_path))


def test_a_giant_header_is_refused_before_the_base_is_loaded(stack: Stack, tmp_path: Path) -> None:
    (tmp_path / "adapter_config.json").write_text('{"peft_type": "LORA", "r": 8, "lora_alpha": 8}')
    (tmp_path / "adapter_model.safetensors").write_bytes(struct.pack("<Q", 2**62) + b"{}")
    start = time.process_time()
    with pytest.raises(StackError, match="not a whole safetensors file"):
        load_engine(spoilt(stack, "c", tmp_path))
    assert time.process_time() - start < 1


def copied(base: Path, folder: Path) -> Path:
    folder.mkdir()
    for path in base.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    return folder


def test_a_damaged_base_is_named(base: Path, tmp_path: Path) -> None:
    cut = copied(base, tmp_path / "cut")
    body = (cut / "model.safetensors").read_bytes()
    (cut / "model.safetensors").write_bytes(body[: len(body) // 2])
    with pytest.raises(StackError, match=r"base in .*cut cannot be loaded: "):
        load_engine(stack_of(cut, {}))


def test_a_base_with_code_of_its_own_is_refused(base: Path, tmp_path: Path) -> None:
    """Nobody is asked, and the code is not run."""
    strange = copied(base, tmp_path / "strange")
    config = json.loads((strange / "config.json").read_text())
    config |= {
        "model_type": "strange",
        "auto_map": {"AutoConfig": "code.Config", "AutoModelForCausalLM": "code.Model"},
    }
    (strange / "config.json").write_text(json.dumps(config))
    (strange / "code.py").write_text("raise SystemExit('this code was run')")
    start = time.monotonic()
    with pytest.raises(StackError, match=r"base in .*strange cannot be loaded: "):
        load_engine(stack_of(strange, {}))
    assert time.monotonic() - start < 60


def test_a_base_that_is_no_chat_model(base: Path, tmp_path: Path) -> None:
    mute = copied(base, tmp_path / "mute")
    (mute / "chat_template.jinja").unlink()
    with pytest.raises(StackError, match="no chat template; choose a chat model"):
        load_engine(stack_of(mute, {}))
