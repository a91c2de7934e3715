"""The decoding step of Llama and Mistral on a CPU, without what transformers does around it.

A token's matrix products take a small model less time than the Python between them: masks that are
made and not needed, outputs that are recorded, one dispatch after the other. Here a step is only
its arithmetic, over the model's own layers, so that adapters and quantised layers come along.
Prompts go the usual way, and so do other models.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.nn import functional

if TYPE_CHECKING:
    from transformers import Cache, PreTrainedModel
    from transformers.modeling_outputs import CausalLMOutputWithPast


class LlamaStep:
    """Goes before a causal model's class: one token a row is done here, all else as before."""

    def forward(
        self: Any,
        input_ids: torch.Tensor | None = None,
        past_key_values: Cache | None = None,
        attention_mask: torch.Tensor | None = None,
        position_ids: torch.Tensor | None = None,
        **options: Any,
    ) -> CausalLMOutputWithPast:
        """As the model's own; `input_ids` (rows, tokens), `attention_mask` (rows, all tokens)."""
        from transformers.modeling_outputs import CausalLMOutputWithPast

        if past_key_values is None or input_ids is None or input_ids.shape[1] != 1:
            options |= {"input_ids": input_ids, "past_key_values": past_key_values}
            options |= {"attention_mask": attention_mask, "position_ids": position_ids}
            return super().forward(**options)
        x = self.model.embed_tokens(input_ids)
        cos, sin = self.model.rotary_emb(x, position_ids=position_ids)
        # x cos + (-x₂, x₁) sin, the halves being exchanged by `roll`: the sign goes with the sine.
        first, second = sin.chunk(2, -1)
        turn = cos, torch.cat((-first, second), -1)
        seen = None if attention_mask is None else attention_mask[:, None, None].bool()
        for layer in self.model.layers:
            normal = _norm(layer.input_layernorm, x)
            x += _attend(layer.self_attn, normal, turn, past_key_values, seen)
            x += layer.mlp(_norm(layer.post_attention_layernorm, x))
        logits = self.lm_head(_norm(self.model.norm, x))
        return CausalLMOutputWithPast(logits=logits, past_key_values=past_key_values)


def hasten(model: PreTrainedModel) -> None:
    """Give `model` the quick step, if it is of a kind whose step is written here."""
    from transformers import LlamaForCausalLM, MistralForCausalLM

    kind = type(model)
    windowed = getattr(model.config, "sliding_window", None) is not None
    known = kind in (LlamaForCausalLM, MistralForCausalLM) and not windowed
    if known and model.device.type == "cpu":
        # A class, not an attribute: a model that refers to itself is not let go of at once.
        model.__class__ = type(f"Quick{kind.__name__}", (LlamaStep, kind), {})


def _norm(norm: nn.Module, x: torch.Tensor) -> torch.Tensor:
    return functional.rms_norm(x, norm.weight.shape, norm.weight, norm.variance_epsilon)


def _attend(
    attention: nn.Module,
    x: torch.Tensor,
    turn: tuple[torch.Tensor, torch.Tensor],
    cache: Cache,
    seen: torch.Tensor | None,
) -> torch.Tensor:
    """Attention of `x` (rows, 1, hidden) to all tokens so far; queries that share keys together."""
    rows, size = len(x), attention.head_dim
    both = torch.cat((attention.q_proj(x), attention.k_proj(x)), -1).view(rows, -1, size)
    both = torch.addcmul(both * turn[0], both.roll(size // 2, -1), turn[1])
    value = attention.v_proj(x).view(rows, -1, 1, size)
    heads = value.shape[1]
    query = both[:, :-heads].unflatten(1, (heads, -1))
    keys, values = cache.update(both[:, -heads:, None], value, attention.layer_idx)
    out = functional.scaled_dot_product_attention(
        query, keys, values, attn_mask=seen, scale=attention.scaling
    )
    return attention.o_proj(out.reshape(rows, 1, -1))
