"""The memory that training takes, worked out before anything is loaded.

What stays: the weights of the base, in the precision they are held in; the adapter with its
gradient and AdamW's two moments, all in fp32; where the reference is not precomputed, TRL's frozen
copy of it. What a step adds is counted from the tensors that autograd keeps in a decoder of the
Llama family with LoRA on its linear layers (`tests/test_run_memory.py` counts them again): per
token and layer eight times the width (both norms' inputs and outputs, queries, keys, values,
attention's output), four times the inner width (gate, its activation, up, their product) and each
adapter's inner values; per layer one mask. With checkpointing, each layer's input and one layer.
At the head: the log-probabilities of the positions that carry a loss, over the whole vocabulary,
with their gradient before and after the softmax, in fp32; TRL's own trainers go over tiles of it.

Three figures are measured on a CPU, not derived: `_LIBRARIES`, `_SCATTER` and, from
EmpatheticDialogues in tokens of the embedded base, how long the longest rows are. Nothing here was
measured on a GPU. A run stores the prediction beside its measured peak.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

_WIDTHS, _INNER = 8, 4
_HEAD = 3  # log-probabilities, and their gradient on both sides of the softmax
_TILE = (4096, 32_768)  # positions and vocabulary that TRL's head takes at once
_ADAM = 4  # weight, gradient and two moments of what is trained
_WATCHED = 2  # rows of an evaluation ÷ rows of a step (`train/entry.py`)
_LIBRARIES = 110_000_000  # bytes of what is imported late, of the rows and the tokenizer
# Memory that malloc has taken ÷ memory in use: glibc up to 2.37 cannot give aligned memory (which
# torch asks for) out of a hole of just that size. The middle of a wide range: one and the same run,
# repeated, took 1.1 to 2.1 times what it used. Above 32 MB each tensor is mapped by itself.
_SCATTER, _MAPPED = 1.5, 32 * 1024 * 1024
_GPU_SCATTER = 1.08

Form = Literal["pair", "reply", "dialogue"]
# Tokens of the longest of N rows: the first × N ** the second; and the share of a batch of the
# longest that carries a loss. A pair is a prompt with both replies, a reply one of them.
_ROWS: dict[Form, tuple[float, float, float]] = {
    "pair": (80, 0.195, 0.25),
    "reply": (71, 0.2, 0.2),
    "dialogue": (82, 0.195, 0.3),
}


@dataclass(frozen=True, slots=True)
class Shape:
    """What of a model decides. `base_bytes`: as it will be held; `trained`: adapter's weights;
    `inside`: the inner values of all adapters of one layer (ranks, added up)."""

    base_bytes: int
    trained: int
    width: int
    inner: int
    layers: int
    vocabulary: int
    inside: int = 0


@dataclass(frozen=True, slots=True)
class Load:
    """One forward and backward pass over `rows` sequences of `length` tokens, padding included,
    of which `labelled` in all carry a loss.

    `tiled`: the head goes over tiles, as in TRL's own trainers; `reference`: a frozen copy of the
    adapter is held.
    """

    rows: int
    length: int
    labelled: int
    gpu: bool
    checkpointing: bool
    reference: bool
    tiled: bool = False

    @property
    def bytes_each(self) -> int:
        """Of an activation: bf16 on a GPU, fp32 without."""
        return 2 if self.gpu else 4


def longest(form: Form, rows: int, limit: int, percentile: float | None = None) -> int:
    """Tokens of the longest of `rows` rows: they come together, in one batch.

    `limit`: of one sequence, prompt and reply; `percentile`: longer rows are left out.
    """
    if percentile is not None and percentile < 100:
        rows = min(rows, max(1, round(100 / (100 - percentile))))
    first, power, _ = _ROWS[form]
    # Beside a prompt that nearly fills `limit` stand two replies, the second cut as the first.
    most = limit * (1.2 if form == "pair" else 1.0)
    return round(min(first * max(1, rows) ** power, most))


def labelled(form: Form, rows: int, length: int) -> int:
    """How many tokens of a batch of the longest rows carry a loss."""
    return round(rows * length * _ROWS[form][2])


def peak(shape: Shape, load: Load) -> int:
    """Bytes at the peak of training."""
    step = max(activations(shape, load) + head(shape, load), watching(shape, load))
    if load.gpu:
        return round(_GPU_SCATTER * (held(shape, load) + step))
    return round(_LIBRARIES + held(shape, load) + _scatter(shape, load) * step)


def _scatter(shape: Shape, load: Load) -> float:
    """Bytes taken ÷ bytes in use, for what a step keeps."""
    parts = ((_WIDTHS * shape.width, shape.width), (_INNER * shape.inner, shape.inner))
    each = load.rows * load.length * load.bytes_each
    small = sum(kept for kept, size in parts if size * each <= _MAPPED)
    return 1 + (_SCATTER - 1) * small / sum(kept for kept, _ in parts)


def held(shape: Shape, load: Load) -> int:
    """Bytes of everything that stays between steps."""
    copies = _ADAM + (1 if load.reference else 0)
    return shape.base_bytes + shape.trained * 4 * copies


def activations(shape: Shape, load: Load) -> int:
    """Bytes of what one pass keeps for the way back."""
    tokens = load.rows * load.length
    layer = tokens * (_WIDTHS * shape.width + _INNER * shape.inner + shape.inside)
    layer += load.rows * load.length**2
    kept = shape.layers * layer
    if load.checkpointing:
        kept = shape.layers * tokens * shape.width + layer
    return kept * load.bytes_each


def head(shape: Shape, load: Load) -> int:
    """Bytes around the projection to the vocabulary, in fp32."""
    if load.tiled:
        positions = load.labelled if load.gpu else load.rows * load.length
        return _HEAD * min(positions, _TILE[0]) * min(shape.vocabulary, _TILE[1]) * 4
    return _HEAD * load.labelled * shape.vocabulary * 4


def watching(shape: Shape, load: Load) -> int:
    """Bytes of a pass without gradients (an evaluation, the reference's): one layer, and the head
    with its log-softmax beside it."""
    tokens = _WATCHED * load.rows * load.length
    layer = tokens * (4 * shape.width + 3 * shape.inner) * load.bytes_each
    tables = 2 * head(shape, load) // _HEAD * (1 if load.tiled else _WATCHED)
    return max(layer, tables)
