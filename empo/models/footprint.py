"""The memory that a stack's tensors take, worked out from its files' headers before any is loaded.

Bytes per weight that is not quantised: 4 on a CPU (fp32), 2 on a GPU (bf16). Linear layers of the
base in nf4: 4 bits, one 8-bit scale per 64 weights and, those being quantised again, one fp32 per
256 scales (Dettmers et al. 2023, arXiv 2305.14314, section 3); in int8: 1 byte and one fp32 scale
per row. What the answers take (cache, activations) comes on top.
"""

from __future__ import annotations

import json
import math
import struct
from dataclasses import dataclass
from pathlib import Path

from empo.errors import StackError
from empo.models.inventory import items
from empo.models.stacks import Stack
from empo.types import Quantisation

NF4_BYTES = 4 / 8 + 1 / 64 + 4 / (64 * 256)
MAX_HEADER = 100_000_000  # bytes, as in the safetensors format
# bitsandbytes quantises linear layers; tables and heads stay as they are.
_NOT_LINEAR = ("embed_tokens", "lm_head")

Shapes = dict[str, tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class Footprint:
    """Bytes of the base and of all adapters, and how many weights there are."""

    base: int
    adapters: int
    weights: int

    @property
    def total(self) -> int:
        return self.base + self.adapters


def shapes(folder: Path) -> Shapes:
    """The shape of every tensor in the folder's safetensors, by name.

    Raises:
        StackError: a file is not what safetensors files look like.
    """
    found: Shapes = {}
    for path in sorted(folder.glob("*.safetensors")):
        try:
            with path.open("rb") as file:
                (length,) = struct.unpack("<Q", file.read(8))
                if length > MAX_HEADER:
                    raise ValueError("its header is too long")
                header = json.loads(file.read(length))
            header.pop("__metadata__", None)
            found |= {name: tuple(tensor["shape"]) for name, tensor in header.items()}
        except (OSError, ValueError, struct.error, AttributeError, KeyError, TypeError) as error:
            raise StackError(f"{path} is not a whole safetensors file ({error}).") from error
    return found


def footprint(stack: Stack, quantisation: Quantisation, gpu: bool = False) -> Footprint | None:
    """What `stack` takes; None where not all of its files are on this machine.

    Raises:
        StackError: a file is damaged.
    """
    parts = items(stack)
    if any(part.folder is None for part in parts):
        return None
    base, *adapters = [shapes(part.folder) for part in parts if part.folder]
    plain = 2 if gpu else 4
    laid_over = sum(_count(found) for found in adapters)
    return Footprint(
        base=math.ceil(sum(_bytes(name, s, quantisation, plain) for name, s in base.items())),
        adapters=laid_over * plain,
        weights=_count(base) + laid_over,
    )


def _count(found: Shapes) -> int:
    return sum(math.prod(shape) for shape in found.values())


def _bytes(name: str, shape: tuple[int, ...], quantisation: Quantisation, plain: int) -> float:
    linear = len(shape) == 2 and not any(part in name for part in _NOT_LINEAR)
    if quantisation == "none" or not linear:
        return math.prod(shape) * plain
    if quantisation == "nf4":
        return math.prod(shape) * NF4_BYTES
    return math.prod(shape) + 4 * shape[0]
