"""Voters who vote as hardly anybody else does: flagged and shown, never deleted.

Two questions about each voter, each answered with a one-sided probability under “this voter votes
as the others do”:

- *against the others*: are their votes less likely, by how the other voters judged the same pairs
  of models, than such votes should be? The sum of log-probabilities is compared with its mean and
  variance (normal approximation), in the manner of Chiang et al. 2024 (“Chatbot Arena”, section on
  anomalous users), but one voter at a time.
- *one side*: do they choose one side more often than a fair coin would (exact binomial)?

Holm's correction over all questions keeps the chance that anybody is flagged who votes as the
others do at `LEVEL`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest, norm

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
    p = np.where(first, likelihood, 1 - likelihood)
    size = len(votes.voters)
    surprise = np.bincount(voter, np.log(p) - _mean(likelihood), size)
    variance = np.bincount(voter, _variance(likelihood), size)
    return [
        Outlier(
            votes.voters[v],
            int(counts[v]),
            "against the others",
            float(norm.cdf(surprise[v] / np.sqrt(variance[v]))),
        )
        for v in asked
        if variance[v] > 0
    ]


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


def _mean(p: Floats) -> Floats:
    """Mean of the log-probability of a vote that falls with probability `p`."""
    return p * np.log(p) + (1 - p) * np.log1p(-p)


def _variance(p: Floats) -> Floats:
    """Variance of the same: p (1 - p) (ln p - ln (1 - p))²."""
    return p * (1 - p) * (np.log(p) - np.log1p(-p)) ** 2


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
