"""How rejected replies are found: each sampler on dialogues small enough to work out by hand."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest

from empo.data.dialogues import load_split
from empo.data.nearness import nearest, story
from empo.data.opposites import POLARITY_OPPOSITE, flips
from empo.data.samplers import same_reply, sampled_pairs
from empo.errors import DataError
from empo.types import Dialogue, Turn

OPPOSITES = {"joyful": "sad", "sad": "joyful"}


def dialogue(name: str, emotion: str, *texts: str) -> Dialogue:
    turns = [Turn("assistant" if i % 2 else "user", text) for i, text in enumerate(texts)]
    return Dialogue(name, tuple(turns), emotion)


def few(emotion: str, count: int) -> list[Dialogue]:
    return [dialogue(f"{emotion}{i}", emotion, f"u{i}", f"{emotion} {i}") for i in range(count)]


def test_same_reply_looks_past_case_spacing_and_the_last_mark() -> None:
    assert same_reply("Oh  no!", "oh no") and not same_reply("Oh no", "Oh, no")


def test_balanced_uses_each_reply_of_the_smaller_class_once() -> None:
    """Two joyful and five sad dialogues: two pairs in each direction."""
    pairs = sampled_pairs("balanced", [*few("joyful", 2), *few("sad", 5)], OPPOSITES, "x")
    asked = Counter(pair.emotion for pair in pairs)
    assert asked == {"joyful": 2, "sad": 2}
    assert Counter(p.rejected_id for p in pairs if p.emotion == "sad") == {
        "joyful0": 1,
        "joyful1": 1,
    }
    assert set(Counter(p.rejected_id for p in pairs if p.emotion == "joyful").values()) == {1}


def test_balanced_draws_never_meet_again() -> None:
    pairs = sampled_pairs("balanced", [*few("joyful", 3), *few("sad", 4)], OPPOSITES, "x", 1, 3)
    assert len(pairs) == 2 * 3 * 3
    assert len({(p.dialogue_id, p.rejected_id) for p in pairs}) == len(pairs)
    assert set(Counter(p.rejected_id for p in pairs if p.emotion == "sad").values()) == {3}


HARD = [
    dialogue("j", "joyful", "My dog won the race in the park.", "Well done, dog!"),
    dialogue("s1", "sad", "My dog was lost in the park.", "Did the dog come home?"),
    dialogue("s2", "sad", "I failed an exam.", "Which exam was it?"),
]


def test_hard_takes_the_nearest_situation_of_the_opposite_emotion() -> None:
    assert story(HARD[0]).strip() == "My dog won the race in the park."
    assert nearest(HARD, OPPOSITES, 2) == [[0, 1], [0], [0]]
    assert nearest(HARD, OPPOSITES, 1)[0] == [0]
    pairs = sampled_pairs("hard", HARD, OPPOSITES, "hard", draws=2)
    assert [(p.dialogue_id, p.rejected_id) for p in pairs][2:] == [("s1", "j"), ("s2", "j")]
    assert {p.rejected_id for p in pairs[:2]} == {"s1", "s2"}


def test_hard_does_not_make_one_reply_everybody_s() -> None:
    """Six alike prompts and six alike candidates: the five nearest are used in turn."""
    joy = [dialogue(f"j{i}", "joyful", "the same story", f"yes {i}") for i in range(6)]
    sad = [dialogue(f"s{i}", "sad", "the same story", f"no {i}") for i in range(6)]
    pairs = sampled_pairs("hard", [*joy, *sad], OPPOSITES, "hard")
    used = Counter(p.rejected_id for p in pairs if p.emotion == "joyful")
    assert sorted(used.values()) == [1, 1, 1, 1, 2]


def test_same_situation_takes_a_later_reply_of_the_same_listener() -> None:
    long = dialogue("a", "sad", "u1", "a1", "u2", "a2", "u3", "a3")
    short = dialogue("b", "sad", "u1", "a1")
    repeating = dialogue("c", "sad", "u1", "Oh no.", "u2", "oh no!")
    pairs = sampled_pairs("same-situation", [long, short, repeating], OPPOSITES, "same", draws=9)
    assert [([t.text for t in p.prompt], p.chosen, p.rejected) for p in pairs] == [
        (["u1"], "a1", "a2"),
        (["u1"], "a1", "a3"),
        (["u1", "a1", "u2"], "a2", "a3"),
    ]
    assert {(p.opposite, p.dialogue_id, p.rejected_id) for p in pairs} == {("sad", "a", "a")}
    with pytest.raises(DataError, match="no dialogue has a second reply"):
        sampled_pairs("same-situation", [short], OPPOSITES, "same")


@pytest.mark.parametrize("sampler", ["random", "balanced", "hard", "same-situation"])
def test_on_real_dialogues_it_is_seeded_ordered_and_says_nothing_twice(
    sampler, data_folder
) -> None:
    dialogues = load_split(data_folder, "test")[::6]
    one = sampled_pairs(sampler, dialogues, POLARITY_OPPOSITE, "x", 3, 2)
    assert one == sampled_pairs(sampler, dialogues, POLARITY_OPPOSITE, "x", 3, 2)
    assert one != sampled_pairs(sampler, dialogues, POLARITY_OPPOSITE, "x", 4, 2)
    place = {d.id: at for at, d in enumerate(dialogues)}
    assert all(place[a.dialogue_id] <= place[b.dialogue_id] for a, b in pairwise(one))
    assert len(one) == len(set(one)) and len(one) > 0.8 * len(dialogues)
    for pair in one:
        assert not same_reply(pair.chosen, pair.rejected)
        assert sampler == "same-situation" or flips(pair.emotion, pair.opposite)
