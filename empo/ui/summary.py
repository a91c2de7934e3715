"""One sentence that says how the replies of a turn differ, made from their figures alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from empo.conversation import Answer, Exchange
from empo.scoring.card import Listener
from empo.types import MECHANISMS, Mechanism

ABOUT_AS = 0.3
"""Differences of expected levels (0..2) below this are called "about as": the scorer's levels are
uncertain by more than that for a single reply, so smaller ones say nothing."""

_MORE: dict[Mechanism, str] = {
    "emotional_reaction": "is warmer",
    "interpretation": "shows more understanding",
    "exploration": "asks more",
}
_HUMAN: dict[Mechanism, tuple[str, str, str]] = {
    "emotional_reaction": ("is usually less warm", "is usually about as warm", "is usually warmer"),
    "interpretation": (
        "usually shows less understanding",
        "usually shows about as much understanding",
        "usually shows more understanding",
    ),
    "exploration": ("usually asks less", "usually asks about as much", "usually asks more"),
}

Levels = Mapping[Mechanism, float]


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
    clauses: dict[tuple[str, str], list[Mechanism]] = {}
    for name in MECHANISMS:
        there = [(levels[name], label) for label, levels in measured if name in levels]
        most, least = max(there, key=_first), min(there, key=_first)
        if most[0] - least[0] >= ABOUT_AS:
            clauses.setdefault((most[1], least[1]), []).append(name)
    if not clauses:
        return "The replies are about as warm, as understanding and as curious as one another."
    said = [
        f"{most} {_listed([_MORE[name] for name in names])} than {least}"
        for (most, least), names in clauses.items()
    ]
    text = f"In this turn {', and '.join(said)}"
    (most, _), names = next(iter(clauses.items()))
    if names[0] in human:
        level = dict(measured)[most][names[0]]
        whose = "" if len(clauses) == 1 else f" compared with {most}"
        text += f"; a human listener {_compared(names[0], human[names[0]], level)}{whose}"
    return f"{text}."


def _alone(label: str, levels: Levels, human: Levels) -> str:
    """One voice has nobody beside it but the typical human listener."""
    if not human:
        return f"{label} answers alone: add a column to see what differs."
    name = max(levels, key=lambda n: abs(levels[n] - human[n]))
    return f"Beside {label}, a human listener {_compared(name, human[name], levels[name])}."


def _compared(name: Mechanism, human: float, level: float) -> str:
    less, same, more = _HUMAN[name]
    if abs(human - level) < ABOUT_AS:
        return same
    return more if human > level else less


def _first(pair: tuple[float, str]) -> float:
    return pair[0]


def _listed(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
