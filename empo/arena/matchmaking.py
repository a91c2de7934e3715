"""Who meets whom: towards what the ranking needs most, never so that it could be guessed."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np

Pair = tuple[str, str]  # two names in alphabetical order

# Half a vote on every model against an average one: without any votes nothing is known, not
# infinitely little, and all pairs are equally likely.
_PRIOR = 0.5
# This share of all battles is drawn evenly, so that no pair ever dries up.
EVEN = 0.1


def pair_of(one: str, other: str) -> Pair:
    """The two as a pair, whichever sat where."""
    return (one, other) if one < other else (other, one)


def gains(models: Sequence[str], votes: Mapping[Pair, int]) -> dict[Pair, float]:
    """How much one more vote on each pair would narrow the ranking, as shares that sum to 1.

    Between models of similar strength a vote adds one to the entry of its pair in the graph's
    Laplacian L, and the variances of the strengths are in proportion to the diagonal of its inverse
    (Bradley and Terry's information matrix). By Sherman and Morrison one more vote on (i, j) takes
    |L⁻¹ e|² / (1 + eᵀ L⁻¹ e) off its trace, with e = e_i - e_j (an A-optimal design).
    """
    index = {name: at for at, name in enumerate(models)}
    laplacian = _PRIOR * np.eye(len(models))
    for (one, other), count in votes.items():
        if one in index and other in index:
            edge = _edge(len(models), index[one], index[other])
            laplacian += count * np.outer(edge, edge)
    inverse = np.linalg.inv(laplacian)
    found = {}
    for one, other in combinations(sorted(models), 2):
        moved = inverse @ (edge := _edge(len(models), index[one], index[other]))
        found[one, other] = float(moved @ moved / (1 + edge @ moved))
    total = sum(found.values())
    return {pair: gain / total for pair, gain in found.items()}


def _edge(size: int, one: int, other: int) -> np.ndarray:
    edge = np.zeros(size)
    edge[one], edge[other] = 1, -1
    return edge


def draw_pair(models: Sequence[str], votes: Mapping[Pair, int], rng: random.Random) -> Pair:
    """A pair of at least two `models`, drawn in proportion to `gains`."""
    shares = gains(models, votes)
    weights = [(1 - EVEN) * share + EVEN / len(shares) for share in shares.values()]
    return rng.choices(list(shares), weights)[0]


def seated(pair: Pair, rng: random.Random) -> tuple[str, str]:
    """The pair on its seats A and B, by the toss of a coin."""
    return pair if rng.random() < 0.5 else (pair[1], pair[0])
