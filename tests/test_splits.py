"""Splits that share neither a conversation nor a text."""

from __future__ import annotations

from collections import Counter

from empo.data.dialogues import load_split
from empo.data.splits import apart, divide, groups, keys
from empo.types import Dialogue, Turn


def dialogue(name: str, first: str, situation: str = "", emotion: str = "sad") -> Dialogue:
    return Dialogue(name, (Turn("user", first), Turn("assistant", "Oh.")), emotion, situation)


A = dialogue("1", "My dog died.", "a dog")
B = dialogue("2", "my  dog DIED.", "another")
C = dialogue("1", "It rains.")
D = dialogue("4", "It snows.", "My dog died.")
E = dialogue("5", "It is warm.")


def test_the_same_text_the_same_id_and_a_chain_belong_together() -> None:
    assert groups([A, B, E, C, D]) == [[0, 1, 3, 4], [2]]


def test_apart_drops_what_the_other_side_has() -> None:
    assert apart([A, B, C, D, E], [dialogue("9", "MY DOG DIED.")]) == (C, E)
    assert apart([A, C, E], [dialogue("1", "other")]) == (E,)


def test_divide_keeps_groups_whole_and_emotions_even() -> None:
    many = [
        dialogue(f"{e}{i}", f"{e} {i // 2}", "", e) for e in ("sad", "joyful") for i in range(40)
    ]
    rest, held = divide(many, 0.25, seed=1)
    assert len(held) == 20 and len(rest) == 60
    assert Counter(d.emotion for d in held) == {"sad": 10, "joyful": 10}
    assert not {k for d in rest for k in keys(d)} & {k for d in held for k in keys(d)}
    assert divide(many, 0.25, seed=1) == (rest, held) != divide(many, 0.25, seed=2)
    assert divide(many, 0.0)[1] == ()


def test_the_published_splits_lose_little(data_folder) -> None:
    train, test = load_split(data_folder, "train"), load_split(data_folder, "test")
    left = apart(train, test)
    assert 0 < len(train) - len(left) < 0.02 * len(train)
    assert not {k for d in left for k in keys(d)} & {k for d in test for k in keys(d)}
