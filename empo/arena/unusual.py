"""Voters who nearly always vote the same, unlike the others: shown beside a ranking, never left out
of it silently.

If a voter's votes were like those of the others, how often would they prefer a model as seldom, or
as often, as they did? The others' votes on the same pairs of models give the share to expect; the
number of a voter's wins for a model is then beta-binomial around it, with a uniform prior, so that
few votes of others excuse much. The same is asked about the left seat. All these questions
together are judged at a false discovery rate of 5 % (Benjamini and Hochberg, J. R. Stat. Soc. B 57,
1995). People's tastes do differ, so only who says the same in nine of ten votes is named. To hold
each voter against the others' votes on the same pairs is the idea of Chiang et al. 2024 (Chatbot
Arena, arXiv 2403.04132, “Detecting anomalous users”). Ties and “both bad” take no part.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import stats

from empo.arena.bradley_terry import Cells, Floats
from empo.arena.votes import A, B, Votes

RATE = 0.05  # false discoveries
ALWAYS = 0.9  # who says something else more often than this leaves has a taste, and is welcome
FEWEST = 8  # votes with a winner before anything is said of a voter
# One voter with so much of at least so many votes is worth knowing, whatever they voted.
MANY, OF_AT_LEAST = 0.2, 50

Kind = Literal["for", "against", "left", "right", "many"]


@dataclass(frozen=True, slots=True)
class Unusual:
    """A voter, and what is unusual: `count` of `total` votes, where others' share is `expected`.

    “for”, “against”: votes for (against) `model`, of those with a winner that it took part in;
    “left”, “right”: votes for that seat; “many”: this voter's of all votes. `p` is None for “many”.
    """

    voter: str
    kind: Kind
    model: str | None
    count: int
    total: int
    expected: float
    p: float | None


def unusual_voters(votes: Votes, cells: Cells) -> tuple[Unusual, ...]:
    """One entry for each voter who stands out, by its strongest sign; strongest first.

    `cells` are the `plain_cells` of `votes`.
    """
    found = [*_by_model(votes, cells), *_by_seat(votes)]
    kept = _discoveries(found)
    best: dict[str, Unusual] = {}
    for entry in sorted(kept, key=_strength):
        best.setdefault(entry.voter, entry)
    for entry in _many(votes):
        best.setdefault(entry.voter, entry)
    return tuple(best.values())


def _strength(entry: Unusual) -> tuple[float, int, str, str]:
    """Strongest first; of two models that only met each other, the one that is voted for."""
    return float(f"{entry.p or 0:.6g}"), entry.kind != "for", entry.voter, entry.model or ""


def _by_model(votes: Votes, cells: Cells) -> list[Unusual | None]:
    """An answer for each voter and model with enough votes; None: as others, or now so, now so."""
    m = cells.models
    pair = cells.first * m + cells.second
    others = [np.bincount(pair, x, m * m)[pair] - x for x in (cells.wins, cells.losses)]
    # Both sides of each cell: the model, the voter's wins for it, the votes, the others' counts.
    model = np.concatenate([cells.first, cells.second])
    wins = np.concatenate([cells.wins, cells.losses])
    total = np.tile(cells.wins + cells.losses, 2)
    ahead, behind = (np.concatenate(x) + 1 for x in (others, others[::-1]))
    rows = (total, wins, total * ahead / (ahead + behind), ahead + behind)
    size = len(votes.voters) * m
    sums = [np.bincount(np.tile(cells.voter, 2) * m + model, row, size) for row in rows]
    return [
        entry and _entry(votes.voters[at // m], votes.models[at % m], *entry)
        for at, entry in _judged(*sums)
    ]


def _by_seat(votes: Votes) -> list[Unusual | None]:
    decided, size = votes.outcome <= B, len(votes.voters)
    left = np.bincount(votes.voter[decided & (votes.outcome == A)], minlength=size).astype(float)
    total = np.bincount(votes.voter[decided], minlength=size).astype(float)
    others = total.sum() - total + 2
    expected = total * (left.sum() - left + 1) / others
    return [
        entry and _entry(votes.voters[at], None, *entry)
        for at, entry in _judged(total, left, expected, others)
    ]


def _entry(
    voter: str, model: str | None, won: int, total: int, expected: float, p: float
) -> Unusual:
    if won > expected * total:
        return Unusual(voter, "for" if model else "left", model, won, total, expected, p)
    kind: Kind = "against" if model else "right"
    return Unusual(voter, kind, model, total - won, total, 1 - expected, p)


def _judged(
    total: Floats, won: Floats, expected: Floats, sure: Floats
) -> list[tuple[int, tuple[int, int, float, float] | None]]:
    """For each index with enough votes (won, votes, expected share, p), if it is always the same.

    `total`, `won` and the `expected` wins (n,); `sure` (n,) is on how many votes of others, and two
    of the prior, the expectation rests.
    """
    asked = np.flatnonzero(total >= FEWEST)
    total, won, expected, sure = (x[asked] for x in (total, won, expected, sure))
    share = expected / total
    a, b = share * sure, (1 - share) * sure
    low, high = stats.betabinom.cdf(won, total, a, b), stats.betabinom.sf(won - 1, total, a, b)
    p = np.minimum(1, 2 * np.minimum(low, high))
    same = np.where(won > expected, won, total - won) >= ALWAYS * total
    return [
        (int(at), (int(won[i]), int(total[i]), float(share[i]), float(p[i])) if same[i] else None)
        for i, at in enumerate(asked)
    ]


def _discoveries(found: list[Unusual | None]) -> list[Unusual]:
    """Those that hold with RATE among all questions asked; what is None counts as asked."""
    far = sorted((entry for entry in found if entry), key=_strength)
    limits = [RATE * (rank + 1) / len(found) for rank in range(len(far))]
    passed = [i for i, entry in enumerate(far) if (entry.p or 0.0) <= limits[i]]
    return far[: passed[-1] + 1] if passed else []


def _many(votes: Votes) -> list[Unusual]:
    n, counts = len(votes), np.bincount(votes.voter, minlength=1)
    if n < OF_AT_LEAST or np.count_nonzero(counts) < 2:
        return []
    even = 1 / int(np.count_nonzero(counts))
    return [
        Unusual(votes.voters[at], "many", None, int(counts[at]), n, even, None)
        for at in np.argsort(-counts, kind="stable")
        if counts[at] > max(MANY, 2 * even) * n
    ]
