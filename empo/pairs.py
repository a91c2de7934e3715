"""Preference pairs from dialogues, grounded in emotions.

After *EmPO* (arXiv 2406.19071, section 3): the chosen reply is the human listener's last turn, the
rejected one the last listener turn of a dialogue whose emotion lies opposite. The authors' code
pairs unseeded and reuses the first dialogues of a smaller class; here each draw is uniform over
the opposite class, from one seeded generator, without repeats within a dialogue.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

from empo.data.emotions import PAPER_OPPOSITE
from empo.data.preferences import last_exchange
from empo.errors import DataError
from empo.types import Dialogue, PreferencePair

PAPER = "paper"


def paper_pairs(
    dialogues: Sequence[Dialogue], seed: int = 0, draws: int = 1
) -> tuple[PreferencePair, ...]:
    """`draws` pairs for each of `dialogues`, in their order.

    A dialogue whose opposite class has fewer than `draws` dialogues gives as many pairs as there
    are; one whose drawn reply happens to be the chosen one (a bare "Wow!") gives no such pair.

    Raises:
        DataError: a dialogue has no emotion, or no dialogue has an opposite one.
    """
    generator = random.Random(seed)
    replies = _replies_by_emotion(dialogues)
    pairs: list[PreferencePair] = []
    for dialogue in dialogues:
        opposite = PAPER_OPPOSITE[str(dialogue.emotion)]
        pool = replies.get(opposite, [])
        prompt, chosen = last_exchange(dialogue)
        for rejected_id, rejected in generator.sample(pool, min(draws, len(pool))):
            if rejected == chosen:
                continue
            pairs.append(
                PreferencePair(
                    prompt,
                    chosen,
                    rejected,
                    str(dialogue.emotion),
                    opposite,
                    PAPER,
                    dialogue.id,
                    rejected_id,
                )
            )
    if not pairs:
        raise DataError("No pair can be made: no dialogue has one of opposite emotion beside it.")
    return tuple(pairs)


def _replies_by_emotion(dialogues: Sequence[Dialogue]) -> dict[str, list[tuple[str, str]]]:
    """For each emotion, the (dialogue id, last listener turn) of its dialogues."""
    found: dict[str, list[tuple[str, str]]] = {}
    for dialogue in dialogues:
        if dialogue.emotion not in PAPER_OPPOSITE:
            raise DataError(f"Dialogue {dialogue.id} carries no emotion of EmpatheticDialogues.")
        found.setdefault(dialogue.emotion, []).append((dialogue.id, last_exchange(dialogue)[1]))
    return found
