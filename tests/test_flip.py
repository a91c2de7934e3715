"""Votes that flip first place, against brute force over every way to add votes."""

from __future__ import annotations

from itertools import combinations_with_replacement

import numpy as np
import pytest

from empo.arena.flip import strengths, votes_to_flip


def small_set(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A table of a few votes among three or four models, one of which leads."""
    m = int(rng.integers(3, 5))
    strength = rng.normal(0, 0.5, m)
    wins, ties = np.zeros((m, m)), np.zeros((m, m))
    for k in range(m):  # a circle of meetings, so that all are connected
        add(wins, ties, (k, (k + 1) % m))
    for _ in range(int(rng.integers(4, 12))):
        i, j = rng.choice(m, 2, replace=False)
        if rng.random() < 0.15:
            add(wins, ties, (i, j, "tie"))
        else:
            better = rng.random() < 1 / (1 + np.exp(strength[j] - strength[i]))
            add(wins, ties, (i, j) if better else (j, i))
    return wins, ties


def add(wins: np.ndarray, ties: np.ndarray, vote: tuple) -> None:
    i, j = vote[:2]
    if len(vote) == 3:
        ties[i, j] += 1
        ties[j, i] += 1
    else:
        wins[i, j] += 1


def leads_no_more(wins, ties, leader: int, votes) -> bool:
    wins, ties = wins.copy(), ties.copy()
    for vote in votes:
        add(wins, ties, vote)
    now = strengths(wins, ties, bounded=True)
    return np.delete(now, leader).max() >= now[leader] - 1e-7


def any_flip(wins, ties, leader: int, most: int) -> bool:
    """Whether up to `most` votes of any kind, for anybody against anybody, end the lead."""
    m = len(wins)
    kinds = [(i, j) for i in range(m) for j in range(m) if i != j]
    kinds += [(i, j, "tie") for i in range(m) for j in range(i)]
    return any(
        leads_no_more(wins, ties, leader, votes)
        for count in range(most + 1)
        for votes in combinations_with_replacement(kinds, count)
    )


def test_matches_brute_force_on_fifty_small_sets() -> None:
    rng, checked, counts = np.random.default_rng(0), 0, set()
    while checked < 50:
        wins, ties = small_set(rng)
        found = votes_to_flip(wins, ties)
        assert found is not None
        votes, leader, challenger = found
        if votes > 3:  # too many ways to try them all
            continue
        assert not any_flip(wins, ties, leader, votes - 1)
        assert leads_no_more(wins, ties, leader, [(challenger, leader)] * votes)
        counts.add(votes)
        checked += 1
    assert counts >= {1, 2, 3}


@pytest.mark.parametrize(("lead", "needed"), [((5, 3), 2), ((5, 5), 0), ((107, 7), 100)])
def test_two_models_by_hand(lead: tuple[int, int], needed: int) -> None:
    """The second draws level once it has as many wins."""
    wins = np.array([[0.0, lead[0]], [lead[1], 0.0]])
    assert votes_to_flip(wins, np.zeros((2, 2))) == (needed, 0, 1)


def test_an_unbeaten_leader_and_a_lonely_model() -> None:
    wins = np.array([[0.0, 4.0], [0.0, 0.0]])
    assert votes_to_flip(wins, np.zeros((2, 2))) == (4, 0, 1)
    assert votes_to_flip(np.zeros((1, 1)), np.zeros((1, 1))) is None
