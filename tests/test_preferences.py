"""What of a dialogue makes a pair, and the trainer's row."""

from __future__ import annotations

import pytest

from empo.data.preferences import conversational, last_exchange
from empo.errors import DataError
from empo.types import Dialogue, PreferencePair, Turn


def test_last_exchange_ends_before_the_last_listener_turn() -> None:
    turns = (Turn("user", "a"), Turn("assistant", "b"), Turn("user", "c"))
    assert last_exchange(Dialogue("1", turns)) == (turns[:1], "b")
    longer = (*turns, Turn("assistant", "d"))
    assert last_exchange(Dialogue("1", longer)) == (turns, "d")


def test_a_silent_listener_is_said() -> None:
    with pytest.raises(DataError, match="Dialogue 7 has no listener turn"):
        last_exchange(Dialogue("7", (Turn("user", "a"),)))


def test_the_row_is_a_chat() -> None:
    pair = PreferencePair((Turn("user", "a"),), "b", "c", "sad", "joyful", "paper", "1", "2")
    assert conversational(pair) == {
        "prompt": [{"role": "user", "content": "a"}],
        "chosen": [{"role": "assistant", "content": "b"}],
        "rejected": [{"role": "assistant", "content": "c"}],
    }
