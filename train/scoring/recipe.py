"""The scorer's recipe: every fact of its training in one strictly checked YAML file."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from empo.training.recipe import Count, Fraction, Positive


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Stage(_Strict):
    """One training stage. `heads` multiplies the learning rate of everything above the encoder.

    `average` is the decay of the running mean of the weights that is kept in the end (0: none).
    """

    epochs: Positive
    batch: Count
    learning_rate: Positive
    heads: Positive = 5.0
    warmup: Fraction = 0.06
    decay_to: Fraction = 0.0
    weight_decay: Annotated[float, Field(ge=0)] = 0.01
    smoothing: Fraction = 0.05
    average: Fraction = 0.0


class Mixed(Stage):
    """EPITOME beside a rehearsal of emotions. `rarity`: class weights are frequency ** -rarity.

    `frozen`: how many of the encoder's lowest layers, and the embeddings with them, stay as the
    first stage left them.
    """

    frozen: Annotated[int, Field(ge=0)] = 0
    rehearsal: Annotated[int, Field(ge=0)] = 32
    rehearsal_weight: Positive = 0.5
    rationale_weight: Positive = 0.5
    rarity: Fraction = 0.35


class ScorerRecipe(_Strict):
    """`vocabulary` in pieces; `positions`, `post`, `reply`, `speaker` are lengths in pieces.

    The network learns from replies cut to `reply`, and once finished reads `read` of them.
    """

    kind: Literal["scorer"]
    name: str
    base: str
    base_sha256: str
    out: str
    seed: int = 0
    vocabulary: Count
    positions: Count = 128
    post: Count = 64
    reply: Count = 96
    read: Count = 126
    speaker: Count = 48
    emotions: Stage
    epitome: Mixed
