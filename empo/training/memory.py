"""The memory that training takes, worked out before anything is loaded.

Weights of the base, in the precision they are held in; the adapter with its gradients and AdamW's
two moments, and for preference methods TRL's frozen copy of it while it works out the reference;
activations by tokens, width and depth (after Korthikanti et al. 2022, arXiv 2205.05198, section 4,
with the factors of a gated MLP and LoRA's frozen weights, worked out and not fitted); and the
logits of the positions that carry a loss. A run stores the prediction beside its measured peak.
"""

from __future__ import annotations

from dataclasses import dataclass

# Saved activations of one layer: how many times tokens × width, tokens × inner width, and the
# attention's scores (heads × length²) are kept for the way back.
_WIDTHS, _INNER, _SCORES = 11.0, 4.0, 2.0
_LOGITS = 4.0  # logits, their float copy, probabilities, gradient
_ADAM = 4  # weight, gradient and two moments of what is trained, each fp32
_REST = 1.08  # what allocators and buffers take on top


@dataclass(frozen=True, slots=True)
class Shape:
    """What of a model decides. `base_bytes`: as it will be held; `trained`: adapter's weights."""

    base_bytes: int
    trained: int
    width: int
    inner: int
    layers: int
    heads: int
    vocabulary: int


@dataclass(frozen=True, slots=True)
class Load:
    """One forward and backward pass. `rows` of `length` tokens, of which `labelled` carry a loss.

    `bytes_each`: of an activation (4 in fp32, 2 in bf16); `reference`: a frozen copy is held.
    """

    rows: int
    length: int
    labelled: int
    bytes_each: int
    checkpointing: bool
    reference: bool


def peak(shape: Shape, load: Load) -> int:
    """Bytes at the peak of a training step."""
    return round(_REST * (held(shape, load) + activations(shape, load) + logits(shape, load)))


def held(shape: Shape, load: Load) -> int:
    """Bytes of everything that stays between steps."""
    copies = _ADAM + (1 if load.reference else 0)
    return shape.base_bytes + shape.trained * 4 * copies


def activations(shape: Shape, load: Load) -> int:
    """Bytes of what one pass keeps for the way back."""
    tokens = load.rows * load.length
    layer = tokens * (_WIDTHS * shape.width + _INNER * shape.inner)
    layer += _SCORES * load.rows * shape.heads * load.length**2
    kept = shape.layers * layer
    if load.checkpointing:  # each layer's input, and one layer at a time worked out anew
        kept = shape.layers * tokens * shape.width + layer
    return round(kept * load.bytes_each)


def logits(shape: Shape, load: Load) -> int:
    """Bytes around the projection to the vocabulary."""
    return round(_LOGITS * load.labelled * shape.vocabulary * 4)
