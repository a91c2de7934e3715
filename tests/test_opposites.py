"""The two maps of opposites: the paper's as published, and the involution that flips polarity."""

from __future__ import annotations

import pytest

from empo.data.emotions import EMOTIONS, PAPER_OPPOSITE
from empo.data.opposites import (
    MAPS,
    OPPOSITIONS,
    POLARITY_OPPOSITE,
    flips,
    opposite_map,
    reason,
)
from empo.errors import UsageError


def test_the_polarity_map_is_an_involution_that_flips() -> None:
    assert set(POLARITY_OPPOSITE) == set(EMOTIONS)
    for emotion, opposite in POLARITY_OPPOSITE.items():
        assert POLARITY_OPPOSITE[opposite] == emotion
        assert flips(emotion, opposite)


def test_it_lists_sixteen_and_sixteen_with_a_reason_each() -> None:
    assert len(OPPOSITIONS) == 16
    assert {EMOTIONS[o.pleasant].polarity for o in OPPOSITIONS} == {1}
    assert {EMOTIONS[o.unpleasant].polarity for o in OPPOSITIONS} == {-1}
    assert all(len(o.reason.split()) >= 5 for o in OPPOSITIONS)
    assert len({o.reason for o in OPPOSITIONS}) == 16


def test_it_keeps_the_paper_s_mutual_arrows_that_flip() -> None:
    mutual = {(a, b) for a, b in PAPER_OPPOSITE.items() if PAPER_OPPOSITE[b] == a and flips(a, b)}
    assert len(mutual) == 18 and all(POLARITY_OPPOSITE[a] == b for a, b in mutual)


def test_the_paper_s_map_is_no_involution_and_does_not_always_flip() -> None:
    """Four emotions are never a source of rejected replies, eight arrows keep the side
    (ten with surprised and anticipating, both pleasant in our reading of the wheel)."""
    assert set(EMOTIONS) - set(PAPER_OPPOSITE.values()) == {
        *("sentimental", "grateful", "prepared", "guilty")
    }
    assert sum(not flips(a, b) for a, b in PAPER_OPPOSITE.items()) == 10


def test_names_and_reasons() -> None:
    assert opposite_map("paper")["proud"] == "ashamed" and set(MAPS) == {"paper", "polarity"}
    assert "Plutchik" in str(reason("sad", "joyful")) and reason("sad", "angry") is None
    with pytest.raises(UsageError, match="no map “mirror”; choose one of paper, polarity"):
        opposite_map("mirror")
