"""The conversation that the page opens with: genuine, and not older than the embedded models."""

from __future__ import annotations

from empo.models.echo import EchoEngine
from empo.models.fingerprint import short_hashes
from empo.models.stacks import load_stack
from empo.ui.opening import MESSAGES, make, read_opening
from empo.ui.share import starting_sampling
from empo.ui.view import Cast


def test_the_shipped_conversation_is_from_the_embedded_models() -> None:
    opening = read_opening()
    assert opening is not None
    stack = load_stack("nano")
    hashes = short_hashes(stack)
    path = opening.path()
    assert tuple(exchange.message for exchange in path) == MESSAGES
    for exchange in path:
        assert (exchange.sampling, exchange.prompt) == (starting_sampling(stack), stack.prompt)
        assert [a.model for a in exchange.answers] == [m.name for m in stack.models]
        # python -m empo.ui.opening makes it anew when the models have changed.
        assert [a.adapter for a in exchange.answers] == list(hashes.values())
        assert all(a.text and a.reply and a.reply.seconds > 0 for a in exchange.answers)
        assert all(a.scores and a.scores.interpretation for a in exchange.answers)


def test_a_conversation_is_made_by_asking_the_models() -> None:
    stack = load_stack("nano")
    made = make(EchoEngine(stack), Cast(stack, {"dpo": "ab12cd34"}))
    second = made.path()[1]
    assert second.answers[2].text == f"dpo heard: {MESSAGES[1]}"[: len(second.answers[2].text)]
    assert second.answers[2].adapter == "ab12cd34" and second.sampling == starting_sampling(stack)
