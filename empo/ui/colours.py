"""One colour per model, the same everywhere: Okabe and Ito's, safe for colour-blind eyes."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from empo.models.dial import dial_position
from empo.types import Stage

USER = "#4A453F"
_STAGES: dict[str, str] = {
    "base": "#0072B2",
    "sft": "#E69F00",
    "dpo": "#009E73",
    "human": "#8C8279",
}
_FURTHER = ("#CC79A7", "#56B4E9", "#D55E00")
NO_MODEL = "#8C8279"


def colours(models: Iterable[tuple[str, Stage]]) -> dict[str, str]:
    """Model name → colour. The first model of a stage gets the stage's colour, others the rest.

    With more models than colours the further ones repeat; their names still tell them apart.
    """
    found: dict[str, str] = {}
    taken: set[str] = set()
    for name, stage in models:
        colour = _STAGES.get(stage)
        if colour is None or colour in taken:
            free = [c for c in _FURTHER if c not in taken]
            colour = free[0] if free else _FURTHER[len(found) % len(_FURTHER)]
        found[name] = colour
        taken.add(colour)
    return found


def dial_colour(name: str, taken: Collection[str] = ()) -> str | None:
    """The colour of a place on the dial, of those that are left; None where `name` is no dial.

    It depends on the place alone, so that it stays over a conversation: one colour each from 0 to
    below 0.5, to below 1, and from there on.
    """
    position = dial_position(name)
    if position is None:
        return None
    free = [colour for colour in _FURTHER if colour not in taken] or list(_FURTHER)
    return free[min(int(position * 2), 2) % len(free)]
