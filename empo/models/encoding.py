"""Conversations to token ids: the base's own chat template, and no text that becomes a role."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from jinja2 import TemplateError

from empo.errors import StackError, UsageError
from empo.prompts import neutralise, role_markers
from empo.types import Turn

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


class Encoder:
    """The prompt of a stack's base for any conversation, within `context` tokens."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, context: int) -> None:
        if not tokenizer.chat_template:
            raise StackError("The base's tokenizer has no chat template; choose a chat model.")
        self.tokenizer = tokenizer
        self.context = context
        # Special tokens in texts are defused by the tokenizer; markers that are ordinary text
        # (Zephyr's role tags, say) have to be broken up here.
        special = set(tokenizer.all_special_tokens)
        markers = role_markers(tokenizer.chat_template, special)
        self.markers = tuple(marker for marker in markers if marker not in special)

    def encode(self, messages: Sequence[Turn]) -> list[int]:
        """The ids of `messages` and the start of the assistant's turn."""
        chat = [{"role": turn.role, "content": self._inert(turn)} for turn in messages]
        try:
            return self.tokenizer.apply_chat_template(
                chat, add_generation_prompt=True, tokenize=True, sanitize_control_tokens=True
            )["input_ids"]
        except TemplateError as error:
            raise StackError(
                f"The base's chat template refuses this conversation: {error}."
            ) from error

    def fit(self, messages: Sequence[Turn], room: int) -> tuple[list[int], int]:
        """The ids, and how many of the oldest turns were dropped so that `room` tokens are left.

        Whole exchanges go, oldest first; the system prompt and the last message stay.

        Raises:
            UsageError: the last message alone is too long.
        """
        head = [turn for turn in messages[:1] if turn.role == "system"]
        turns = list(messages[len(head) :])
        dropped = 0
        while len(ids := self.encode([*head, *turns])) + room > self.context:
            exchange = next((i for i, t in enumerate(turns[1:], 1) if t.role == "user"), 0)
            if not exchange:
                raise UsageError(
                    f"The message is too long for this model: {len(ids)} tokens, and {room} are "
                    f"kept for the reply, of {self.context} in all. Shorten it."
                )
            turns = turns[exchange:]
            dropped += exchange
        return ids, dropped

    def _inert(self, turn: Turn) -> str:
        return turn.text if turn.role == "system" else neutralise(turn.text, self.markers)
