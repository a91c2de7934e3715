"""The central values. Frozen, plain, without behaviour beyond their own shape; no torch, no gradio.

`None` in a score means *not measured*, never 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Role = Literal["system", "user", "assistant"]
Stage = Literal["base", "sft", "dpo", "kto", "blend", "human"]
Quantisation = Literal["nf4", "int8", "none"]
StoppedBy = Literal["end", "length", "stop", "cancelled"]
QUANTISATIONS: tuple[Quantisation, ...] = ("nf4", "int8", "none")


@dataclass(frozen=True, slots=True)
class Turn:
    """One utterance."""

    role: Role
    text: str


@dataclass(frozen=True, slots=True)
class Dialogue:
    """A dialogue of EmpatheticDialogues: the first speaker (user) tells, the listener answers."""

    id: str
    turns: tuple[Turn, ...]
    emotion: str | None = None
    situation: str | None = None


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """One voice of a stack: a base and the weights of the LoRA adapters laid over it.

    `adapters` maps the adapter's name in the stack to its weight: empty for the base,
    `{"sft": 1.0}` for an adapter alone, `{"sft": 0.5, "dpo": 0.5}` for a blend.
    """

    name: str
    label: str
    plain: str
    stage: Stage
    adapters: Mapping[str, float] = field(default_factory=dict)
    note: str = ""


@dataclass(frozen=True, slots=True)
class Sampling:
    """How tokens are drawn. `temperature == 0` is argmax with no penalty at all.

    `seed` starts the row's own generator: the row's text depends on nothing else.
    """

    temperature: float = 0.7
    top_p: float = 0.9
    top_k: int = 0
    min_p: float = 0.0
    repetition_penalty: float = 1.1
    max_new_tokens: int = 60
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Reply:
    """A finished reply. `tokens` counts generated tokens without the end marker; times in seconds."""

    model: str
    text: str
    tokens: int
    seconds: float
    first_token_seconds: float
    stopped_by: StoppedBy
    dropped_turns: int = 0


@dataclass(frozen=True, slots=True)
class Valence:
    """Valence of a text. `vader`: VADER compound in -1..1; `vad`: NRC VAD valence in 0..1."""

    vader: float | None = None
    vad: float | None = None


@dataclass(frozen=True, slots=True)
class PreferencePair:
    """A prompt with a chosen and a rejected reply, and where the rejected one came from."""

    prompt: tuple[Turn, ...]
    chosen: str
    rejected: str
    emotion: str
    opposite: str
    origin: str
    dialogue_id: str
    rejected_id: str
