"""What the columns show, as plain values: the page's script only draws this. No Gradio here.

Texts of people and models are values of it, never markup; the script sets them as text.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from empo.conversation import Answer, Conversation, Exchange, to_data
from empo.errors import UsageError
from empo.models.dial import FARTHEST, STEP, USUAL, dial_ends, dial_position
from empo.models.stacks import Stack
from empo.scoring.card import Listener
from empo.types import ModelSpec
from empo.ui.colours import NO_MODEL, colours, dial_colour
from empo.ui.mechanisms import CAUTION, gauges, segments

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

    @property
    def ends(self) -> tuple[ModelSpec, ModelSpec] | None:
        """What the alignment dial turns between; None where the stack has no dial."""
        return dial_ends(self.stack.models)

    def palette(self, path: Sequence[Exchange]) -> dict[str, str]:
        """The stack's colours and those of every place on the dial that answered in `path`."""
        found = self.colours
        taken = tuple(found.values())
        for name in {answer.model for exchange in path for answer in exchange.answers}:
            if colour := dial_colour(name, taken):
                found[name] = colour
        return found

    def colour(self, name: str) -> str:
        known = self.colours
        return known.get(name) or dial_colour(name, tuple(known.values())) or NO_MODEL

    def hash_of(self, spec: ModelSpec) -> str:
        """The short hash of the adapter that answers as `spec`; of a blend, of both ends."""
        parts = [spec]
        if spec.stage == "blend" and self.ends and dial_position(spec.name) is not None:
            parts = [end for end in self.ends if set(end.adapters) & set(spec.adapters)]
        return " + ".join(found for part in parts if (found := self.hashes.get(part.name)))

    def heads(self, columns: Sequence[str]) -> list[dict[str, Any]]:
        """What stands over each column."""
        return [self._head(name) for name in columns]

    def _head(self, name: str) -> dict[str, Any]:
        try:
            spec = self.stack.model(name)
        except UsageError:
            spec = self.stack.models[0]  # the sentence that says so stands below the columns
        return {
            "model": spec.name,
            "label": spec.label,
            "plain": spec.plain,
            "note": spec.note,
            "colour": self.colour(spec.name),
            "hash": self.hash_of(spec),
            "dial": dial_position(spec.name),
        }

    def dial(self) -> dict[str, Any] | None:
        """The dial's range and the labels of its ends."""
        if self.ends is None:
            return None
        ends = [end.label for end in self.ends]
        return {"usual": USUAL, "farthest": FARTHEST, "step": STEP, "ends": ends}

    def picks(self) -> list[dict[str, str]]:
        """What the pickers offer."""
        return [{"model": model.name, "label": model.label} for model in self.stack.models]

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
        "models": cast.picks(),
        "heads": cast.heads(columns),
        "dial": None if fixed else cast.dial(),
        "columns": list(columns),
        "caution": f"{CAUTION} The listener: {listener.source}." if listener else CAUTION,
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
        "colour": cast.colour(answer.model),
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
