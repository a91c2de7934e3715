"""Ways to make preference pairs: a map of opposites and a sampler, under one name.

What each teaches is measured by `python -m empo pairs --report`; the names are those of the
command line and of the Train tab.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from empo.data.opposites import PAPER, POLARITY
from empo.errors import UsageError

Sampler = Literal["random", "balanced", "hard", "same-situation"]
SAMPLERS: tuple[Sampler, ...] = get_args(Sampler)
MIX = "mix"


@dataclass(frozen=True, slots=True)
class Strategy:
    """`title` for a picker, `about` in one sentence; `map` is a name of `opposites.MAPS`."""

    name: str
    map: str
    sampler: Sampler
    title: str
    about: str


_ALL = (
    Strategy(
        "paper",
        PAPER,
        "random",
        "As in the paper",
        "The rejected reply is drawn at random from the dialogues of the opposite emotion, by the "
        "paper's map.",
    ),
    Strategy(
        "balanced",
        POLARITY,
        "balanced",
        "Balanced",
        "Opposites always flip from pleasant to unpleasant or back, and each reply of the smaller "
        "class is used once, so that no reply becomes known as a bad one.",
    ),
    Strategy(
        "hard",
        POLARITY,
        "hard",
        "Hard",
        "The opposite emotion, but a situation like the prompt's: the topic alone does not tell "
        "which reply was meant.",
    ),
    Strategy(
        "same-situation",
        POLARITY,
        "same-situation",
        "Same situation",
        "A later reply of the same listener in the same dialogue: right about the topic, but no "
        "answer to this turn.",
    ),
)
STRATEGIES: dict[str, Strategy] = {strategy.name: strategy for strategy in _ALL}
DEFAULT_MIX: dict[str, float] = {"balanced": 0.4, "hard": 0.4, "same-situation": 0.2}
MIX_TITLE = "A mix"
MIX_ABOUT = "Some pairs of each kind, in proportions that you give; each pair keeps its origin."
PRESETS: tuple[str, ...] = (*STRATEGIES, MIX)


def strategy(name: str) -> Strategy:
    """The strategy called `name`; `mix` is none, but several in proportions.

    Raises:
        UsageError: there is no such strategy.
    """
    if name not in STRATEGIES:
        raise UsageError(f"There is no strategy “{name}”; choose one of {', '.join(PRESETS)}.")
    return STRATEGIES[name]


def read_mix(text: str) -> dict[str, float]:
    """`"paper=1,hard=3"` as shares that add up to 1: {"paper": 0.25, "hard": 0.75}.

    Raises:
        UsageError: an unknown strategy, one named twice, or a share that is no number above 0.
    """
    shares: dict[str, float] = {}
    for part in text.split(","):
        name, _, value = (piece.strip() for piece in part.partition("="))
        strategy(name)
        try:
            share = float(value)
        except ValueError:
            share = -1.0
        if name in shares or not 0 < share < 1e6:
            raise UsageError(f"The mix “{text[:80]}” is wrong: write it as paper=0.5,hard=0.5.")
        shares[name] = share
    return normalised(shares)


def normalised(shares: Mapping[str, float]) -> dict[str, float]:
    """`shares` scaled to add up to 1; those of 0 are left out.

    Raises:
        UsageError: none is above 0.
    """
    total = sum(shares.values())
    if total <= 0:
        raise UsageError("A mix needs at least one strategy with a share above 0.")
    return {name: share / total for name, share in shares.items() if share > 0}
