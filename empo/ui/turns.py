"""One turn as a stream of conversations, each complete in itself, at most ten a second."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from empo.compare import compare
from empo.conversation import Answer, Conversation, Exchange, with_exchange
from empo.errors import EmpoError
from empo.models.engine import Engine, Step
from empo.scoring.scorer import Pair
from empo.scoring.valence import vader, valence
from empo.types import ModelSpec, Reply, Scores, Turn, Valence
from empo.ui.control import Control

TICK = 0.1  # seconds between two updates of the page


def answer(
    engine: Engine,
    conversation: Conversation,
    asked: Sequence[Sequence[Turn]],
    specs: Sequence[ModelSpec],
    control: Control,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[Conversation]:
    """Fill the answers of the exchange one stands at; the last value has them all finished.

    A column in `control.stopped` keeps the text it had; when every column has ended or been
    stopped, the engine is told to stop.

    Raises:
        UsageError, Busy: as `compare`.
    """
    exchange = conversation.exchange(conversation.leaf or 0)
    exchange = replace(exchange, valence=measured(exchange.message))
    steps = compare(engine, asked, specs, exchange.sampling, exchange.prompt, control.cancel)
    pace = _Pace(len(exchange.answers), clock)
    shown = clock()
    try:
        for step in steps:
            pace.count(step)
            exchange = _taken(exchange, step, control, pace)
            if all(a.reply for a in exchange.answers):
                control.cancel.set()
                break
            if clock() - shown >= TICK:
                yield with_exchange(conversation, exchange)
                shown = clock()
    finally:
        control.cancel.set()
        steps.close()
    yield with_exchange(conversation, exchange)


class _Pace:
    """What a column that is stopped on its own has had so far: tokens and times."""

    def __init__(self, columns: int, clock: Callable[[], float]) -> None:
        self._clock, self._start = clock, clock()
        self._tokens = [0] * columns
        self._first = [0.0] * columns

    def count(self, step: Step) -> None:
        for column in step.texts:
            self._tokens[column] += 1
            self._first[column] = self._first[column] or self._clock() - self._start

    def stopped(self, model: str, text: str, column: int) -> Reply:
        seconds = self._clock() - self._start
        return Reply(model, text, self._tokens[column], seconds, self._first[column], "cancelled")


def _taken(exchange: Exchange, step: Step, control: Control, pace: _Pace) -> Exchange:
    answers = list(exchange.answers)
    for i, current in enumerate(answers):
        if current.reply is None:
            text = current.text + step.texts.get(i, "")
            reply = step.replies.get(i)
            if reply is None and i in control.stopped:
                reply = pace.stopped(current.model, text, i)
            answers[i] = finished(current, reply) if reply else replace(current, text=text)
    return replace(exchange, answers=tuple(answers))


def finished(answer: Answer, reply: Reply) -> Answer:
    """`answer` with its reply, measured."""
    return replace(answer, text=reply.text, reply=reply, valence=measured(reply.text))


def scored(
    conversation: Conversation, score: Callable[[Sequence[Pair]], list[Scores | None]]
) -> Conversation:
    """With every finished reply that has no scores yet measured, all of them in one batch."""
    places = [
        (exchange.id, at)
        for exchange in conversation.exchanges
        for at, given in enumerate(exchange.answers)
        if given.reply and given.scores is None and given.text.strip()
    ]
    pairs = [(e.message, e.answers[at].text) for n, at in places if (e := conversation.exchange(n))]
    for (number, at), scores in zip(places, score(pairs), strict=True):
        exchange = conversation.exchange(number)
        answers = list(exchange.answers)
        # The scorer leaves out what is not English: the line of moods has its gap there, too.
        valence = scores.valence if scores and scores.valence else answers[at].valence
        answers[at] = replace(answers[at], scores=scores, valence=valence)
        conversation = with_exchange(conversation, replace(exchange, answers=tuple(answers)))
    return conversation


def measured(text: str) -> Valence:
    """Valence of `text`: by VADER alone where the lexicon that was named cannot be read."""
    try:
        return valence(text)
    except EmpoError:
        return Valence(vader(text))
