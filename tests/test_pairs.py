"""Emotion-grounded pairs: from which dialogues, which turns, seeded."""

from __future__ import annotations

import pytest

from empo.data.dialogues import load_split
from empo.data.emotions import PAPER_OPPOSITE
from empo.errors import DataError
from empo.pairs import paper_pairs
from empo.types import Dialogue, Turn


def dialogue(name: str, emotion: str | None, *texts: str) -> Dialogue:
    turns = [Turn("assistant" if i % 2 else "user", text) for i, text in enumerate(texts)]
    return Dialogue(name, tuple(turns), emotion)


JOY = dialogue("j", "joyful", "I won!", "Nice!", "Yes, a car.", "What colour?", "Red.")
SAD = dialogue("s", "sad", "My dog died.", "I am so sorry.")
SAD2 = dialogue("t", "sad", "It rains.", "Oh no.")


def test_a_pair_worked_by_hand() -> None:
    """joyful lies opposite sad and the other way round, so both dialogues give one pair."""
    first, second = paper_pairs([JOY, SAD])
    assert [turn.text for turn in first.prompt] == ["I won!", "Nice!", "Yes, a car."]
    assert (first.chosen, first.rejected) == ("What colour?", "I am so sorry.")
    assert (first.emotion, first.opposite, first.origin) == ("joyful", "sad", "paper")
    assert (first.dialogue_id, first.rejected_id) == ("j", "s")
    assert (second.chosen, second.rejected) == ("I am so sorry.", "What colour?")


def test_draws_do_not_repeat_and_stop_at_the_size_of_the_class() -> None:
    pairs = paper_pairs([JOY, SAD, SAD2], draws=3)
    assert sorted(p.rejected_id for p in pairs if p.dialogue_id == "j") == ["s", "t"]
    assert [p.rejected_id for p in pairs if p.dialogue_id == "s"] == ["j"]


def test_an_identical_reply_makes_no_pair() -> None:
    same = dialogue("u", "sad", "Rain.", "What colour?")
    assert [p.dialogue_id for p in paper_pairs([JOY, same, SAD], seed=1, draws=2)] == ["j", "s"]


def test_no_opposite_and_no_emotion_are_said() -> None:
    with pytest.raises(DataError, match="No pair can be made"):
        paper_pairs([JOY])
    with pytest.raises(DataError, match="Dialogue x carries no emotion"):
        paper_pairs([JOY, dialogue("x", None, "a", "b")])


def test_real_pairs_are_opposite_and_seeded(data_folder) -> None:
    dialogues = load_split(data_folder, "test")
    pairs = paper_pairs(dialogues, seed=0)
    emotions = {d.id: d.emotion for d in dialogues}
    assert len(pairs) > 0.98 * len(dialogues)
    for pair in pairs:
        assert emotions[pair.rejected_id] == PAPER_OPPOSITE[emotions[pair.dialogue_id]]
        assert pair.prompt[-1].role == "user" and pair.chosen != pair.rejected
    assert pairs == paper_pairs(dialogues, seed=0) != paper_pairs(dialogues, seed=1)
