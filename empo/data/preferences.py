"""Preference pairs as data: what of a dialogue makes one, and the row a trainer reads."""

from __future__ import annotations

from typing import Any

from empo.errors import DataError
from empo.types import Dialogue, PreferencePair, Turn


def last_exchange(dialogue: Dialogue) -> tuple[tuple[Turn, ...], str]:
    """All turns before the last listener turn, and that turn's text.

    Raises:
        DataError: the listener never speaks after the speaker.
    """
    for i in range(len(dialogue.turns) - 1, 0, -1):
        if dialogue.turns[i].role == "assistant":
            return dialogue.turns[:i], dialogue.turns[i].text
    raise DataError(f"Dialogue {dialogue.id} has no listener turn after a speaker's.")


def listener_places(dialogue: Dialogue) -> tuple[int, ...]:
    """The places of the listener turns that answer something."""
    return tuple(i for i, turn in enumerate(dialogue.turns) if i and turn.role == "assistant")


def conversational(pair: PreferencePair) -> dict[str, Any]:
    """`pair` as TRL's conversational preference row: prompt, chosen, rejected as message lists."""
    return {
        "prompt": [{"role": turn.role, "content": turn.text} for turn in pair.prompt],
        "chosen": [{"role": "assistant", "content": pair.chosen}],
        "rejected": [{"role": "assistant", "content": pair.rejected}],
    }
