"""How many votes would flip first place: how easily a few people could change the ranking."""

from __future__ import annotations

import numpy as np

from empo.arena import bradley_terry
from empo.arena.bradley_terry import Cells, Floats
from empo.arena.maximum import fit_or_prior, is_bounded
from empo.arena.ratings import MOST_VOTES

# Ratings closer than this (in logarithms) are the same rating.
_SAME = 1e-7


def table(cells: Cells) -> tuple[Floats, Floats]:
    """`wins` (m, m), row over column, and `ties` (m, m), symmetric, over all voters."""
    m, index = cells.models, cells.first * cells.models + cells.second
    ahead, behind, tied = (
        np.bincount(index, x, m * m).reshape(m, m) for x in (cells.wins, cells.losses, cells.ties)
    )
    return ahead + behind.T, tied + tied.T


def strengths(wins: Floats, ties: Floats, bounded: bool = False) -> Floats:
    """Strengths (m,) from a table of wins and ties whose comparison graph is connected.

    `bounded`: the likelihood is known to have a maximum; it keeps it whatever votes are added.
    """
    cells = _cells(wins, ties)
    return (bradley_terry.fit(cells) if bounded else fit_or_prior(cells)[0]).strength


def votes_to_flip(wins: Floats, ties: Floats) -> tuple[int, int, int] | None:
    """(votes, leader, challenger): the fewest further votes that end the lead of the first.

    The votes are those that serve a challenger best among votes between the two: it beats the
    leader, again and again, until somebody's rating is at least the leader's. 0 if first place is
    shared as it is; None if there is one model only, or a million votes are not enough.
    """
    if len(wins) < 2:
        return None
    now = strengths(wins, ties)
    bounded = is_bounded(_cells(wins, ties))
    order = np.argsort(-now, kind="stable")
    leader = int(order[0])
    if now[order[1]] >= now[leader] - _SAME:
        return 0, leader, int(order[1])
    best: tuple[int, int, int] | None = None
    for challenger in (int(i) for i in order[1:]):
        limit = MOST_VOTES if best is None else best[0] - 1
        if limit >= 1 and (votes := _fewest(wins, ties, leader, challenger, limit, bounded)):
            best = votes, leader, challenger
    return best


def _fewest(
    wins: Floats, ties: Floats, leader: int, challenger: int, limit: int, bounded: bool
) -> int | None:
    """The fewest of 1..limit votes for `challenger` that end the lead, or None."""

    def flips(votes: int) -> bool:
        after = wins.copy()
        after[challenger, leader] += votes
        now = strengths(after, ties, bounded)
        others = np.delete(now, leader)
        return bool(others.max() >= now[leader] - _SAME)

    if limit < MOST_VOTES and not flips(limit):  # another challenger does it with fewer
        return None
    low, high = 0, 1
    while high < limit and not flips(high):
        low, high = high, high * 2
    high = min(high, limit)
    if high == MOST_VOTES and not flips(high):
        return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if flips(middle) else (middle, high)
    return high


def _cells(wins: Floats, ties: Floats) -> Cells:
    i, j = np.triu_indices(len(wins), 1)
    met = wins[i, j] + wins[j, i] + ties[i, j] > 0
    i, j = i[met], j[met]
    counts = (wins[i, j], wins[j, i], ties[i, j])
    nobody = np.zeros(len(i), dtype=np.int64)
    return bradley_terry.Cells(len(wins), i, j, *counts, nobody, np.zeros((len(i), 0)))
