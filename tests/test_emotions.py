"""empo/data/emotions.py: the 32 emotions, their places, the paper's opposites."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from empo.data.dialogues import load_split
from empo.data.emotions import EMOTIONS, PAPER_OPPOSITE, PRIMARY, emotion
from empo.errors import UsageError

PLEASANT = {name for name, e in EMOTIONS.items() if e.polarity > 0}


def test_there_are_32_emotions_each_with_a_place_on_the_wheel() -> None:
    assert len(EMOTIONS) == 32
    for name, found in EMOTIONS.items():
        assert found.name == name
        assert 0 <= found.angle < 360
        assert 0 < found.intensity <= 1
        assert found.polarity in (-1, 1)
        assert any(primary in found.near for primary in PRIMARY), found.near


def test_the_primary_emotions_are_45_degrees_apart_with_opposites_across() -> None:
    assert sorted(PRIMARY.values()) == [45 * i for i in range(8)]
    across = {("joy", "sadness"), ("trust", "disgust"), ("fear", "anger")}
    for one, other in across | {("surprise", "anticipation")}:
        assert abs(PRIMARY[one] - PRIMARY[other]) == 180


def test_an_emotion_lies_near_the_primary_emotion_it_is_taken_from() -> None:
    """Within the 45 degrees around the primary emotion, or between the two of a dyad."""
    for found in EMOTIONS.values():
        named = [PRIMARY[p] for p in PRIMARY if p in found.near]
        distance = min(abs((found.angle - angle + 180) % 360 - 180) for angle in named)
        assert distance <= 23, found


def test_the_map_is_complete_and_stays_within_the_32() -> None:
    assert set(PAPER_OPPOSITE) == set(EMOTIONS)
    assert set(PAPER_OPPOSITE.values()) <= set(EMOTIONS)
    assert all(name != opposite for name, opposite in PAPER_OPPOSITE.items())


def test_the_map_is_not_an_involution() -> None:
    """Four emotions point one way: nothing points back at them."""
    one_way = {n for n, opposite in PAPER_OPPOSITE.items() if PAPER_OPPOSITE[opposite] != n}
    assert one_way == {"sentimental", "grateful", "prepared", "guilty"}
    assert set(EMOTIONS) - set(PAPER_OPPOSITE.values()) == one_way


def test_arrows_that_keep_the_polarity() -> None:
    """Eight pair like with like whatever one calls pleasant; two more hang on a reading.

    afraid/angry, furious/terrified, annoyed/apprehensive and hopeful/nostalgic are the eight that
    the field counts. Surprise and anticipation have no polarity of their own on Plutchik's wheel;
    here both are read as pleasant, so that their two arrows keep it as well.
    """
    keep = {n for n, o in PAPER_OPPOSITE.items() if EMOTIONS[n].polarity == EMOTIONS[o].polarity}
    eight = {"afraid", "angry", "furious", "terrified", "annoyed", "apprehensive"}
    eight |= {"hopeful", "nostalgic"}
    assert keep - eight == {"surprised", "anticipating"}
    assert eight <= keep


def test_about_as_many_emotions_are_pleasant_as_not() -> None:
    assert len(PLEASANT) == 16
    assert {"joyful", "grateful", "surprised"} <= PLEASANT
    assert not PLEASANT & {"sad", "furious", "anxious", "jealous"}


def test_the_data_have_these_emotions_and_a_quarter_of_the_pairs_keeps_the_polarity(
    data_folder: Path,
) -> None:
    counts = Counter(d.emotion for d in load_split(data_folder, "test"))
    assert set(counts) == set(EMOTIONS)
    eight = {"afraid", "angry", "furious", "terrified", "annoyed", "apprehensive"}
    eight |= {"hopeful", "nostalgic"}
    share = sum(counts[name] for name in eight) / counts.total()
    assert 0.2 < share < 0.3


def test_an_unknown_emotion_is_one_sentence_with_the_32() -> None:
    assert emotion("sad") is EMOTIONS["sad"]
    with pytest.raises(UsageError, match=r"“hungry” is not one of the 32 .* joyful, excited"):
        emotion("hungry")
