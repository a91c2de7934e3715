"""A vote as the browser sends it, read strictly; the store checks its ranges once more."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from empo.errors import UsageError
from empo.types import RATED, Ballot, Rating


def ballot(data: Mapping[str, Any]) -> Ballot:
    """The vote that the browser sent: a choice, and ratings where they were filled in.

    Raises:
        UsageError: it is none.
    """
    choice, reason = data.get("choice"), data.get("reason") or ""
    if not isinstance(choice, str) or not isinstance(reason, str):
        raise UsageError("A vote is one of: A is better, B is better, tie, both bad.")
    ratings = data.get("ratings")
    sides = ratings if isinstance(ratings, Mapping) else {}
    return Ballot(choice, _rating(sides.get("a")), _rating(sides.get("b")), reason)  # type: ignore[arg-type]


def _rating(data: object) -> Rating | None:
    """Raises UsageError where a rating is not a whole number; its range the store checks."""
    if not isinstance(data, Mapping):
        return None
    values = {name: data.get(name) for name in RATED}
    if any(value is not None and type(value) is not int for value in values.values()):
        raise UsageError("A rating is a whole number from 0 to 100.")
    tick = data.get("consistent")
    return Rating(**values, consistent=tick if isinstance(tick, bool) else None)
