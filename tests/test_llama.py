"""The quick decoding step against transformers' own, and the products it is made of."""

from __future__ import annotations

import gc
import weakref
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM, MistralConfig, MistralForCausalLM

from empo.models.cache import roomy_cache
from empo.models.llama import LlamaStep, hasten
from empo.models.products import product
from tests.tiny_models import answer, engine_of, row, save_adapter, save_base, stack_of

SHAPE = {
    "vocab_size": 64,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "initializer_range": 0.2,
}
SCALED = {"rope_type": "linear", "factor": 2.0, "rope_theta": 10000.0}
MODELS: dict[str, Any] = {
    "llama": lambda: LlamaForCausalLM(LlamaConfig(**SHAPE, num_key_value_heads=4)),
    "grouped": lambda: LlamaForCausalLM(LlamaConfig(**SHAPE, num_key_value_heads=2, head_dim=16)),
    "scaled": lambda: LlamaForCausalLM(LlamaConfig(**SHAPE, rope_parameters=SCALED)),
    "biased": lambda: LlamaForCausalLM(LlamaConfig(**SHAPE, attention_bias=True, mlp_bias=True)),
    "mistral": lambda: MistralForCausalLM(
        MistralConfig(**SHAPE, num_key_value_heads=1, sliding_window=None)
    ),
}


def said(model: Any, pads: list[int]) -> torch.Tensor:
    """Logits after a prompt of 5 ids, the first `pads` of a row being none, and after 4 more."""
    ids = torch.randint(64, (len(pads), 9), generator=torch.Generator().manual_seed(1))
    seen = (torch.arange(9) >= torch.tensor(pads)[:, None]).long()
    places = (seen.cumsum(1) - 1).clamp(min=0)
    cache, parts = roomy_cache(), []
    with torch.inference_mode():
        for start, end in ((0, 5), (5, 6), (6, 7), (7, 8), (8, 9)):
            out = model(
                input_ids=ids[:, start:end],
                attention_mask=seen[:, :end] if any(pads) else None,
                position_ids=places[:, start:end],
                past_key_values=cache,
                use_cache=True,
            )
            parts.append(out.logits[:, -1])
    return torch.stack(parts)


@pytest.mark.parametrize("pads", [[0], [0, 0, 0], [2, 0, 1]], ids=["one", "equal", "unequal"])
@pytest.mark.parametrize("kind", MODELS)
def test_a_step_gives_what_transformers_gives(kind: str, pads: list[int]) -> None:
    torch.manual_seed(0)
    model = MODELS[kind]().eval()
    for bias in (p for name, p in model.named_parameters() if name.endswith("bias")):
        torch.nn.init.normal_(bias)
    usual = said(model, pads)
    hasten(model)
    assert isinstance(model, LlamaStep)
    torch.testing.assert_close(said(model, pads), usual, atol=2e-5, rtol=1e-5)
    assert usual.std() > 0.1, "the logits say something"


def test_only_what_is_written_here_is_done_here() -> None:
    windowed = MistralForCausalLM(MistralConfig(**SHAPE, num_key_value_heads=1, sliding_window=4))
    hasten(windowed)
    assert not isinstance(windowed, LlamaStep), "a window is transformers' business"


def test_the_engine_s_tokens_come_by_the_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a reply of six tokens the first comes from the prompt's pass, five from steps."""
    base = save_base(tmp_path / "base")
    engine = engine_of(stack_of(base, {"a": save_adapter(base, tmp_path / "a", 1)}))
    usual: list[tuple[int, ...]] = []
    forward = LlamaForCausalLM.forward

    def noted(model: Any, **given: Any) -> Any:
        usual.append(tuple(given["input_ids"].shape))
        return forward(model, **given)

    monkeypatch.setattr(LlamaForCausalLM, "forward", noted)
    assert answer(engine, [row("Hi", {"a": 1.0}, max_new_tokens=6)])[0].tokens == 6
    assert len(usual) == 1 and usual[0][1] > 1
    model = weakref.ref(engine.decoder.model)
    engine.close()
    gc.disable()
    try:
        del engine
        assert model() is None, "the weights are let go of at once"
    finally:
        gc.enable()


@pytest.mark.parametrize("rows", [1, 2, 3, 8, 9])
@pytest.mark.parametrize("own", [False, True], ids=["alone", "with an adapter"])
@pytest.mark.parametrize("biased", [False, True], ids=["plain", "biased"])
def test_the_product_is_the_product(rows: int, own: bool, biased: bool) -> None:
    """Whichever way round, in fp64: x Wᵀ + bias + low Bᵀ."""
    torch.manual_seed(rows)
    x, weight = torch.randn(rows, 1, 16), torch.randn(24, 16)
    bias = torch.randn(24) if biased else None
    low, b = (torch.randn(rows, 1, 4), torch.randn(24, 4)) if own else (None, None)
    expected = x.double() @ weight.double().T
    if bias is not None:
        expected += bias
    if low is not None and b is not None:
        expected += low.double() @ b.double().T
    found = product(x, weight, bias, low, b)
    assert found.is_contiguous()
    torch.testing.assert_close(found.double(), expected, atol=1e-5, rtol=1e-5)
