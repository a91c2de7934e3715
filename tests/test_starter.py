"""The project's own dialogues: enough, even, readable, and nobody else's."""

from __future__ import annotations

import re
from collections import Counter
from statistics import mean

import pytest

from empo.data.dialogues import load_split, read_dialogues
from empo.data.emotions import EMOTIONS
from empo.data.preferences import last_exchange
from empo.data.situations import situations
from empo.data.splits import divide
from empo.data.strategies import PRESETS
from empo.pairs.make import make_pairs
from empo.pairs.sources import STARTER, read_source
from empo.types import Dialogue

CLICHES = (
    "sorry to hear",
    "that must be hard",
    "everything happens for a reason",
    "at least",
    "time heals",
    "stay strong",
    "i know exactly how you feel",
    "as an ai",
)


@pytest.fixture(scope="module")
def dialogues() -> tuple[Dialogue, ...]:
    found = read_dialogues(STARTER)
    assert found.malformed == 0
    return found.dialogues


def plain(text: str) -> str:
    return " ".join(re.findall(r"\w+(?:['’]\w+)*", text.lower()))


def test_at_least_three_for_each_emotion(dialogues: tuple[Dialogue, ...]) -> None:
    assert len(dialogues) >= 96
    counts = Counter(dialogue.emotion for dialogue in dialogues)
    assert set(counts) == set(EMOTIONS) and min(counts.values()) >= 3


def test_they_are_short_and_end_with_the_listener(dialogues: tuple[Dialogue, ...]) -> None:
    for dialogue in dialogues:
        assert 2 <= len(dialogue.turns) <= 4 and dialogue.turns[-1].role == "assistant"
        assert 3 <= len(str(dialogue.situation).split()) <= 14, dialogue.id
        for turn in dialogue.turns:
            assert 3 <= len(turn.text.split()) <= 60, turn.text
            assert turn.text == turn.text.strip() and turn.text[-1] in '.!?”"'
    replies = [last_exchange(dialogue)[1] for dialogue in dialogues]
    assert 15 <= mean(len(reply.split()) for reply in replies) <= 30


def test_nothing_is_said_twice_and_no_phrase_is_worn(dialogues: tuple[Dialogue, ...]) -> None:
    texts = [plain(turn.text) for dialogue in dialogues for turn in dialogue.turns]
    assert len(set(texts)) == len(texts)
    assert len({plain(str(dialogue.situation)) for dialogue in dialogues}) == len(dialogues)
    replies = [t.text.lower() for d in dialogues for t in d.turns if t.role == "assistant"]
    assert [reply for reply in replies if any(worn in reply for worn in CLICHES)] == []
    openings = Counter(tuple(plain(reply).split()[:2]) for reply in replies)
    assert openings.most_common(1)[0][1] <= 0.04 * len(replies)


def test_they_are_not_the_situations_of_the_page(dialogues: tuple[Dialogue, ...]) -> None:
    ours = {plain(turn.text) for dialogue in dialogues for turn in dialogue.turns}
    assert not ours & {plain(situation.text) for situation in situations()}


def grams(text: str, n: int = 8) -> set[str]:
    words = plain(text).split()
    return {" ".join(words[i : i + n]) for i in range(len(words) - n + 1)}


@pytest.mark.parametrize("split", ["train", "valid", "test"])
def test_none_is_taken_from_the_data_set(dialogues, split: str, data_folder) -> None:
    """No turn is one of EmpatheticDialogues', and no eight words in a row are."""
    ours = {gram: d.id for d in dialogues for turn in d.turns for gram in grams(turn.text)}
    whole = {plain(turn.text) for d in dialogues for turn in d.turns}
    shared = set()
    for dialogue in load_split(data_folder, split):
        for text in (str(dialogue.situation), *(turn.text for turn in dialogue.turns)):
            assert plain(text) not in whole
            shared |= grams(text) & ours.keys()
    assert sorted(shared) == []


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_makes_pairs_of_them(name: str) -> None:
    source = read_source(STARTER)
    assert len(make_pairs(source.dialogues, name)) >= 80
    rest, held = divide(source.dialogues, 1 / 3)
    assert (len(rest), len(held)) == (64, 32)
    assert make_pairs(held, name) and make_pairs(rest, name, draws=2)
