"""The deck of recorded replies that the arena deals from: situations, each answered by every model.

`assets/deck.json` is made by `python -m empo deck`. A second deck, of the paper's released replies
and the human listeners', is put together from what `python -m empo fetch replies` has brought; it
is read from there and never shipped.
"""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from empo.data.recorded import HUMAN, SYSTEMS, Recorded, recorded
from empo.data.situations import Situation, read_situations, situations
from empo.errors import DataError
from empo.settings import ASSETS
from empo.types import ModelSpec, Quantisation, Sampling, Turn

DECK = ASSETS / "deck.json"
FURTHER = ASSETS / "deck.yaml"
SIZE = 60
PAPER = "paper"
# The dialogues of the paper's deck are drawn once, with this seed: everybody meets the same.
_SEED = 20406
_LONGEST = 600  # characters of a dialogue or a reply in the paper's deck


@dataclass(frozen=True, slots=True)
class Card:
    """A situation and what each model replied to it. `turns` ends with the speaker's."""

    id: str
    emotion: str
    title: str
    turns: tuple[Turn, ...]
    replies: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Deck:
    """Cards, and what their replies were made with, as far as it is known.

    `base` is the short hash of the base's weights, `revisions` that of each model's adapters.
    """

    name: str
    title: str
    models: tuple[ModelSpec, ...]
    base: str
    revisions: Mapping[str, str]
    quantisation: Quantisation | None
    prompt: str
    sampling: Sampling | None
    cards: tuple[Card, ...]

    def card(self, name: str) -> Card | None:
        """The card of that id."""
        return next((card for card in self.cards if card.id == name), None)


def deck_situations() -> tuple[Situation, ...]:
    """The situations of the shipped deck: the 32 of the first page, and further ones.

    Raises:
        DataError: a file of them is damaged.
    """
    return (*situations(), *read_situations(FURTHER))


def read_deck(path: Path = DECK) -> Deck:
    """The deck in the file `path`.

    Raises:
        DataError: it is no deck; says what is wrong in it.
    """
    try:
        deck = TypeAdapter(Deck).validate_python(json.loads(path.read_text("utf-8")))
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        raise DataError(f"{path.name}: {field}: {first['msg']}; make it anew.") from error
    except (OSError, ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())
        raise DataError(f"{path.name} is no deck of replies: {reason}; make it anew.") from error
    names = {model.name for model in deck.models}
    if len(names) < 2 or len({card.id for card in deck.cards}) < len(deck.cards):
        raise DataError(f"{path.name}: it needs two models and one id for each card.")
    for card in deck.cards:
        whole = names == set(card.replies) and all(card.replies.values())
        if not whole or not card.turns or card.turns[-1].role != "user":
            raise DataError(f"{path.name}: card {card.id} lacks its situation or a model's reply.")
    return deck


def deck_json(deck: Deck) -> str:
    """The deck as the text of its file."""
    data: dict[str, Any] = asdict(deck)
    return json.dumps(data, ensure_ascii=False, indent=1) + "\n"


@cache
def paper_deck(place: Path) -> Deck | None:
    """Sixty test dialogues with the recorded replies in `place`; None where none were fetched.

    Raises:
        DataError: a file there is damaged.
    """
    entries = recorded(place)
    names = {name for entry in entries for name in entry.replies}
    usable = [entry for entry in entries if _usable(entry, names)]
    if not usable:
        return None
    chosen = sorted(random.Random(_SEED).sample(range(len(usable)), min(SIZE, len(usable))))
    specs = (HUMAN, *(spec for spec in SYSTEMS.values() if spec.name in names))
    return Deck(
        PAPER,
        "the paper’s recorded replies",
        specs,
        "",
        {},
        None,
        "as-published",
        None,
        tuple(_paper_card(usable[at]) for at in chosen),
    )


def _usable(entry: Recorded, names: set[str]) -> bool:
    """Answered by everybody, nothing too long to read, and no two replies the same."""
    texts = [entry.human, *(entry.replies.get(name, "") for name in sorted(names))]
    said = sum(len(turn.text) for turn in entry.turns)
    fits = said <= _LONGEST and all(0 < len(text.strip()) <= _LONGEST for text in texts)
    return fits and len({text.strip() for text in texts}) == len(texts)


def _paper_card(entry: Recorded) -> Card:
    replies = {HUMAN.name: entry.human.strip()}
    replies |= {name: text.strip() for name, text in entry.replies.items()}
    return Card(f"ed-{entry.number}", entry.emotion, entry.title, entry.turns, replies)
