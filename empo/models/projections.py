"""Linear layers with many adapters: every row of a batch its own blend, in one forward pass.

For a linear layer W with adapters a = 1..k of rank r_a, stack A = [A_1; ...; A_k] and
B = [s_1 B_1 ... s_k B_k]; then y = W x + B (m * (A x)), where m holds, per row, the weight of each
adapter, repeated r_a times. No gather, no loop over adapters, nothing that depends on data. Layers
that read the same input (q, k, v; gate, up) are computed together, one W, one A and one
block-diagonal B for all of them, so that the adapters cost two small products a group.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import nn
from torch.nn import functional

from empo.models.adapters import LoraPair
from empo.models.blend import Blend
from empo.models.products import product


class Projections:
    """Linear layers with one input and their stacked adapters, computed together."""

    def __init__(
        self, members: Sequence[nn.Linear], loras: Sequence[Mapping[str, LoraPair]], blend: Blend
    ) -> None:
        self.blend = blend
        self.sizes = [member.out_features for member in members]
        self.ranks = tuple(
            lora[name].a.shape[0] if name in lora else 0 for lora in loras for name in blend.names
        )
        first = members[0].weight
        dtype = first.dtype if first.is_floating_point() else torch.bfloat16
        pairs = [[lora[name] for name in blend.names if name in lora] for lora in loras]
        self.a = torch.cat([pair.a for own in pairs for pair in own]).to(first.device, dtype)
        # (out, rank) of each member, scaled.
        bs = [torch.cat([p.b * p.scale for p in own], dim=1).to(self.a) for own in pairs]
        # One product for all is worth its zeros only where ranks are small and W is not quantised.
        plain = all(type(member) is nn.Linear for member in members)
        self.fused = plain and sum(self.ranks) * 2 <= sum(self.sizes)
        if self.fused:
            self._fuse(members)
            self.b = torch.block_diag(*bs)
        else:
            self.members, self.bs = list(members), bs
        self._input: torch.Tensor | None = None
        self._outputs: tuple[torch.Tensor, ...] = ()
        self._left = 0

    def _fuse(self, members: Sequence[nn.Linear]) -> None:
        """One W for all members; their own weights become views of it."""
        self.weight = torch.cat([member.weight.data for member in members])
        self.bias = None
        if any(member.bias is not None for member in members):
            self.bias = self.weight.new_zeros(sum(self.sizes))
        start = 0
        for member, size in zip(members, self.sizes, strict=True):
            rows = slice(start, start := start + size)
            member.weight = nn.Parameter(self.weight[rows], requires_grad=False)
            if member.bias is not None:
                self.bias[rows] = member.bias.data

    def take(self, index: int, x: torch.Tensor) -> torch.Tensor:
        """The output of member `index`; the first that is asked computes all of them."""
        if self._input is not x:
            self._input = x
            self._outputs = self._compute(x)
            self._left = len(self.sizes)
        self._left -= 1
        output = self._outputs[index]
        if not self._left:
            self._input, self._outputs = None, ()
        return output

    def _compute(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        mask = self.blend.mask(self.ranks)
        if not self.fused:
            return self._compute_apart(x, mask)
        low = None if mask is None else functional.linear(x, self.a).mul_(mask)
        return product(x, self.weight, self.bias, low, self.b).split(self.sizes, -1)

    def _compute_apart(
        self, x: torch.Tensor, mask: torch.Tensor | None
    ) -> tuple[torch.Tensor, ...]:
        """The base layers as they are (quantised, say), the adapters beside them."""
        outputs = tuple(member(x) for member in self.members)
        if mask is None:
            return outputs
        low = (functional.linear(x.to(self.a.dtype), self.a) * mask).to(self.a.dtype)
        lows = low.split([b.shape[1] for b in self.bs], -1)
        return tuple(
            output + (own @ b.T).to(output.dtype)
            for output, own, b in zip(outputs, lows, self.bs, strict=True)
        )


class Projection(nn.Module):
    """Stands where a linear layer stood; its output comes from the `Projections` it belongs to."""

    def __init__(self, together: Projections, index: int, linear: nn.Linear) -> None:
        super().__init__()
        self.linear = linear
        self.together = together
        self.index = index

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.together.take(self.index, x)
