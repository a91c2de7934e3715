"""Makes the deck of recorded replies: every situation, answered by every model of a stack."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from empo.compare import compare
from empo.data.deck import Card, Deck, deck_json
from empo.data.situations import Situation
from empo.errors import EmpoError
from empo.models.engine import Engine
from empo.models.fingerprint import base_revision, short_hashes
from empo.types import ModelSpec, Sampling, Turn

ATTEMPTS = 8


def make_deck(
    engine: Engine,
    situations: Sequence[Situation],
    sampling: Sampling,
    report: Callable[[int], None] = lambda done: None,
) -> Deck:
    """The situations answered by all models of the engine's stack; `report` hears how many are.

    The card number n (from 0) is sampled with seed `sampling.seed + n`; where a reply is empty or
    two are the same, there is nothing to choose between, and further seeds are tried.

    Raises:
        EmpoError: a situation stays without replies that differ; names it.
    """
    stack = engine.stack
    cards = []
    for number, situation in enumerate(situations):
        cards.append(_card(engine, stack.models, situation, sampling, number, len(situations)))
        report(number + 1)
    return Deck(
        stack.name,
        stack.title,
        tuple(ModelSpec(m.name, m.label, m.plain, m.stage) for m in stack.models),
        base_revision(stack),
        short_hashes(stack),
        engine.quantisation,
        stack.prompt,
        sampling,
        tuple(cards),
    )


def _card(
    engine: Engine,
    specs: Sequence[ModelSpec],
    situation: Situation,
    sampling: Sampling,
    number: int,
    stride: int,
) -> Card:
    turns = (Turn("user", situation.text),)
    for attempt in range(ATTEMPTS):
        drawn = replace(sampling, seed=sampling.seed + number + attempt * stride)
        found: dict[str, str] = {}
        for step in compare(engine, [turns] * len(specs), specs, drawn, engine.stack.prompt):
            found |= {specs[row].name: reply.text.strip() for row, reply in step.replies.items()}
        texts = [found[spec.name] for spec in specs]
        if all(texts) and len(set(texts)) == len(texts):
            name = f"{situation.emotion}-{number + 1}"
            replies = dict(zip((spec.name for spec in specs), texts, strict=True))
            return Card(name, situation.emotion, situation.title, turns, replies)
    raise EmpoError(f"The situation “{situation.title}” gets no replies that differ; reword it.")


def write_deck(deck: Deck, path: Path) -> None:
    """Write the deck's file beside and put it in place, so that there is never half of one."""
    beside = path.with_suffix(".part")
    beside.write_text(deck_json(deck), "utf-8")
    beside.replace(path)
