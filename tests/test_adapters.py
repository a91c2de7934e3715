"""Adapters from disk: what PEFT saves is read whole; what must not be loaded is refused at once."""

from __future__ import annotations

import json
import math
import struct
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file, save_file

from empo.errors import StackError
from empo.models.adapters import WEIGHTS, read_adapter
from tests.tiny_models import LAYERS, OWN_TABLES, VOCABULARY, plain, save_adapter, save_base

CONFIG = "adapter_config.json"
Q = "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight"
B = Q.replace("lora_A", "lora_B")


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.set_num_threads(1)
    return save_base(tmp_path_factory.mktemp("bases") / "tiny-base")


@pytest.fixture(scope="module")
def good(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_adapter(base, tmp_path_factory.mktemp("adapter"), 1)


@pytest.fixture
def copy(good: Path, tmp_path: Path) -> Path:
    """A copy of the good adapter, to be spoilt."""
    for name in (CONFIG, WEIGHTS):
        (tmp_path / name).write_bytes((good / name).read_bytes())
    return tmp_path


def read(folder: Path, base: str = "tiny-base") -> Any:
    return read_adapter("mine", folder, base, torch.float32)


def test_every_pair_has_peft_s_weights_and_scale(base: Path, tmp_path: Path) -> None:
    """Against PEFT's own layers: patterns, rsLoRA."""
    save_adapter(
        base,
        tmp_path,
        2,
        use_rslora=True,
        rank_pattern={"layers.1.mlp.up_proj": 3, "q_proj": 5},
        alpha_pattern={"up_proj": 7, "model.layers.0.self_attn.q_proj": 11},
    )
    adapter = read(tmp_path)
    assert len(adapter.pairs) == 7 * LAYERS and not adapter.tables
    theirs = PeftModel.from_pretrained(plain(base), tmp_path).base_model.model
    for module, pair in adapter.pairs.items():
        layer = theirs.get_submodule(module)
        assert torch.equal(pair.a, layer.lora_A["default"].weight)
        assert torch.equal(pair.b, layer.lora_B["default"].weight)
        assert pair.scale == pytest.approx(layer.scaling["default"])
    assert adapter.pairs["model.layers.0.self_attn.q_proj"].scale == pytest.approx(11 / 5**0.5)
    assert adapter.pairs["model.layers.1.mlp.up_proj"].scale == pytest.approx(7 / math.sqrt(3))
    assert adapter.pairs["model.layers.1.mlp.up_proj"].a.shape == (3, 64)


@pytest.mark.parametrize("extra", [0, 1])
def test_own_tables_are_the_trained_ones(base: Path, tmp_path: Path, extra: int) -> None:
    """Where the vocabulary was resized, PEFT also saves the base's table and a second copy."""
    save_adapter(base, tmp_path, 3, extra=extra, modules_to_save=list(OWN_TABLES))
    saved = load_file(tmp_path / WEIGHTS)
    assert any("original_module" in key for key in saved) == bool(extra)
    adapter = read(tmp_path)
    assert sorted(adapter.tables) == sorted(OWN_TABLES)
    tuned = PeftModel.from_pretrained(plain(base, extra), tmp_path)
    for name, layer in (
        ("embed_tokens", tuned.get_input_embeddings()),
        ("lm_head", tuned.get_output_embeddings()),
    ):
        assert adapter.tables[name].shape == (VOCABULARY + extra, 64)
        assert torch.equal(adapter.tables[name], layer.modules_to_save["default"].weight)


def test_the_base_may_lie_elsewhere_under_the_same_name(copy: Path) -> None:
    assert read(copy, "someone/tiny-base").pairs
    change(base_model_name_or_path=None)(copy)
    assert read(copy, "anything").pairs


def test_half_precision_is_read_in_the_asked_dtype(copy: Path) -> None:
    weights(lambda found: {key: value.half() for key, value in found.items()})(copy)
    assert {pair.a.dtype for pair in read(copy).pairs.values()} == {torch.float32}


Spoil = Callable[[Path], object]


def change(**fields: Any) -> Spoil:
    def spoil(folder: Path) -> None:
        config = json.loads((folder / CONFIG).read_text())
        (folder / CONFIG).write_text(json.dumps(config | fields))

    return spoil


def weights(change_them: Callable[[dict[str, torch.Tensor]], Any]) -> Spoil:
    def spoil(folder: Path) -> None:
        found = load_file(folder / WEIGHTS)
        made = change_them(found)
        save_file(found if made is None else made, folder / WEIGHTS)

    return spoil


def put(key: str, tensor: torch.Tensor) -> Spoil:
    return weights(lambda found: found.update({key: tensor}))


def raw(name: str, body: bytes) -> Spoil:
    return lambda folder: (folder / name).write_bytes(body)


def pickled(folder: Path) -> None:
    torch.save(load_file(folder / WEIGHTS), folder / "adapter_model.bin")
    (folder / WEIGHTS).unlink()


def truncated(folder: Path) -> None:
    body = (folder / WEIGHTS).read_bytes()
    (folder / WEIGHTS).write_bytes(body[: len(body) // 2])


def overlapping(folder: Path) -> None:
    """A header whose first tensor claims bytes beyond the file."""
    body = (folder / WEIGHTS).read_bytes()
    (length,) = struct.unpack("<Q", body[:8])
    header = json.loads(body[8 : 8 + length])
    header[Q]["data_offsets"][1] += 10**12
    text = json.dumps(header).encode()
    (folder / WEIGHTS).write_bytes(struct.pack("<Q", len(text)) + text + body[8 + length :])


NAN = torch.full((8, 64), math.nan)
HOSTILE: dict[str, tuple[Spoil, str]] = {
    "pickle only": (pickled, "pickle, which can run code"),
    "no weights": (lambda folder: (folder / WEIGHTS).unlink(), f"it has no {WEIGHTS}"),
    "no config": (lambda folder: (folder / CONFIG).unlink(), "there is no .*adapter_config.json"),
    "other base": (change(base_model_name_or_path="evil/llama"), "made for the base evil/llama"),
    "not LoRA": (change(peft_type="XLORA"), "of type XLORA, only LORA"),
    "prompt tuning": (change(peft_type="PROMPT_TUNING"), "of type PROMPT_TUNING"),
    "DoRA": (change(use_dora=True), "uses use_dora"),
    "auto_mapping": (change(auto_mapping={"base_model_class": "X"}), "uses auto_mapping"),
    "Megatron": (change(megatron_config={"a": 1}), "uses megatron_config"),
    "replicated layers": (change(layer_replication=[[0, 9999]]), "uses layer_replication"),
    "trainable tokens": (change(trainable_token_indices=[1]), "uses trainable_token_indices"),
    "biases": (change(bias="all"), "trains biases"),
    "PiSSA": (change(init_lora_weights="pissa_niter_4"), "initialisation pissa_niter_4 changes"),
    "target pattern": (change(target_modules="(a+)+$"), "target_modules is a pattern"),
    "rank pattern": (change(rank_pattern={"(a+)+$": 4}), "adapter_config.json cannot be read"),
    "rank 0 in a pattern": (change(rank_pattern={"q_proj": 0}), "cannot be read"),
    "rank 0": (change(r=0), "greater than or equal to 1"),
    "rank that lies": (change(r=16), "are not A and B of rank 16"),
    "alpha NaN": (change(lora_alpha=math.nan), "finite number"),
    "alpha infinite": (change(lora_alpha=math.inf), "finite number"),
    "saves another module": (change(modules_to_save=["lm_head", "norm"]), "it replaces norm"),
    "saves a number": (change(modules_to_save=5), "valid list"),
    "config is a list": (raw(CONFIG, b"[]"), "cannot be read"),
    "config is no JSON": (raw(CONFIG, b"\x80\x04nonsense"), "cannot be read"),
    "config nested deep": (raw(CONFIG, b"[" * 100_000), "cannot be read"),
    "config with a huge number": (raw(CONFIG, b'{"r": ' + b"9" * 5000 + b"}"), "cannot be read"),
    "NaN weights": (put(Q, NAN), "holds values that are no numbers"),
    "infinite weights": (put(Q, NAN.nan_to_num(math.inf)), "holds values that are no numbers"),
    "a vector": (put(Q, torch.zeros(64)), "no matrix"),
    "whole numbers": (put(Q, torch.zeros(8, 64, dtype=torch.int32)), "no matrix in fp32"),
    "8-bit floats": (put(Q, torch.zeros(8, 64).to(torch.float8_e4m3fn)), "no matrix in fp32"),
    "A of another rank": (put(Q, torch.zeros(4, 64)), "q_proj are not A and B of rank 8"),
    "A without B": (weights(lambda f: {k: f[k] for k in f if k != B}), "are not A and B"),
    "embedding LoRA": (
        put("base_model.model.model.embed_tokens.lora_embedding_A", torch.zeros(8, 64)),
        "embed_tokens.lora_embedding_A is not a LoRA weight served here",
    ),
    "base weights": (
        put("base_model.model.model.norm.weight", torch.zeros(8, 64)),
        "model.norm.weight is not a LoRA weight served here",
    ),
    "magnitudes": (
        put(Q.replace("lora_A", "lora_magnitude_vector"), torch.zeros(8, 64)),
        "is not a LoRA weight served here",
    ),
    "truncated": (truncated, f"{WEIGHTS} cannot be read"),
    "lying offsets": (overlapping, f"{WEIGHTS} cannot be read"),
    "giant header": (raw(WEIGHTS, struct.pack("<Q", 2**62) + b"{}"), f"{WEIGHTS} cannot be read"),
    "empty": (raw(WEIGHTS, b""), f"{WEIGHTS} cannot be read"),
    "a zip": (raw(WEIGHTS, b"PK\x03\x04" + bytes(100)), f"{WEIGHTS} cannot be read"),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_hostile_adapters_are_refused_at_once(copy: Path, what: str) -> None:
    spoil, why = HOSTILE[what]
    spoil(copy)
    start = time.process_time()
    with pytest.raises(StackError, match=why) as caught:
        read(copy)
    assert time.process_time() - start < 1
    assert "mine" in str(caught.value) and "\n" not in str(caught.value)


def test_a_pickle_beside_safetensors_is_not_opened(copy: Path) -> None:
    """Opening it would raise: it is no pickle at all."""
    (copy / "adapter_model.bin").write_bytes(b"not to be read")
    (copy / "chat_template.jinja").write_text("{{ evil() }}")
    assert len(read(copy).pairs) == 7 * LAYERS
