"""Whose replies do voters prefer? A plain share for each model, for one voter or for all."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from empo.arena.votes import BOTH_BAD, TIE, A, B, Votes

# So many votes make a taste worth showing.
ENOUGH = 10


@dataclass(frozen=True, slots=True)
class Taste:
    """A model's battles that had an answer, and the share of them it won (a tie is half a win)."""

    model: str
    battles: int
    share: float | None


def tastes(votes: Votes) -> dict[str, Taste]:
    """By model, in the order of their names; `share` None where a model was in no battle.

    “Both bad” is no answer to which of the two is better, and is left out.
    """
    decided = votes.outcome != BOTH_BAD
    half = 0.5 * (votes.outcome == TIE)
    size = len(votes.models)
    wins = np.zeros(size)
    battles = np.zeros(size, dtype=np.int64)
    for seat, side in ((votes.model_a, A), (votes.model_b, B)):
        points = (votes.outcome == side) + half
        wins += np.bincount(seat[decided], points[decided], size)
        battles += np.bincount(seat[decided], minlength=size)
    return {
        name: Taste(name, int(n), float(won / n) if n else None)
        for name, n, won in zip(votes.models, battles, wins, strict=True)
    }
