"""The network as it is trained: bf16 with fp32 weights beside it, and a loss that saves memory.

On a CPU the plain products of attention are faster at these sizes than the fused kernel, and the
head's logits are made a few hundred positions at a time: half the time of a step of the plain
Hugging Face model (see train/recipes/README.md).
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from empo.errors import StackError
from train.pretraining.windows import IGNORED, Windows

CHUNK = 256  # positions that go through the head at once


class Network:
    """A causal model in bf16 (`model`), its weights in fp32 (`weights`, by name), on `device`."""

    def __init__(self, base: Path, fresh: bool = False, compiled: bool = True) -> None:
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.model = _load(base, fresh).to(self.device)
        self.weights = {
            name: value.detach().float().clone() for name, value in self.model.named_parameters()
        }
        self.model.to(torch.bfloat16).train()
        if compiled and (self.device.type == "cuda" or shutil.which("g++")):
            for layer in self.model.model.layers:
                layer.compile(dynamic=False)

    @torch.no_grad()
    def take(self, weights: dict[str, Tensor]) -> None:
        """Compute with `weights` (rounded to bf16) from here on."""
        for name, value in self.model.named_parameters():
            value.copy_(weights[name])

    def loss(self, windows: Windows) -> tuple[Tensor, int]:
        """Summed cross-entropy (nats) of the known targets, and how many they are."""
        tokens, targets, owners = (torch.from_numpy(part).to(self.device) for part in windows)
        hidden = self.model.model(
            input_ids=tokens, attention_mask=_mask(owners), use_cache=False
        ).last_hidden_state
        known = targets != IGNORED
        total = _HeadLoss.apply(hidden[known], self.model.lm_head.weight, targets[known])
        return total, int(known.sum())

    def backward(self, windows: list[Windows]) -> tuple[float, dict[str, Tensor]]:
        """Mean loss of a step (nats a token), and its gradients in fp32 by name."""
        count = sum(int((part.targets != IGNORED).sum()) for part in windows)
        total, grads = 0.0, {name: torch.zeros_like(w) for name, w in self.weights.items()}
        for part in windows:
            loss, _ = self.loss(part)
            (loss / count).backward()
            total += float(loss.detach())
            for name, value in self.model.named_parameters():
                grads[name] += value.grad
                value.grad = None
        return total / count, grads

    @torch.no_grad()
    def measure(self, parts: list[Windows]) -> float:
        """Mean loss (nats a token) of all known targets of `parts`."""
        found = [self.loss(part) for part in parts]
        return sum(float(loss) for loss, _ in found) / sum(count for _, count in found)


def _load(base: Path, fresh: bool) -> Any:
    from transformers import AttentionInterface, AutoConfig, AutoModelForCausalLM

    AttentionInterface.register("plain", _attend)
    options = {"attn_implementation": "plain", "trust_remote_code": False}
    try:
        if fresh:
            config = AutoConfig.from_pretrained(base, trust_remote_code=False)
            return AutoModelForCausalLM.from_config(config, dtype=torch.float32, **options)
        return AutoModelForCausalLM.from_pretrained(
            base, dtype=torch.float32, use_safetensors=True, **options
        )
    except (OSError, ValueError) as error:
        said = str(error).splitlines()[0]
        raise StackError(f"The base {base.name} cannot be loaded: {said}") from error


def _attend(
    module: Any, query: Tensor, key: Tensor, value: Tensor, mask: Tensor, scaling: float, **_: Any
) -> tuple[Tensor, None]:
    """Attention as it is written: softmax(q kᵀ · scaling + mask) v; as many keys as queries."""
    scores = torch.matmul(query * scaling, key.transpose(-1, -2)) + mask
    return torch.matmul(torch.softmax(scores, -1), value).transpose(1, 2), None


def _mask(owners: Tensor) -> Tensor:
    """0 where a token may look (itself and what its own document said before), else very low."""
    width = owners.shape[1]
    same = owners[:, :, None] == owners[:, None, :]
    may = same & torch.ones(width, width, dtype=torch.bool, device=owners.device).tril()
    return torch.zeros(may.shape, dtype=torch.bfloat16, device=owners.device).masked_fill(
        ~may, -1e9
    )[:, None]


class _HeadLoss(torch.autograd.Function):
    """Summed cross-entropy of softmax(h Wᵀ), a chunk at a time; gradients are made on the way.

    The loss is scaled afterwards by a factor only, so gradients of the sum suffice.
    """

    @staticmethod
    def forward(ctx: Any, hidden: Tensor, weight: Tensor, targets: Tensor) -> Tensor:
        total = torch.zeros((), dtype=torch.float32, device=hidden.device)
        if not any(ctx.needs_input_grad):
            for part, wanted in zip(hidden.split(CHUNK), targets.split(CHUNK), strict=True):
                total += cross_entropy((part @ weight.t()).float(), wanted, reduction="sum")
            return total
        slopes = torch.empty_like(hidden)
        whole = torch.zeros_like(weight, dtype=torch.float32)
        for at in range(0, len(hidden), CHUNK):
            part, wanted = hidden[at : at + CHUNK], targets[at : at + CHUNK, None]
            likely = torch.log_softmax((part @ weight.t()).float(), -1)
            total -= likely.gather(1, wanted).sum()
            error = likely.exp_().scatter_add_(
                1, wanted, torch.full_like(wanted, -1, dtype=likely.dtype)
            )
            error = error.to(hidden.dtype)
            slopes[at : at + CHUNK] = error @ weight
            whole += error.t() @ part
        ctx.save_for_backward(slopes, whole.to(weight.dtype))
        return total

    @staticmethod
    def backward(ctx: Any, above: Tensor) -> tuple[Tensor, Tensor, None]:
        slopes, whole = ctx.saved_tensors
        factor = above.to(slopes.dtype)
        return slopes * factor, whole * factor, None


def in_parts(rows: Windows, size: int) -> list[Windows]:
    """`rows` in parts of `size` windows; the last is filled up, for one shape in all."""
    count = -(-len(rows.tokens) // size) * size
    padded = []
    for values, filling in zip(rows, (0, IGNORED, 0), strict=True):
        more = np.full((count - len(values), values.shape[1]), filling, np.int64)
        padded.append(np.concatenate([values, more]))
    return [Windows(*(v[at : at + size] for v in padded)) for at in range(0, count, size)]
