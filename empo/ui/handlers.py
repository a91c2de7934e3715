"""What happens on the Compare tab, as functions from plain values to plain values.

No Gradio: `compare_tab` wires these to components. A `Screen` is what a step changes; fields left
None stay as they are.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from empo import conversation as talk
from empo.conversation import MAX_COLUMNS, Conversation
from empo.danger import points_to_danger
from empo.data.recorded import Recorded, recorded
from empo.errors import EmpoError, UsageError
from empo.models.stacks import Stack
from empo.sampling import LIMITS, check_message, check_sampling
from empo.training.queue import EVALUATE
from empo.training.status import RunStatus
from empo.types import Sampling
from empo.ui import replay
from empo.ui.control import Control
from empo.ui.live_charts import live_charts
from empo.ui.services import Services
from empo.ui.share import Shared
from empo.ui.transcript import Facts, Kind, file_name, transcript
from empo.ui.turns import answer, scored
from empo.ui.view import Cast, view
from empo.ui.waiting import Place

POLL = 0.25  # seconds between two looks at the line and at the loading engine


@dataclass(frozen=True, slots=True)
class Screen:
    """A step of the page: the columns' view, chart, message box, and the visitor's state."""

    view: dict[str, Any]
    chart: str | None = None
    box: str | None = None
    conversation: Conversation | None = None
    columns: tuple[str, ...] | None = None
    recorded: Conversation | None = None  # shown in place of the live conversation
    sweep: dict[str, Any] | None = None  # what the sweep's panel shows


@dataclass(frozen=True, slots=True)
class Asked:
    """Everything a turn is asked with. `conversation` None: the example is still on the screen."""

    conversation: Conversation | None
    columns: tuple[str, ...]
    sampling: Sampling
    prompt: str
    session: str


def guarded(steps: Iterator[Screen], failed: Callable[[str], Screen]) -> Iterator[Screen]:
    """`steps`; where something goes wrong, `failed` of one sentence instead of what is left."""
    try:
        yield from steps
        return
    except EmpoError as error:
        notice = str(error)
    except Exception:
        # A mistake of ours: it goes to the log whole, and the page must not hang on it.
        logging.getLogger(__name__).exception("a turn failed")
        notice = "Something went wrong here, and your message is back in its box: try again."
    yield failed(notice)


class Handlers:
    """The Compare tab's behaviour for one set of services."""

    def __init__(self, services: Services, cast: Cast, opening: Conversation | None) -> None:
        self.services, self.cast, self.opening = services, cast, opening
        self.recorded_cast = Cast(replay.STACK)

    def recast(self, stack: Stack) -> None:
        """Offer the models of `stack` from now on."""
        self.cast = replace(self.cast, stack=stack)

    # -- what is shown

    def show(
        self,
        conversation: Conversation | None,
        columns: Sequence[str],
        notice: str = "",
        running: bool = False,
        also: str = "",
    ) -> dict[str, Any]:
        """The columns' view; the opening example where nothing was said yet.

        `also`: a message that is answered beside the conversation.
        """
        example = conversation is None and self.opening is not None
        shown = conversation or (self.opening if example else None) or Conversation()
        said = [also] if example else [also, *(e.message for e in shown.path())]
        return view(
            self.cast,
            columns,
            shown,
            running=running,
            notice=notice,
            example=example,
            care=any(map(points_to_danger, said)),
            listener=self.services.scorer.listener,
        )

    def chart(self, conversation: Conversation | None) -> str:
        shown = self.opening if conversation is None else conversation
        path = shown.path() if shown else ()
        return live_charts(path, self.cast.palette(path), self.services.scorer.listener)

    def _still(self, conversation: Conversation | None, asked: Asked, notice: str = "") -> Screen:
        return Screen(
            self.show(conversation, asked.columns, notice),
            self.chart(conversation),
            conversation=conversation,
        )

    # -- turns

    def send(self, text: str, asked: Asked) -> Iterator[Screen]:
        """Say `text` after everything said so far."""
        yield from self._guarded(text, asked.conversation or Conversation(), asked)

    def edit(self, number: int, text: str, asked: Asked) -> Iterator[Screen]:
        """Say `text` instead of message `number`, on a branch of its own."""
        try:
            start = talk.before(asked.conversation or Conversation(), number)
        except EmpoError as error:
            yield self._still(asked.conversation, asked, str(error))
            return
        yield from self._guarded(text, start, asked)

    def again(self, asked: Asked) -> Iterator[Screen]:
        """Answer the last message once more, with the next seed, as a further version."""
        conversation = asked.conversation
        if conversation is None or conversation.leaf is None:
            yield self._still(conversation, asked, "There is nothing to answer again yet.")
            return
        last = conversation.exchange(conversation.leaf)
        versions = [conversation.exchange(n) for n in conversation.versions(last.id)]
        seed = max(v.sampling.seed for v in versions if v.message == last.message) + 1
        sampling = replace(asked.sampling, seed=seed if seed in LIMITS["seed"] else 0)
        start = talk.before(conversation, last.id)
        yield from self._guarded(last.message, start, replace(asked, sampling=sampling))

    def _guarded(self, text: str, start: Conversation, asked: Asked) -> Iterator[Screen]:
        """A turn; a problem becomes one sentence, and the message goes back into its box."""

        def failed(notice: str) -> Screen:
            kept = text if len(text) <= talk.MAX_CHARACTERS else ""
            shown = self.show(asked.conversation, asked.columns, notice)
            return Screen(shown, self.chart(asked.conversation), kept)

        yield from guarded(self._turn(text, start, asked), failed)

    def _turn(self, text: str, start: Conversation, asked: Asked) -> Iterator[Screen]:
        columns, text = asked.columns, check_message(text)
        specs = self.cast.specs(columns)
        sampling = check_sampling(asked.sampling)
        hashes = [self.cast.hash_of(spec) for spec in specs]
        services = self.services
        before = services.watch.at_work
        with services.running.turn(asked.session) as control, services.line.place() as place:
            now, histories = talk.say(start, text, specs, sampling, asked.prompt, hashes)
            yield Screen(self.show(now, columns, "", True), self.chart(now), "")
            for notice in self.waits(place, control):
                yield Screen(self.show(now, columns, notice, True))
            if not control.cancel.is_set():
                engine = services.holder.engine
                for fuller in answer(engine, now, histories, specs, control):
                    now = fuller
                    yield Screen(self.show(now, columns, "", True))
        self._timed(now, before)
        now = scored(talk.settled(now), services.scorer)
        yield Screen(self.show(now, columns), self.chart(now), conversation=now)

    def _timed(self, now: Conversation, before: RunStatus | None) -> None:
        """Count how fast the turn was, unless a run began or ended meanwhile."""
        after = self.services.watch.at_work
        same = (before and before.name) == (after and after.name)
        if same and (before is None or before.kind != EVALUATE):
            replies = [answer.reply for answer in now.path()[-1].answers if answer.reply]
            self.services.pace.note(replies, before is not None)

    def waits(self, place: Place, control: Control) -> Iterator[str]:
        """One sentence each time what is being waited for changes; ends when it is our turn."""
        holder, last = self.services.holder, ""
        while not control.cancel.is_set():
            if ahead := place.ahead:
                notice = f"Others are being answered: you are number {ahead + 1} in line."
                place.wait(POLL)
            elif not holder.wait(0):
                status = holder.status
                notice = f"{status.text} Your message is answered right after."
                holder.wait(POLL)
            else:
                return
            if notice != last:
                last = notice
                yield notice

    # -- the paper's recorded replies

    def recorded(self) -> tuple[Recorded, ...]:
        """All of them; empty where none were fetched.

        Raises:
            DataError: a file is damaged.
        """
        return recorded(self.services.replies)

    def replay(self, number: int, asked: Asked) -> Screen:
        """Show a recorded situation; the live conversation waits."""
        try:
            entries = self.recorded()
        except EmpoError as error:
            return self._still(asked.conversation, asked, str(error))
        if not 0 <= number < len(entries):
            return self._still(asked.conversation, asked)
        shown = scored(replay.as_conversation(entries[number]), self.services.scorer)
        names = [answer.model for answer in shown.path()[-1].answers]
        listener = self.services.scorer.listener
        screen = view(self.recorded_cast, names, shown, fixed=True, listener=listener)
        chart = live_charts(shown.path(), self.recorded_cast.colours, listener, replay.WHO)
        return Screen(screen, chart, recorded=shown)

    def live(self, asked: Asked) -> Screen:
        """Back from a recorded situation to the live conversation."""
        return self._still(asked.conversation, asked)

    # -- taking it along

    def shared(self, asked: Asked, box: str) -> Shared:
        """What a link to this conversation carries."""
        path = asked.conversation.path() if asked.conversation else ()
        message = path[0].message if path else box.strip()
        return Shared(asked.columns, asked.sampling, asked.prompt, message)

    def download(
        self, kind: Kind, asked: Asked, recorded: Conversation | None, link: str
    ) -> tuple[str, str]:
        """(file name, text) of what is on the screen."""
        cast = self.recorded_cast if recorded else self.cast
        shown = recorded or asked.conversation or self.opening or Conversation()
        facts = self.facts(cast, "" if recorded else link)
        path = shown.path()
        return file_name(kind, path), transcript(
            kind, shown, facts, cast.palette(path), self.services.scorer.listener
        )

    def models(self) -> dict[str, Any]:
        """What the pickers offer now, for a page that may have been made before a run finished."""
        return {"models": self.cast.picks()}

    def facts(self, cast: Cast, link: str = "") -> Facts:
        """What the replies were made with, as far as it is known now."""
        base = cast.stack.base.path
        holder = self.services.holder
        if cast is self.recorded_cast:
            return Facts("recorded", base, "as published", "replies released with the paper")
        if holder.status.state != "ready":
            return Facts(cast.stack.name, base, "not loaded yet", "no device yet", link)
        engine = holder.engine
        return Facts(cast.stack.name, base, engine.quantisation, engine.device, link)

    # -- moving about

    def undo(self, asked: Asked) -> Screen:
        """Take the last exchange away; its message comes back into the box."""
        conversation, text = talk.undo(asked.conversation or Conversation())
        screen = self._still(conversation, asked)
        return replace(screen, box=text) if text else screen

    def new(self, asked: Asked) -> Screen:
        """An empty conversation."""
        return replace(self._still(Conversation(), asked), box="", sweep={})

    def follow(self, number: int, column: int, asked: Asked) -> Screen:
        """Go on from one reply: it becomes everybody's history."""
        return self._moved(asked, lambda c: talk.continue_from(c, number, column))

    def version(self, number: int, asked: Asked) -> Screen:
        """Go to another version of a message."""
        return self._moved(asked, lambda c: talk.switch(c, number))

    def _moved(self, asked: Asked, move: Any) -> Screen:
        try:
            return self._still(move(asked.conversation or Conversation()), asked)
        except EmpoError as error:
            return self._still(asked.conversation, asked, str(error))

    def choose(self, names: object, asked: Asked) -> Screen:
        """Other models for the columns."""
        try:
            columns = self.checked(names)
        except EmpoError as error:
            return self._still(asked.conversation, asked, str(error))
        screen = self._still(asked.conversation, replace(asked, columns=columns))
        return replace(screen, columns=columns)

    def checked(self, names: object) -> tuple[str, ...]:
        """`names` as columns.

        Raises:
            UsageError: no list of one to four models of the stack.
        """
        if not isinstance(names, list | tuple) or not 1 <= len(names) <= MAX_COLUMNS:
            raise UsageError(f"Choose between one and {MAX_COLUMNS} models.")
        return tuple(spec.name for spec in self.cast.specs([str(name) for name in names]))

    def restore(self, kept: object, asked: Asked) -> Screen:
        """A conversation that the visitor's own browser tab kept over a reload."""
        try:
            data = kept if isinstance(kept, dict) else {}
            conversation = talk.settled(talk.from_data(data.get("conversation")))
            columns = self.checked(data.get("columns"))
        except EmpoError as error:
            return self._still(asked.conversation, asked, str(error))
        screen = self._still(conversation, replace(asked, columns=columns))
        return replace(screen, columns=columns)
