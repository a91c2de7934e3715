"""One sentence that says how the replies of a turn differ, made from their figures alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from statistics import mean

from empo.conversation import Answer, Exchange
from empo.scoring.card import Listener
from empo.types import MECHANISMS, Mechanism

ABOUT_AS = 0.3
"""Differences of expected levels (0..2) below this are called "about as": the scorer's levels are
uncertain by more than that for a single reply, so smaller ones say nothing."""

_MORE: dict[Mechanism, tuple[str, str]] = {
    "emotional_reaction": ("is warmer", "are warmer"),
    "interpretation": ("shows more understanding", "show more understanding"),
    "exploration": ("asks more", "ask more"),
}
_HUMAN: dict[Mechanism, tuple[str, str, str]] = {
    "emotional_reaction": (
        "is usually less warm than",
        "is usually about as warm as",
        "is usually warmer than",
    ),
    "interpretation": (
        "usually shows less understanding than",
        "usually shows about as much understanding as",
        "usually shows more understanding than",
    ),
    "exploration": (
        "usually asks less than",
        "usually asks about as much as",
        "usually asks more than",
    ),
}

Levels = Mapping[Mechanism, float]
Names = tuple[str, ...]


def sentence(exchange: Exchange, listener: Listener | None = None) -> str:
    """What differs between the replies of `exchange`; "" while none of them is whole."""
    whole = [answer for answer in exchange.answers if answer.reply]
    if not whole:
        return ""
    measured = [(given.label, found) for given in whole if (found := _levels(given))]
    if not measured:
        if any(given.scores and given.scores.out_of_scope for given in whole):
            return "The replies do not look English, so how they empathise is not measured."
        return "How these replies empathise was not measured."
    human = listener.expected if listener else {}
    if len(measured) == 1:
        return _alone(*measured[0], human)
    return _together(_distinct(measured), human)


def _levels(answer: Answer) -> dict[Mechanism, float]:
    scores = answer.scores
    if scores is None:
        return {}
    return {name: s.expected for name in MECHANISMS if (s := scores.mechanism(name))}


def _distinct(measured: Sequence[tuple[str, Levels]]) -> list[tuple[str, Levels]]:
    """Names told apart where a model answers in two columns: "SFT", "SFT (2)"."""
    seen: dict[str, int] = {}
    found = []
    for label, levels in measured:
        seen[label] = seen.get(label, 0) + 1
        found.append((label if seen[label] == 1 else f"{label} ({seen[label]})", levels))
    return found


def _together(measured: Sequence[tuple[str, Levels]], human: Levels) -> str:
    clauses: dict[tuple[Names, Names], list[Mechanism]] = {}
    for name in MECHANISMS:
        there = [(label, levels[name]) for label, levels in measured if name in levels]
        if groups := _split(there):
            clauses.setdefault(groups, []).append(name)
    if not clauses:
        return "The replies are about as warm, as understanding and as curious as one another."
    said = [
        f"{_listed(most)} {_listed([_MORE[n][len(most) > 1] for n in names])} than {_listed(least)}"
        for (most, least), names in clauses.items()
    ]
    text = f"In this turn {', and '.join(said)}"
    (most, _), (name, *_) = next(iter(clauses.items()))
    if name in human:
        level = mean(levels[name] for label, levels in measured if label in most)
        text += f"; a human listener {_compared(name, human[name], level)} {_listed(most)}"
    return f"{text}."


def _split(there: Sequence[tuple[str, float]]) -> tuple[Names, Names] | None:
    """Those above and those below the widest gap between neighbours, in the columns' order.

    Where no gap is worth a word but the ends are that far apart, the ends; None: all about equal.
    """
    ranked = sorted(there, key=lambda pair: -pair[1])
    if ranked[0][1] - ranked[-1][1] < ABOUT_AS:
        return None
    gap, least_above = max((a[1] - b[1], a[1]) for a, b in pairwise(ranked))
    if gap < ABOUT_AS:
        return (ranked[0][0],), (ranked[-1][0],)
    above = tuple(label for label, level in there if level >= least_above)
    return above, tuple(label for label, level in there if level < least_above)


def _alone(label: str, levels: Levels, human: Levels) -> str:
    """One voice has nobody beside it but the typical human listener."""
    if not human:
        return f"{label} answers alone: add a column to see what differs."
    name = max(levels, key=lambda n: abs(levels[n] - human[n]))
    return f"A human listener {_compared(name, human[name], levels[name])} {label}."


def _compared(name: Mechanism, human: float, level: float) -> str:
    less, same, more = _HUMAN[name]
    if abs(human - level) < ABOUT_AS:
        return same
    return more if human > level else less


def _listed(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
