"""Voters who vote as hardly anybody else does: flagged and shown, never deleted.

Two questions about each voter, each answered with a one-sided probability under “this voter votes
as the others do”:

- *against the others*: are their votes less likely, by how the other voters judged the same pairs
  of models, than such votes should be? In the manner of Chiang et al. 2024 (“Chatbot Arena”, on
  anomalous users), with Chernoff's bound on the sum of log-probabilities: what is reported is at
  least the true probability, however few the votes.
- *one side*: do they choose one side more often than a fair coin would (exact binomial)?

Holm's correction over all questions keeps the chance that anybody is flagged who votes as the
others do at `LEVEL`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

from empo.arena.votes import A, B, Votes

LEVEL: Final = 0.01
AT_LEAST: Final = 10  # votes with a winner, before anything can be said of a voter
# Half a vote for each outcome that nobody has given yet (Jeffreys).
_PRIOR = 0.5

Reason = Literal["against the others", "one side"]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Outlier:
    """A voter, how many votes with a winner they cast, why they stand out, how probable that is."""

    voter: str
    votes: int
    reason: Reason
    probability: float


def outliers(votes: Votes) -> tuple[Outlier, ...]:
    """The voters of one pool who stand out, least probable first; by name where equal.

    Votes without a winner (ties, both bad) say nothing here.
    """
    rows = np.flatnonzero((votes.outcome == A) | (votes.outcome == B))
    voter = votes.voter[rows]
    counts = np.bincount(voter, minlength=len(votes.voters))
    chosen = votes.outcome[rows] == A
    asked = np.flatnonzero(counts >= AT_LEAST)
    found = [
        *_against(votes, rows, chosen, asked, counts),
        *_one_side(votes, voter, chosen, asked, counts),
    ]
    found.sort(key=lambda outlier: (outlier.probability, outlier.voter))
    kept = []
    for i, outlier in enumerate(found):
        if outlier.probability * (len(found) - i) > LEVEL:
            break
        kept.append(outlier)
    return tuple(kept)


def _against(
    votes: Votes,
    rows: NDArray[np.int64],
    chosen: NDArray[np.bool_],
    asked: NDArray[np.int64],
    counts: NDArray[np.int64],
) -> list[Outlier]:
    m = len(votes.models)
    a, b, voter = votes.model_a[rows], votes.model_b[rows], votes.voter[rows]
    pair = np.minimum(a, b) * m + np.maximum(a, b)
    first = chosen == (a < b)  # the lower of the two names won
    likelihood = _leave_one_out(pair, first, voter)
    bounds = _bounds(likelihood, first, voter, len(votes.voters))
    return [
        Outlier(votes.voters[v], int(counts[v]), "against the others", float(bounds[v]))
        for v in asked
    ]


def _bounds(p: Floats, first: NDArray[np.bool_], voter: NDArray[np.int64], size: int) -> Floats:
    """(size,): at most how probable each voter's sum of log-probabilities, or a lower one, is.

    Chernoff: P(S ≤ s) ≤ E[exp(tS)] exp(-ts) for every t ≤ 0, and a vote that falls with p adds
    ln(p^(1+t) + (1-p)^(1+t)) to ln E[exp(tS)]. The least of a grid of t is taken.
    """
    said = np.bincount(voter, np.log(np.where(first, p, 1 - p)), size)
    logs = [
        np.bincount(voter, np.log(p ** (1 + t) + (1 - p) ** (1 + t)), size) - t * said
        for t in np.linspace(-8, 0, 81)
    ]
    return np.exp(np.min(logs, axis=0))


def _leave_one_out(
    pair: NDArray[np.int64], first: NDArray[np.bool_], voter: NDArray[np.int64]
) -> Floats:
    """(n,): how often, among all other voters' votes on the pair, the first of it won."""
    size = int(pair.max(initial=-1)) + 1
    own = voter * size + pair
    cells, inverse = np.unique(own, return_inverse=True)
    own_votes = np.bincount(inverse, minlength=len(cells))[inverse]
    own_wins = np.bincount(inverse, first, len(cells))[inverse]
    others = np.bincount(pair, minlength=size)[pair] - own_votes
    wins = np.bincount(pair, first, size)[pair] - own_wins
    return (wins + _PRIOR) / (others + 2 * _PRIOR)


def _one_side(
    votes: Votes,
    voter: NDArray[np.int64],
    chosen: NDArray[np.bool_],
    asked: NDArray[np.int64],
    counts: NDArray[np.int64],
) -> list[Outlier]:
    left = np.bincount(voter, chosen, len(votes.voters)).astype(np.int64)
    return [
        Outlier(
            votes.voters[v],
            int(counts[v]),
            "one side",
            float(binomtest(int(left[v]), int(counts[v])).pvalue),
        )
        for v in asked
    ]
