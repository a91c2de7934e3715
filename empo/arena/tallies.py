"""What can be counted from votes without a model: who beat whom, where, and against what."""

from __future__ import annotations

from typing import Any

import numpy as np

from empo.arena.clusters import share
from empo.arena.votes import BOTH_BAD, TIE, A, B, Votes


def win_matrix(votes: Votes) -> dict[str, Any]:
    """`{"models", "wins", "ties", "rate"}`: lists of lists (m, m), row against column.

    `rate` = (wins + ties / 2) / votes of the pair; None where the two never met.
    """
    m = len(votes.models)
    index = votes.model_a * m + votes.model_b
    left, right, tied = (
        np.bincount(index[votes.outcome == x], minlength=m * m).reshape(m, m) for x in (A, B, TIE)
    )
    wins, ties = left + right.T, tied + tied.T
    met = wins + wins.T + ties
    rate = (wins + ties / 2) / np.maximum(met, 1)
    rows = [
        [float(x) if n else None for x, n in zip(*row, strict=True)]
        for row in zip(rate, met, strict=True)
    ]
    return {
        "models": list(votes.models),
        "wins": wins.tolist(),
        "ties": ties.tolist(),
        "rate": rows,
    }


def both_bad(votes: Votes) -> dict[str, Any]:
    """`{"votes", "share", "low", "high", "models": [{"model", "both_bad", "battles", "share"}]}`.

    `votes` is how many votes said “both bad”; the shares are of all votes (of that model).
    """
    bad = votes.outcome == BOTH_BAD
    overall = share(bad.astype(float), votes.voter)
    rows = []
    for i, name in enumerate(votes.models):
        here = (votes.model_a == i) | (votes.model_b == i)
        count, battles = int((here & bad).sum()), int(here.sum())
        rows.append(
            {"model": name, "both_bad": count, "battles": battles, "share": count / battles}
        )
    overall["votes"] = int(bad.sum())
    return {**overall, "models": rows}


def position_bias(votes: Votes) -> dict[str, float | int | None]:
    """How often the reply on the left (model_a) wins among votes that have a winner.

    As `share`. 0.5 is no bias where seats are drawn at random.
    """
    decided = (votes.outcome == A) | (votes.outcome == B)
    return share((votes.outcome[decided] == A).astype(float), votes.voter[decided])


def score_agreement(votes: Votes) -> dict[str, dict[str, float | int | None]]:
    """For each empathy score: how often the reply that scored higher won, as `share`.

    Votes with a winner and unequal scores only; 0.5 is no agreement at all.
    """
    decided = (votes.outcome == A) | (votes.outcome == B)
    out = {}
    for name, pair in votes.scores.items():
        lead = pair[:, 0] - pair[:, 1]
        rows = decided & ~np.isnan(lead) & (lead != 0)
        agreed = (lead[rows] > 0) == (votes.outcome[rows] == A)
        out[name] = share(agreed.astype(float), votes.voter[rows])
    return out


def emotion_wins(votes: Votes) -> dict[str, dict[str, dict[str, float | int]]]:
    """emotion → model → `{"wins", "losses", "ties", "votes", "rate"}`, for votes with an emotion.

    `rate` = (wins + ties / 2) / votes. Votes “both bad” are left out.
    """
    m, size = len(votes.models), len(votes.emotions) * len(votes.models)
    counts = np.zeros((3, size), dtype=np.int64)  # wins, losses, ties
    for side, won, lost in ((votes.model_a, A, B), (votes.model_b, B, A)):
        for k, outcome in enumerate((won, lost, TIE)):
            rows = (votes.outcome == outcome) & (votes.emotion >= 0)
            counts[k] += np.bincount(votes.emotion[rows] * m + side[rows], minlength=size)
    out: dict[str, dict[str, dict[str, float | int]]] = {}
    for at in np.flatnonzero(counts.sum(axis=0)):
        wins, losses, ties = (int(x) for x in counts[:, at])
        total = wins + losses + ties
        cell = {"wins": wins, "losses": losses, "ties": ties, "votes": total}
        cell["rate"] = (wins + ties / 2) / total
        out.setdefault(votes.emotions[at // m], {})[votes.models[at % m]] = cell
    return out
