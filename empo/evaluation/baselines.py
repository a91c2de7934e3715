"""What stands beside every score, so that it can be read: systems that understand nothing.

- *constant-0* and *majority*: the same levels for every reply, whatever was said;
- *human*: the listener who was there, and *shuffled human*: the reply of another dialogue;
- *length-matched NAME*: human replies of other dialogues, as long as the system's own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from empo.data.recorded import Levels
from empo.evaluation.measure import OTHER_ENCODER, Columns, Meters, as_array, level_columns, measure
from empo.evaluation.request import Item, System
from empo.metrics.diff_epitome import majority
from empo.metrics.shuffles import length_matched, shuffled
from empo.metrics.words import words

CONSTANT, MAJORITY, HUMAN, SHUFFLED = "constant-0", "majority", "human", "shuffled human"
MATCHED = "length-matched "
NO_WORDS = "A constant level has no words."
SAME = "The human reply is what the others are held against."


@dataclass(slots=True)
class Baseline:
    """A system that was not asked: its replies (None: it has levels only) and columns."""

    name: str
    replies: list[str | None]
    columns: Columns
    why: dict[str, str]
    without: dict[str, str] = field(default_factory=dict)
    """Metrics that mean nothing for it, and why."""

    def compared(self) -> Columns:
        """The columns that mean something."""
        return {k: v for k, v in self.columns.items() if k.split(".")[0] not in self.without}


def baselines(
    meters: Meters,
    items: Sequence[Item],
    systems: Sequence[System],
    stored: bool,
    tell: Callable[[float], None],
) -> list[Baseline]:
    """All baselines of `systems`; none where no human has answered.

    `stored`: levels come with the human replies, and go along with them to another place.
    """
    places = [i for i, item in enumerate(items) if item.human is not None]
    if not places:
        return []
    found = _constants(meters, items)
    plans: list[tuple[str, dict[int, int]]] = [(HUMAN, {i: i for i in places})]
    if len(places) > 1:
        seed = meters.request.seed
        moved = shuffled(len(places), seed)
        plans.append((SHUFFLED, {i: places[j] for i, j in zip(places, moved, strict=True)}))
        plans += [(MATCHED + s.name, _matched(items, s, places, seed)) for s in systems]
    for n, (name, source) in enumerate(plans):
        replies = [items[source[i]].human if i in source else None for i in range(len(items))]
        levels = [items[source[i]].human_levels if i in source else None for i in range(len(items))]
        columns = measure(meters, items, replies, levels if stored or name == HUMAN else None)
        found.append(Baseline(name, replies, columns, {}))
        tell((n + 1) / len(plans))
    human = next(b for b in found if b.name == HUMAN)
    human.without = dict.fromkeys(("diff_epitome", "kappa", "bertscore_f1", OTHER_ENCODER), SAME)
    return found


def _constants(meters: Meters, items: Sequence[Item]) -> list[Baseline]:
    """Constant levels: their differences are those of a system that always has them."""
    human = human_levels(items)
    if not {"diff_epitome", "level", "kappa"} & set(meters.request.metrics):
        return []
    if np.isnan(human).all(0).any():
        return []
    found = []
    for name, levels in ((CONSTANT, (0, 0, 0)), (MAJORITY, majority(human))):
        same = np.broadcast_to(np.array(levels, float), human.shape).copy()
        same[np.isnan(human)] = np.nan
        why = dict.fromkeys(meters.request.metrics, NO_WORDS)
        found.append(Baseline(name, [None] * len(items), level_columns(same, human), why))
    return found


def human_levels(items: Sequence[Item]) -> np.ndarray:
    """(items, 3) levels of the human replies, nan where not known."""
    return as_array([item.human_levels for item in items])


def as_levels(row: np.ndarray) -> Levels | None:
    """A row of levels as plain numbers; None where one is not known."""
    if np.isnan(row).any():
        return None
    first, second, third = (int(value) for value in row)
    return first, second, third


def _matched(
    items: Sequence[Item], system: System, places: Sequence[int], seed: int
) -> dict[int, int]:
    """Place → the place whose human reply stands in for the system's."""
    own = [i for i in places if system.replies[i] is not None]
    lengths = [words(items[i].human or "") for i in own]
    wanted = [words(system.replies[i] or "") for i in own]
    chosen = length_matched(wanted, lengths, seed)
    return {i: own[j] for i, j in zip(own, chosen, strict=True)}
