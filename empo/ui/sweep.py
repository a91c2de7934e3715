"""The sweep: one message answered at five places of the alignment dial, in one batch. No Gradio.

It stands beside the conversation and leaves it as it is. The line, Stop, and what counts as a
message are those of a turn.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from empo.conversation import Answer, Conversation, Exchange, before, history, settled
from empo.errors import UsageError
from empo.models.dial import FARTHEST, USUAL, dialled
from empo.sampling import check_message, check_sampling
from empo.types import ModelSpec, Turn
from empo.ui.handlers import Asked, Handlers, Screen, guarded
from empo.ui.sweep_chart import sweep_result
from empo.ui.turns import answer, scored

WITHIN = (0.0, 0.25, 0.5, 0.75, USUAL)
BEYOND = (0.0, 0.5, USUAL, 1.25, FARTHEST)


@dataclass(frozen=True, slots=True)
class Sweeps:
    """What the sweep's panel does, for the handlers of its tab."""

    handlers: Handlers

    def run(self, box: str, beyond: bool, asked: Asked) -> Iterator[Screen]:
        """Answer what is in the box, or else the last message said, at every place."""

        def failed(notice: str) -> Screen:
            shown = self.handlers.show(asked.conversation, asked.columns, notice)
            return Screen(shown, sweep={"notice": notice})

        yield from guarded(self._run(box, BEYOND if beyond else WITHIN, asked), failed)

    def _run(self, box: str, places: Sequence[float], asked: Asked) -> Iterator[Screen]:
        handlers, services = self.handlers, self.handlers.services
        specs = self._specs(places)
        now, told = beside(box, asked, specs)
        message = now.exchanges[0].message

        def screen(notice: str = "", running: bool = True) -> Screen:
            shown = handlers.show(asked.conversation, asked.columns, notice, running, message)
            drawn = sweep_result(now.exchanges[0], services.scorer.listener)
            return Screen(shown, sweep={"html": drawn, "notice": notice, "running": running})

        with services.running.turn(asked.session) as control, services.line.place() as place:
            yield screen()
            for notice in handlers.waits(place, control):
                yield screen(notice)
            if not control.cancel.is_set():
                histories = [told] * len(specs)
                for fuller in answer(services.holder.engine, now, histories, specs, control):
                    now = fuller
                    yield screen()
        now = scored(settled(now), services.scorer)
        yield screen(running=False)

    def _specs(self, places: Sequence[float]) -> tuple[ModelSpec, ...]:
        ends = self.handlers.cast.ends
        if ends is None:
            raise UsageError("The dial needs a stack that has an SFT and a DPO adapter.")
        return tuple(dialled(ends, place) for place in places)


def beside(
    box: str, asked: Asked, specs: Sequence[ModelSpec]
) -> tuple[Conversation, tuple[Turn, ...]]:
    """A conversation of its own with the message and one empty answer for each of `specs`, and
    what all of them are asked: the first column's history (or the adopted one), then the message.

    Raises:
        UsageError: there is neither a message in the box nor one that was said.
    """
    said = asked.conversation or Conversation()
    if not box.strip() and said.leaf is not None:
        last = said.exchange(said.leaf)
        box, said = last.message, before(said, last.id)
    message = check_message(box)
    answers = tuple(Answer(spec.name, spec.label, spec.plain, spec.stage) for spec in specs)
    exchange = Exchange(1, None, message, answers, check_sampling(asked.sampling), asked.prompt)
    told = (*history(said, 0), Turn("user", message))
    return replace(Conversation(), exchanges=(exchange,), leaf=1), told
