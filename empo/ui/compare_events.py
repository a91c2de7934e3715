"""What the components of the Compare tab call. Events are few on purpose: each one weighs on the
first page, so one event serves several buttons and its target says which.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import gradio as gr
from gradio.components import Component
from gradio.events import EventListener

from empo.conversation import Conversation
from empo.types import Sampling
from empo.ui.compare_tab import CompareTab
from empo.ui.handlers import Asked, Handlers, Screen
from empo.ui.keep import COPY, as_file
from empo.ui.share import address
from empo.ui.share import link as share_link
from empo.ui.share import read as read_shared
from empo.ui.sweep import Sweeps

Columns = tuple[str, ...]
Updates = dict[Component, Any]
QUIET: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
AT_ONCE: dict[str, Any] = {**QUIET, "queue": False}
# A question sent between a turn's last screen and the end of its event would be dropped: the page
# stays "running" until then.
IDLE = "() => window.dispatchEvent(new Event('empo-idle'))"


def wire(tab: CompareTab) -> None:
    """Give every component of the tab what it does."""
    _Asking(tab).wire()
    _Moving(tab).wire()
    _Keeping(tab).wire()


class _Events:
    def __init__(self, tab: CompareTab) -> None:
        self.tab = tab
        self.handlers: Handlers = tab.handlers

    def updates(self, screen: Screen) -> Updates:
        """A screen as Gradio's updates; what is None stays."""
        tab = self.tab
        found: Updates = {tab.stage: screen.view, tab.recorded: screen.recorded}
        for component, value in (
            (tab.chart, screen.chart),
            (tab.box, screen.box),
            (tab.conversation, screen.conversation),
            (tab.columns, screen.columns),
            (tab.panel.sweep, screen.sweep),
        ):
            if component is not None and value is not None:
                found[component] = value
        return found


class _Asking(_Events):
    """Everything that asks the models and streams screens, and what stops it."""

    def wire(self) -> None:
        tab = self.tab
        pool = {
            **QUIET,
            "concurrency_limit": self.handlers.services.line.limit + 1,
            "concurrency_id": "turns",
        }
        asking = [tab.go.click, tab.box.submit, tab.again.click]
        asking += [custom(tab.chips, "pick"), custom(tab.stage, "edit")]
        if tab.panel.sweep:
            asking.append(custom(tab.panel.sweep, "sweep"))
        asked = gr.on(asking, self.run, tab.inputs, tab.outputs, **pool)
        asked.then(None, js=IDLE, api_visibility="private")
        halting = [tab.stop.click, custom(tab.stage, "halt")]
        gr.on(halting, self.halt, None, None, **AT_ONCE, trigger_mode="multiple")

    def run(
        self,
        box: str,
        conversation: Conversation | None,
        columns: Columns,
        temperature: float,
        top_p: float,
        penalty: float,
        tokens: int,
        seed: int,
        prompt: str,
        event: gr.EventData,
        request: gr.Request,
    ) -> Iterator[Updates]:
        sampling = as_sampling(temperature, top_p, penalty, tokens, seed)
        asked = Asked(conversation, tuple(columns), sampling, prompt, _session(request))
        for screen in self.screens(box or "", asked, event):
            yield self.updates(screen)

    def screens(self, box: str, asked: Asked, event: gr.EventData) -> Iterator[Screen]:
        if _from(event, self.tab.again):
            return self.handlers.again(asked)
        if _from(event, self.tab.chips):
            return self.handlers.send(self.situation(_whole(event.at)), asked)
        if _from(event, self.tab.stage):
            return self.handlers.edit(_whole(event.id), str(event.text), asked)
        if self.tab.panel.sweep and _from(event, self.tab.panel.sweep):
            return Sweeps(self.handlers).run(box, _data(event).get("beyond") is True, asked)
        return self.handlers.send(box, asked)

    def situation(self, at: int) -> str:
        known = self.tab.situations
        return known[at].text if 0 <= at < len(known) else ""

    def halt(self, event: gr.EventData, request: gr.Request) -> None:
        column = _whole(event.column) if _from(event, self.tab.stage) else None
        self.handlers.services.running.stop(_session(request), column)


class _Moving(_Events):
    """Everything that only moves about in the conversation, or changes what is shown."""

    def wire(self) -> None:
        tab = self.tab
        inputs = [tab.replay.found, tab.conversation, tab.columns]
        moving = [tab.undo.click, tab.new.click, tab.replay.back.click, tab.replay.found.input]
        moving.append(custom(tab.stage, "move"))
        # None is dropped, each finds what the one before it left: a dial may move on while it is
        # answered. (Gradio's "always_last" would repeat the first event, not send the last.)
        in_turn = {"trigger_mode": "multiple", "concurrency_limit": 1}
        gr.on(moving, self.run, inputs, tab.outputs, **QUIET, **in_turn)
        fields = [*tab.panel.settings, tab.stage, tab.box, tab.columns]
        tab.stage.opened(self.opened, None, fields, **AT_ONCE)

    def run(
        self,
        number: int | None,
        conversation: Conversation | None,
        columns: Columns,
        event: gr.EventData,
        request: gr.Request,
    ) -> Updates:
        asked = Asked(conversation, tuple(columns), Sampling(), "none", _session(request))
        return self.updates(self.screen(number, asked, event))

    def screen(self, number: int | None, asked: Asked, event: gr.EventData) -> Screen:
        handlers, tab = self.handlers, self.tab
        if _from(event, tab.undo):
            return handlers.undo(asked)
        if _from(event, tab.new):
            return handlers.new(asked)
        if _from(event, tab.replay.found):
            return handlers.replay(_whole(number), asked)
        if _from(event, tab.stage):
            return self.moved(_data(event), asked)
        return handlers.live(asked)

    def moved(self, data: dict[str, Any], asked: Asked) -> Screen:
        """What the columns' script asks for: see `move` there."""
        handlers, kind = self.handlers, data.get("kind")
        if kind == "follow":
            return handlers.follow(_whole(data.get("id")), _whole(data.get("column")), asked)
        if kind == "version":
            return handlers.version(_whole(data.get("id")), asked)
        if kind == "columns":
            return handlers.choose(data.get("columns"), asked)
        return handlers.restore(data, asked)

    def opened(self, event: gr.EventData) -> Updates:
        """What a shared link asks for, put into the page's fields; see `restore` in the script."""
        tab = self.tab
        query = event.query if isinstance(event.query, dict) else {}
        texts = {str(name): str(value) for name, value in query.items()}
        shared = read_shared(texts, self.handlers.cast.stack)
        if shared is None:
            return {tab.columns: gr.skip()}
        s = shared.sampling
        values = (s.temperature, s.top_p, s.repetition_penalty, s.max_new_tokens, s.seed)
        found: Updates = dict(zip(tab.panel.settings, (*values, shared.prompt), strict=True))
        if event.fresh:
            found[tab.columns] = shared.columns
            found[tab.stage] = self.handlers.show(None, shared.columns)
            found[tab.box] = shared.message
        return found


class _Keeping(_Events):
    """Downloads, and the link."""

    def wire(self) -> None:
        keep, inputs = self.tab.keep, [*self.tab.inputs, self.tab.recorded]
        buttons = [*(button.click for button in keep.files.values()), keep.share.click]
        made = gr.on(
            buttons, self.run, inputs, [keep.saver, keep.link], **QUIET, concurrency_limit=None
        )
        made.then(None, keep.link, None, js=COPY)

    def run(
        self,
        box: str,
        conversation: Conversation | None,
        columns: Columns,
        temperature: float,
        top_p: float,
        penalty: float,
        tokens: int,
        seed: int,
        prompt: str,
        recorded: Conversation | None,
        event: gr.EventData,
        request: gr.Request,
    ) -> Updates:
        sampling = as_sampling(temperature, top_p, penalty, tokens, seed)
        asked = Asked(conversation, tuple(columns), sampling, prompt, _session(request))
        url = self.link(asked, box or "", request)
        keep = self.tab.keep
        for kind, button in keep.files.items():
            if _from(event, button):
                name, text = self.handlers.download(kind, asked, recorded, url)
                return {keep.saver: as_file(kind, name, text)}
        return {keep.link: gr.Textbox(url, visible=True)}

    def link(self, asked: Asked, box: str, request: gr.Request) -> str:
        space = self.handlers.services.settings.space_id
        base = address(space, request.headers.get("host", "localhost"), request.url.scheme)
        return share_link(base, self.handlers.shared(asked, box))


def as_sampling(
    temperature: float, top_p: float, penalty: float, tokens: float, seed: float
) -> Sampling:
    """Settings as the sliders give them: a temperature may come as 2, a whole number as 60.0."""
    whole = {"max_new_tokens": tokens, "seed": seed}
    return Sampling(
        temperature=float(temperature),
        top_p=float(top_p),
        repetition_penalty=float(penalty),
        **{k: int(v) if isinstance(v, float) and v.is_integer() else v for k, v in whole.items()},
    )


def custom(component: gr.HTML, name: str) -> Callable[..., Any]:
    """An event of the component's own script, as `gr.on` takes it beside the ordinary ones."""
    listener = EventListener(name).listener
    listener.__self__ = component  # a component's own events carry this, too
    return listener


def _from(event: gr.EventData, component: Component) -> bool:
    # By elem_id: a component that was updated in a session is another object, with another _id.
    return getattr(event.target, "elem_id", None) == component.elem_id


def _data(event: gr.EventData) -> dict[str, Any]:
    """What a component's own script sent with its event."""
    return event._data if isinstance(event._data, dict) else {}


def _whole(value: object) -> int:
    """A number from the browser; anything else is no place in a conversation."""
    return value if isinstance(value, int) and not isinstance(value, bool) else -1


def _session(request: gr.Request) -> str:
    return str(request.session_hash)
