"""`scorer.json`: what the shipped scorer's numbers mean, strictly checked when it is loaded."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from empo.errors import EmpoError
from empo.scoring.rationale import Reading
from empo.types import MECHANISMS, Mechanism

Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]


class ScorerError(EmpoError):
    """The scorer cannot be loaded or run; names the file and what to do."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class MechanismCard(_Strict):
    """How a level's probabilities and a rationale come about.

    `wide` is the linear models' weight in the mean of both log-probabilities, `temperature` then
    divides them (Guo et al. 2017). The rest reads rationales: `sentence` is the weight of a piece's
    sentence beside the piece itself, in the mean of both logits.
    """

    wide: Annotated[float, Field(ge=0, le=1)]
    temperature: Positive
    sentence: Annotated[float, Field(ge=0, le=1)]
    threshold: Annotated[float, Field(gt=0, lt=1)]
    window: Annotated[int, Field(ge=0)]
    gap: Annotated[int, Field(ge=0)]

    @property
    def reading(self) -> Reading:
        return Reading(self.threshold, self.window, self.gap)


class Listener(_Strict):
    """What a typical human listener scores: means over the replies named in `source`.

    `expected` is the mean of `MechanismScore.expected`, `level` that of the likeliest level.
    """

    expected: dict[Mechanism, float]
    level: dict[Mechanism, float]
    replies: Count
    source: str


class Card(_Strict):
    """`post` and `reply`: how many pieces are read; `emotions` in the order of the outputs."""

    name: str
    post: Count
    reply: Count
    emotions: Annotated[tuple[str, ...], Field(min_length=5)]
    emotion_temperature: Positive
    mechanisms: dict[Mechanism, MechanismCard]
    listener: Listener | None = None


def read_card(path: Path) -> Card:
    """The card at `path`.

    Raises:
        ScorerError: it is missing or wrong; names the field.
    """
    try:
        card = Card.model_validate_json(path.read_bytes())
    except OSError as error:
        raise ScorerError(
            f"The scorer's {path.name} cannot be read: get the project's assets again."
        ) from error
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or "the file"
        raise ScorerError(f"{path.name}: {field}: {first['msg']}.") from error
    if set(card.mechanisms) != set(MECHANISMS):
        raise ScorerError(f"{path.name}: mechanisms: write {', '.join(MECHANISMS)}.")
    return card
