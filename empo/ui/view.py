"""What the columns show, as plain values: the page's script only draws this. No Gradio here.

Texts of people and models are values of it, never markup; the script sets them as text.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from empo.conversation import Answer, Conversation, Exchange, to_data
from empo.models.stacks import Stack
from empo.scoring.card import Listener
from empo.types import ModelSpec
from empo.ui.colours import colours
from empo.ui.mechanisms import gauges, segments

STOPPED = {
    "end": "ended by itself",
    "length": "cut at the length limit",
    "stop": "ended at a stop word",
    "cancelled": "stopped",
}


@dataclass(frozen=True)
class Cast:
    """The models one may choose from, with their colours and adapters' short hashes."""

    stack: Stack
    hashes: dict[str, str] = field(default_factory=dict)

    @property
    def colours(self) -> dict[str, str]:
        return colours((m.name, m.stage) for m in self.stack.models)

    def models(self) -> list[dict[str, str]]:
        tints = self.colours
        return [
            {
                "model": m.name,
                "label": m.label,
                "plain": m.plain,
                "note": m.note,
                "colour": tints[m.name],
                "hash": self.hashes.get(m.name, ""),
            }
            for m in self.stack.models
        ]

    def specs(self, columns: Sequence[str]) -> tuple[ModelSpec, ...]:
        """Raises UsageError where the stack has no such model."""
        return tuple(self.stack.model(name) for name in columns)


def view(
    cast: Cast,
    columns: Sequence[str],
    conversation: Conversation,
    *,
    running: bool = False,
    notice: str = "",
    example: bool = False,
    care: bool = False,
    fixed: bool = False,
    listener: Listener | None = None,
) -> dict[str, Any]:
    """The whole of what is shown. `keep` is the conversation itself, for the visitor's own tab.

    `notice` is one sentence above the composer (a wait, an error); `care` shows the help lines;
    `fixed` columns cannot be changed, nor the conversation: an example, or recorded replies;
    `listener` is what the ticks of the gauges show.
    """
    path = conversation.path()
    return {
        "models": cast.models(),
        "columns": list(columns),
        "turns": [_turn(cast, conversation, exchange, listener) for exchange in path],
        "follow": _follow(conversation, path),
        "running": running,
        "notice": notice,
        "example": example,
        "care": care,
        "fixed": fixed,
        "keep": None if example or fixed else to_data(conversation),
    }


def _follow(conversation: Conversation, path: Sequence[Exchange]) -> str:
    if conversation.follow is None or not path:
        return ""
    return path[-1].answers[conversation.follow].label


def _turn(
    cast: Cast, conversation: Conversation, exchange: Exchange, listener: Listener | None
) -> dict[str, Any]:
    versions = conversation.versions(exchange.id)
    at = versions.index(exchange.id)
    follows = ""
    if exchange.follows is not None and exchange.parent is not None:
        follows = conversation.exchange(exchange.parent).answers[exchange.follows].label
    return {
        "id": exchange.id,
        "message": exchange.message,
        "at": at + 1,
        "of": len(versions),
        "back": versions[at - 1] if at else None,
        "on": versions[at + 1] if at + 1 < len(versions) else None,
        "follows": follows,
        "line": pace_line(exchange),
        "answers": [_answer(cast, answer, listener) for answer in exchange.answers],
    }


def _answer(cast: Cast, answer: Answer, listener: Listener | None) -> dict[str, Any]:
    return {
        "model": answer.model,
        "label": answer.label,
        "plain": answer.plain,
        "hash": answer.adapter,
        "colour": cast.colours.get(answer.model, "#8C8279"),
        "text": answer.text,
        "done": answer.reply is not None,
        "foot": foot(answer),
        "gauges": gauges(answer.scores, answer.reply is not None, listener),
        "parts": segments(answer.text, answer.scores),
    }


def foot(answer: Answer) -> str:
    """Length of a finished reply and what ended it, as "12 words · ended by itself"."""
    if answer.reply is None:
        return ""
    words = len(answer.text.split())
    how = STOPPED[answer.reply.stopped_by]
    if answer.reply.seconds == 0 and answer.reply.stopped_by == "end":
        how = "recorded"  # what the paper released, without times or endings
    parts = [f"{words} word{'' if words == 1 else 's'}", how]
    if dropped := answer.reply.dropped_turns:
        parts.append(f"the oldest {dropped} turns no longer fitted")
    return " · ".join(parts)


def pace_line(exchange: Exchange) -> str:
    """Time to the first token and speed of a finished turn; all voices share one pass."""
    replies = [answer.reply for answer in exchange.answers if answer.reply]
    timed = [reply for reply in replies if reply.seconds > 0]
    if len(replies) < len(exchange.answers) or not timed:
        return ""
    first = min(reply.first_token_seconds for reply in timed)
    tokens = sum(reply.tokens for reply in timed)
    speed = tokens / max(reply.seconds for reply in timed)
    voices = f"{len(replies)} voices in one pass" if len(replies) > 1 else "one voice"
    return (
        f"first token after {first:.2g} s · {speed:.0f} tokens/s, {voices} · "
        f"seed {exchange.sampling.seed}"
    )
