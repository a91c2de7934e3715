"""Splits that do not mix: neither a conversation nor a text stands on both sides.

Two dialogues belong together when they share the conversation's id, the first utterance or the
described situation (case and spacing apart). Whole groups go to one side; pairs are made within a
side, so that no rejected reply crosses over either.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

from empo.types import Dialogue


def keys(dialogue: Dialogue) -> Iterator[tuple[str, str]]:
    """What a dialogue may share with another: its id and its telling texts."""
    yield "id", dialogue.id
    yield "text", _plain(dialogue.turns[0].text)
    if dialogue.situation and _plain(dialogue.situation):
        yield "text", _plain(dialogue.situation)


def _plain(text: str) -> str:
    return " ".join(text.lower().split())


def apart(dialogues: Sequence[Dialogue], others: Sequence[Dialogue]) -> tuple[Dialogue, ...]:
    """Those of `dialogues` that share nothing with any of `others`."""
    taken = {key for other in others for key in keys(other)}
    return tuple(d for d in dialogues if not any(key in taken for key in keys(d)))


def groups(dialogues: Sequence[Dialogue]) -> list[list[int]]:
    """Places of dialogues that share something, directly or through others, in order."""
    parent = list(range(len(dialogues)))

    def root(at: int) -> int:
        while parent[at] != at:
            parent[at] = parent[parent[at]]
            at = parent[at]
        return at

    first: dict[tuple[str, str], int] = {}
    for at, dialogue in enumerate(dialogues):
        for key in keys(dialogue):
            a, b = sorted((root(at), root(first.setdefault(key, at))))
            parent[b] = a
    found: dict[int, list[int]] = {}
    for at in range(len(dialogues)):
        found.setdefault(root(at), []).append(at)
    return list(found.values())


def divide(
    dialogues: Sequence[Dialogue], share: float, seed: int = 0
) -> tuple[tuple[Dialogue, ...], tuple[Dialogue, ...]]:
    """(the rest, a held-out part of about `share` of `dialogues`), each in the given order.

    Groups are drawn by `seed` within their first dialogue's emotion, so that both parts have the
    same emotions in like numbers.
    """
    generator = random.Random(seed)
    classes: dict[str, list[list[int]]] = {}
    for group in groups(dialogues):
        classes.setdefault(str(dialogues[group[0]].emotion), []).append(group)
    held: set[int] = set()
    for members in classes.values():
        generator.shuffle(members)
        wanted = share * sum(len(group) for group in members)
        taken = 0
        for group in members:
            if taken + len(group) / 2 > wanted:
                break
            held.update(group)
            taken += len(group)
    rest = tuple(d for at, d in enumerate(dialogues) if at not in held)
    return rest, tuple(d for at, d in enumerate(dialogues) if at in held)
