"""The paper's recorded replies in the columns: a situation becomes a conversation. No Gradio."""

from __future__ import annotations

from collections.abc import Mapping

from empo.conversation import Answer, Conversation, Exchange
from empo.data.recorded import HUMAN, SYSTEMS, Recorded
from empo.models.stacks import Source, Stack
from empo.types import ModelSpec, Reply, Turn
from empo.ui.turns import measured

PROMPT = "as-published"
WHO = "speaker"
SPECS: dict[str, ModelSpec] = {
    HUMAN.name: HUMAN,
    **{spec.name: spec for spec in SYSTEMS.values()},
}
STACK = Stack(
    name="recorded",
    title="the paper's recorded replies",
    base=Source("alignment-handbook/zephyr-7b-sft-full"),
    adapters={},
    models=tuple(SPECS.values()),
    prompt=PROMPT,
)


def as_conversation(entry: Recorded) -> Conversation:
    """Earlier turns with the human listener's replies; in the last one everybody's."""
    exchanges: list[Exchange] = []
    turns = list(entry.turns)
    while turns:
        message = _next(turns, "user")
        last = not turns
        replies = {HUMAN.name: entry.human, **entry.replies} if last else {}
        answers = _answers(replies or {HUMAN.name: _next(turns, "assistant")})
        number = len(exchanges) + 1
        parent = number - 1 or None
        exchanges.append(
            Exchange(number, parent, message, answers, prompt=PROMPT, valence=measured(message))
        )
    return Conversation(tuple(exchanges), len(exchanges))


def _next(turns: list[Turn], role: str) -> str:
    """Take the turns of `role` at the front (a speaker may write twice) as one text."""
    texts = []
    while turns and turns[0].role == role:
        texts.append(turns.pop(0).text)
    return "\n".join(texts)


def _answers(replies: Mapping[str, str]) -> tuple[Answer, ...]:
    return tuple(_answer(SPECS[name], replies[name]) for name in SPECS if name in replies)


def _answer(spec: ModelSpec, text: str) -> Answer:
    # The files hold no token counts, times or endings: a recorded reply is simply whole.
    reply = Reply(spec.name, text, len(text.split()), 0.0, 0.0, "end")
    return Answer(spec.name, spec.label, spec.plain, spec.stage, text, reply, "", measured(text))
