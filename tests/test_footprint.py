"""empo/models/footprint.py: bytes worked out by hand, and those of real tensors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from empo.errors import StackError
from empo.models.footprint import footprint, shapes
from empo.models.stacks import Stack, load_stack


def small_stack(folder: Path) -> Stack:
    """A base of one table (8×64), one linear layer (64×128), one norm (64); a LoRA of rank 2."""
    for name in ("base", "lora"):
        (folder / name).mkdir()
    (folder / "base" / "config.json").touch()
    (folder / "lora" / "adapter_config.json").touch()
    save_file(
        {
            "model.embed_tokens.weight": np.zeros((8, 64), np.float16),
            "model.norm.weight": np.zeros(64, np.float16),
        },
        folder / "base" / "model-1.safetensors",
    )
    save_file(
        {"model.layers.0.q_proj.weight": np.zeros((64, 128), np.float16)},
        folder / "base" / "model-2.safetensors",
        metadata={"format": "pt"},
    )
    save_file(
        {"a.lora_A": np.zeros((2, 128), np.float16), "a.lora_B": np.zeros((64, 2), np.float16)},
        folder / "lora" / "adapter_model.safetensors",
    )
    (folder / "small.yaml").write_text(
        f"""
name: small
title: Small
base: {{path: "{folder}/base"}}
adapters: {{a: {{path: "{folder}/lora"}}}}
models: [{{name: base, label: Base, plain: before, stage: base}}]
prompt: none
"""
    )
    return load_stack(str(folder / "small.yaml"))


def test_bytes_by_hand(tmp_path: Path) -> None:
    """Table 512 and norm 64 weights, linear 8192, adapter 256 + 128 = 384."""
    stack = small_stack(tmp_path)
    found = footprint(stack, "none")
    assert found is not None
    assert (found.base, found.adapters) == (4 * (512 + 64 + 8192), 4 * 384)
    assert (found.weights, found.total) == (9152, 4 * 9152)
    on_gpu = footprint(stack, "none", gpu=True)
    assert on_gpu is not None and on_gpu.total == 2 * 9152
    on_cpu = footprint(stack, "nf4")
    assert on_cpu is not None and on_cpu.base == 4 * 576 + 4096 + 128 + 2
    nf4 = footprint(stack, "nf4", gpu=True)
    # 8192 weights: 4096 bytes, 128 scales of a byte, half an fp32 for these.
    assert nf4 is not None and nf4.base == 2 * 576 + 4096 + 128 + 2
    int8 = footprint(stack, "int8", gpu=True)
    assert int8 is not None and int8.base == 2 * 576 + 8192 + 4 * 64


def test_the_paper_s_base_in_nf4_takes_4_1_gigabytes(tmp_path: Path) -> None:
    """Mistral 7B: 6.98 G weights in linear layers, two tables of 32,000 × 4,096 in bf16."""
    layer = 2 * 4096 * 4096 + 2 * 1024 * 4096 + 3 * 14336 * 4096
    stack = small_stack(tmp_path)
    small = footprint(stack, "nf4", gpu=True)
    assert small is not None
    per_weight = (small.base - 2 * 576) / 8192
    assert (32 * layer * per_weight + 2 * 2 * 32000 * 4096) / 1e9 == pytest.approx(4.12, abs=0.01)


def test_the_embedded_base_is_what_its_file_holds() -> None:
    base = load_stack("nano").base.folder
    assert base is not None
    file = base / "model.safetensors"
    weights = sum(int(np.prod(shape)) for shape in shapes(base).values())
    assert 0 <= file.stat().st_size - 2 * weights < 20_000, "bf16 weights and a header"


def test_what_is_not_here_is_not_guessed() -> None:
    assert footprint(load_stack("zephyr-7b"), "nf4") is None


@pytest.mark.parametrize(
    "body",
    [b"", b"PK\x03\x04", b"\xff" * 64, b"\x02" + bytes(7) + b"[]", b"\x02" + bytes(7) + b"{"],
)
def test_a_damaged_file_is_named(tmp_path: Path, body: bytes) -> None:
    (tmp_path / "model.safetensors").write_bytes(body)
    with pytest.raises(StackError, match=r"model\.safetensors is not a whole safetensors file"):
        shapes(tmp_path)
