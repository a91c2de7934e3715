"""The alignment dial: a voice between SFT and DPO, named by where the dial stands ("dial:0.35").

At position t the LoRA weights of the two are blended, (1 - t) of SFT's and t of DPO's: 0 is SFT, 1
is DPO, beyond 1 the step from SFT to DPO is taken further than training took it. Each adapter sits
alone on the base, so the blend is one more set of row weights and costs nothing to load. The name
carries the position, so that whatever keeps a model's name keeps the dial as it stood.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from empo.types import ModelSpec, Stage

USUAL: Final = 1.0
FARTHEST: Final = 1.5
STEP: Final = 0.05
_NAME = re.compile(r"dial:([01](?:\.\d{1,2})?)")


def dial_name(position: float) -> str:
    """The voice's name; the position is rounded to two decimals."""
    return f"dial:{round(position, 2):g}"


def dial_position(name: str) -> float | None:
    """Where the dial called `name` stands, 0..`FARTHEST`; None where `name` is no dial."""
    found = _NAME.fullmatch(name)
    position = float(found[1]) if found else None
    return position if position is not None and position <= FARTHEST else None


def dial_ends(models: Sequence[ModelSpec]) -> tuple[ModelSpec, ModelSpec] | None:
    """The first SFT and the first DPO model that have an adapter; None where one is missing."""
    sft, dpo = (_first(models, stage) for stage in ("sft", "dpo"))
    return (sft, dpo) if sft and dpo else None


def _first(models: Sequence[ModelSpec], stage: Stage) -> ModelSpec | None:
    return next((m for m in models if m.stage == stage and any(m.adapters.values())), None)


def dialled(ends: tuple[ModelSpec, ModelSpec], position: float) -> ModelSpec:
    """The voice at `position` between the two ends."""
    position = round(position, 2)
    sft, dpo = ends
    shares = ((sft, round(1 - position, 2)), (dpo, position))
    weights: dict[str, float] = {}
    for end, share in shares:
        for adapter, weight in end.adapters.items():
            weights[adapter] = weights.get(adapter, 0.0) + share * weight
    told = [f"{_number(share)} {end.label}" for end, share in shares if share]
    return ModelSpec(
        name=dial_name(position),
        label=f"Dial {position:g}",
        plain=" + ".join(told),
        stage="blend",
        adapters={name: weight for name, weight in weights.items() if weight},
        note=f"A blend of LoRA weights: {' + '.join(told)}, on the same base",
    )


def _number(share: float) -> str:
    return f"{share:g}".replace("-", "−")
