"""The words for EPITOME's three mechanisms: what a visitor reads, and the field's own term."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from empo.scoring.card import Listener
from empo.types import MECHANISMS, Mechanism, MechanismScore, Scores

STRONGEST = 2
LEVELS = ("none", "weak", "strong")
CAUTION = (
    "More is not better, and one reply proves little. "
    "The scorer learnt from online support threads."
)


@dataclass(frozen=True, slots=True)
class Words:
    """How a mechanism is spoken of: as a question, in a gauge, in a legend, by the field."""

    plain: str
    gauge: str
    key: str
    term: str


WORDS: dict[Mechanism, Words] = {
    "emotional_reaction": Words("How warm", "warm", "warmth", "emotional reactions"),
    "interpretation": Words(
        "How much it understands", "understands", "understanding", "interpretations"
    ),
    "exploration": Words("How curious", "curious", "curiosity", "explorations"),
}


def level_word(expected: float) -> str:
    """The level nearest to an expected level (0..2): none below 0.5, strong from 1.5."""
    return LEVELS[min(STRONGEST, int(expected + 0.5))]


def probabilities(score: MechanismScore) -> str:
    """ "none 12 % · weak 71 % · strong 17 %"."""
    return " · ".join(
        f"{word} {share * 100:.0f} %"
        for word, share in zip(LEVELS, score.probabilities, strict=True)
    )


def gauges(scores: Scores | None, done: bool, listener: Listener | None) -> list[dict[str, Any]]:
    """What the three gauges under a reply show; `share` and `tick` are 0..1 of the strongest.

    `share` None is not measured, or, while the reply is written, not yet (then `word` is empty).
    The page puts `CAUTION` behind every `tip`.
    """
    return [_gauge(name, scores, done, listener) for name in MECHANISMS]


def _gauge(
    name: Mechanism, scores: Scores | None, done: bool, listener: Listener | None
) -> dict[str, Any]:
    words = WORDS[name]
    score = scores.mechanism(name) if scores else None
    tick = listener.expected.get(name) if listener else None
    named = f"{words.plain}: {words.term} (EPITOME)"
    if score is None:
        word = "not measured" if done else ""
        why = " The reply does not look English." if scores and scores.out_of_scope else ""
        tip = f"{named}. {'Not measured' if done else 'Measured when the reply is whole'}.{why}"
    else:
        word = level_word(score.expected)
        tip = f"{named}: {score.expected:.2g} of 2. {probabilities(score)}."
    if tick is not None:
        tip += f" Tick: a typical human listener, {tick:.2g}."
    return {
        "name": words.gauge,
        "word": word,
        "share": None if score is None else round(score.expected / STRONGEST, 3),
        "tick": None if tick is None else round(tick / STRONGEST, 3),
        "tip": tip,
    }


def segments(text: str, scores: Scores | None) -> list[dict[str, Any]]:
    """`text` in pieces, each with the numbers of the mechanisms whose rationale it belongs to.

    The pieces together are `text`, whatever the spans: they are cut to it.
    """
    marked = [
        (number, max(0, start), min(len(text), end))
        for number, name in enumerate(MECHANISMS)
        if scores and (score := scores.mechanism(name))
        for start, end in score.rationale
    ]
    edges = sorted({0, len(text), *(place for _, a, b in marked for place in (a, b) if a < b)})
    return [
        {"text": text[a:b], "why": sorted({n for n, x, y in marked if x <= a and b <= y})}
        for a, b in pairwise(edges)
    ]
