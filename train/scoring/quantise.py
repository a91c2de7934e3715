"""Weights in few bits: blocks along the input, each with its own scale.

A block of `BLOCK` weights that a matrix row multiplies together becomes unsigned integers around a
fixed middle (8 for 4 bits, 128 for 8), w ~ (q - middle) * scale. Training passes through the same
rounding (`rounded`, gradients straight through: Bengio et al. 2013, arXiv 1308.3432), so that the
network learns to live with it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

BLOCK = 32
# Between the encoder and the last layers; `kv` is the graph's name for key and value together.
EIGHT_BITS = ("query", "key", "value", "kv", "out", "dense")


class Blocks(NamedTuple):
    """`values` uint8 (rows, blocks, BLOCK) and `scales` (rows, blocks), exact in float16."""

    values: Tensor
    scales: Tensor


def blocks(weight: Tensor, bits: int) -> Blocks:
    """`weight` (rows, columns) in `bits`; columns must be a multiple of BLOCK.

    The scale takes the largest magnitude to the lower end, which has one step more than the upper.
    """
    middle = 2 ** (bits - 1)
    parts = weight.unflatten(1, (-1, BLOCK))
    peak = parts.gather(2, parts.abs().argmax(2, keepdim=True))
    scales = (peak / -middle).to(torch.float16).to(torch.float32)
    steps = torch.where(scales == 0, torch.zeros_like(parts), parts / scales)
    values = (steps.round() + middle).clamp(0, 2 * middle - 1).to(torch.uint8)
    return Blocks(values, scales.squeeze(2))


def restored(packed: Blocks, bits: int) -> Tensor:
    """The weight (rows, columns) that `packed` stands for."""
    steps = packed.values.to(torch.float32) - 2 ** (bits - 1)
    return (steps * packed.scales.unsqueeze(2)).flatten(1)


class Rounded(nn.Module):
    """A parametrisation: the weight as it will be shipped; gradients pass straight through."""

    def __init__(self, bits: int) -> None:
        super().__init__()
        self.bits = bits
        self._frozen: Tensor | None = None

    def forward(self, weight: Tensor) -> Tensor:
        if self._frozen is not None and not weight.requires_grad:
            return self._frozen
        with torch.no_grad():
            exact = restored(blocks(weight, self.bits), self.bits)
        if not weight.requires_grad:
            # A frozen weight stays what it is: rounded once.
            self._frozen = exact
            return exact
        return weight + (exact - weight).detach()


def bits_of(name: str, encoder_bits: int) -> int | None:
    """How many bits the linear layer `name` gets; the small last layers (None) stay float32."""
    if name.startswith("encoder."):
        return encoder_bits
    return 8 if name.split(".")[0] in EIGHT_BITS else None


@contextmanager
def rounded(network: nn.Module, encoder_bits: int) -> Iterator[None]:
    """Inside, the linear layers of `network` work with their shipped, rounded weights."""
    layers = []
    for name, module in network.named_modules():
        bits = bits_of(name, encoder_bits)
        if isinstance(module, nn.Linear) and bits:
            layers.append(module)
            parametrize.register_parametrization(module, "weight", Rounded(bits))
    try:
        yield
    finally:
        for module in layers:
            parametrize.remove_parametrizations(module, "weight", leave_parametrized=False)


def plain_names(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """A state dict taken inside `rounded`, with the names it has outside."""
    return {
        name.replace("parametrizations.weight.original", "weight"): t for name, t in state.items()
    }
