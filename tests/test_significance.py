"""Sign-flip tests, Holm's correction, and human replies in the wrong place."""

from __future__ import annotations

import math

import numpy as np
import pytest

from empo.metrics.shuffles import length_matched, shuffled
from empo.metrics.significance import holm, sign_flip


def test_sign_flip_is_the_share_of_flips_as_far_out() -> None:
    """Four differences of 1: only + + + + and − − − − reach 4, 2 of 16."""
    p = sign_flip(np.ones((4, 1)), flips=20_000)[0]
    assert p == pytest.approx(2 / 16, abs=0.01)
    assert sign_flip(np.ones((4, 1)), flips=1000)[0] == sign_flip(np.ones((4, 1)), flips=1000)[0]


def test_sign_flip_leaves_missing_pairs_out() -> None:
    columns = np.array([[1, 1, math.nan], [1, math.nan, math.nan], [1, 1, math.nan], [1, -1, 0]])
    columns[3, 2] = math.nan
    p = sign_flip(columns, flips=5000)
    assert p[0] == pytest.approx(2 / 16, abs=0.02)
    assert p[1] == pytest.approx(1.0)  # 1, 1, −1: every flip is at least as far out
    assert math.isnan(p[2])


def test_sign_flip_finds_what_is_there_and_not_what_is_not() -> None:
    generator = np.random.default_rng(0)
    noise = generator.normal(size=(500, 200))
    null = sign_flip(noise, flips=2000)
    assert 0.01 < (null < 0.05).mean() < 0.1
    assert sign_flip(noise[:, :1] + 0.5, flips=2000)[0] < 0.001


def test_holm_worked_by_hand() -> None:
    """.01, .04, .03 of three: 3 × .01, then 2 × .03, then 1 × .04 raised to .06."""
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.6, 0.9]) == [1.0, 1.0]
    assert holm([]) == []


def test_shuffled_moves_every_place_and_uses_each_once() -> None:
    found = shuffled(50, 3)
    assert sorted(found) == list(range(50)) and all(i != j for i, j in enumerate(found))
    assert found == shuffled(50, 3) != shuffled(50, 4)


def test_length_matched_takes_the_nearest_of_another() -> None:
    lengths = [3, 3, 9, 20]
    found = length_matched([3, 8, 9, 15], lengths)
    assert found[0] == 1, "its own reply is as long, but another's is taken"
    assert found[1] == 2
    assert found[2] in (0, 1), "9 is its own: 3 is nearer to 9 than 20 is"
    assert found[3] == 2, "20 is its own"
    assert length_matched([5], [5]) == [0]


def test_length_matched_uses_each_once_while_there_are_enough() -> None:
    found = length_matched([4] * 6, [4] * 6, 1)
    assert all(i != j for i, j in enumerate(found))
    assert len(set(found)) >= 5
