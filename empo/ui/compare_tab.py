"""The Compare tab: components, and which handler each of them calls."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import gradio as gr
from gradio.components import Component

from empo.conversation import Conversation
from empo.data.recorded import find_files
from empo.data.situations import situations
from empo.doctor import gpus
from empo.sampling import MAX_CHARACTERS
from empo.types import Sampling
from empo.ui.chips import chips
from empo.ui.columns import columns
from empo.ui.facts import live_line
from empo.ui.handlers import Asked, Handlers, Screen
from empo.ui.keep import COPY, as_file, keep_panel
from empo.ui.panel import Panel, panel
from empo.ui.replay_panel import replay_panel
from empo.ui.share import address
from empo.ui.share import link as share_link
from empo.ui.share import read as read_shared
from empo.ui.transcript import Kind

QUIET: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}


class CompareTab:
    """Builds the tab inside the current Blocks and wires it."""

    def __init__(self, handlers: Handlers) -> None:
        self.handlers = handlers
        names = tuple(m.name for m in handlers.cast.stack.models)[:3]
        self.situations = situations()
        self.conversation = gr.State(None)
        self.columns = gr.State(names)
        self.recorded = gr.State(None)
        self.chips = chips(self.situations)
        gr.HTML(self._live(), elem_id="live", apply_default_css=False, js_on_load=None)
        self.stage = columns(handlers.show(None, names))
        self._composer()
        with gr.Row(elem_id="below"):
            with gr.Column(scale=5, min_width=300):
                self._chart()
            with gr.Column(scale=4, min_width=300, elem_id="folds"):
                self.panel: Panel = panel(handlers.cast.stack)
                self.replay = replay_panel(handlers)
                self.keep = keep_panel()
        self._wire()

    def _live(self) -> str:
        services = self.handlers.services
        there = bool(find_files(services.replies))
        return live_line(services.stack, gpus(), there)

    def _chart(self) -> None:
        self.chart = gr.HTML(
            self.handlers.chart(None),
            html_template="<div class='here'></div>",
            js_on_load="""const here = element.querySelector(".here");
            const draw = () => {
              const open = [...here.querySelectorAll("details[open]")].map((d) => d.dataset.key);
              here.innerHTML = props.value || "";
              for (const fold of here.querySelectorAll("details")) {
                fold.open = open.includes(fold.dataset.key);
              }
            };
            watch("value", draw); draw();""",
            apply_default_css=False,
            elem_id="charts",
        )

    def _composer(self) -> None:
        with gr.Row(elem_id="composer"):
            self.box = gr.Textbox(
                placeholder="Say what happened to you …",
                label="Your message",
                show_label=False,
                container=False,
                lines=1,
                max_lines=6,
                max_length=MAX_CHARACTERS,
                elem_id="say",
            )
            self.go = gr.Button("Send", variant="primary", elem_id="send")
            self.stop = gr.Button("Stop", variant="primary", elem_id="stop")
        with gr.Row(elem_id="tools", elem_classes="calm"):
            self.again = gr.Button("Regenerate", size="sm", elem_id="again")
            self.undo = gr.Button("Undo", size="sm", elem_id="undo")
            self.new = gr.Button("New conversation", size="sm", elem_id="new")

    # -- wiring

    def _wire(self) -> None:
        h = self.handlers
        self._asks([self.go.click, self.box.submit], lambda a, box, _: h.send(box, a))
        self._asks([self.again.click], lambda a, *_: h.again(a))
        self._asks([self.chips.pick], lambda a, _, e: h.send(self._situation(e.at), a))
        self._asks([self.stage.edit], lambda a, _, e: h.edit(_whole(e.id), str(e.text), a))
        self._moves(self.undo.click, lambda a, _: h.undo(a))
        self._moves(self.new.click, lambda a, _: h.new(a))
        self._moves(self.stage.follow, lambda a, e: h.follow(_whole(e.id), _whole(e.column), a))
        self._moves(self.stage.version, lambda a, e: h.version(_whole(e.id), a))
        self._moves(self.stage.columns, lambda a, e: h.choose(e.columns, a))
        self._moves(self.stage.restore, lambda a, e: h.restore(e._data, a))
        self.replay.found.input(
            self._replay,
            [self.replay.found, self.conversation, self.columns],
            self.outputs,
            **QUIET,
            concurrency_limit=None,
        )
        self._moves(self.replay.back.click, lambda a, _: h.live(a))
        self.stage.opened(
            self._opened,
            None,
            [*self.panel.settings, self.stage, self.box, self.columns],
            **QUIET,
            queue=False,
        )
        self._keeps()
        self.stop.click(self._stop, **QUIET, queue=False)
        self.stage.halt(self._halt, **QUIET, queue=False)

    def _stop(self, request: gr.Request) -> None:
        self.handlers.services.running.stop(_session(request))

    def _halt(self, event: gr.EventData, request: gr.Request) -> None:
        self.handlers.services.running.stop(_session(request), _whole(event.column))

    def _replay(
        self,
        number: int | None,
        conversation: Conversation | None,
        columns: tuple[str, ...],
        request: gr.Request,
    ) -> dict[Component, Any]:
        asked = Asked(conversation, tuple(columns), Sampling(), "none", _session(request))
        return self.updates(self.handlers.replay(_whole(number), asked))

    def _keeps(self) -> None:
        """Wire the downloads and the link."""
        h, inputs = self.handlers, [*self._inputs, self.recorded]

        def link(asked: Asked, box: str, request: gr.Request) -> str:
            space = h.services.settings.space_id
            base = address(space, request.headers.get("host", "localhost"), request.url.scheme)
            return share_link(base, h.shared(asked, box))

        def wire(button: gr.Button, kind: Kind | None) -> None:
            def run(
                box: str,
                conversation: Conversation | None,
                columns: tuple[str, ...],
                temperature: float,
                top_p: float,
                penalty: float,
                tokens: int,
                seed: int,
                prompt: str,
                recorded: Conversation | None,
                request: gr.Request,
            ) -> Any:
                sampling = as_sampling(temperature, top_p, penalty, tokens, seed)
                asked = Asked(conversation, tuple(columns), sampling, prompt, _session(request))
                url = link(asked, box or "", request)
                if kind is None:
                    return gr.Textbox(url, visible=True)
                return as_file(kind, *h.download(kind, asked, recorded, url))

            target = self.keep.link if kind is None else self.keep.saver
            done = button.click(run, inputs, target, **QUIET, concurrency_limit=None)
            if kind is None:
                done.then(None, target, None, js=COPY)

        for kind, button in self.keep.files.items():
            wire(button, kind)
        wire(self.keep.share, None)

    def _opened(self, event: gr.EventData) -> dict[Component, Any]:
        """What a shared link asks for, put into the page's fields; see `restore` in the script."""
        query = event.query if isinstance(event.query, dict) else {}
        texts = {str(name): str(value) for name, value in query.items()}
        shared = read_shared(texts, self.handlers.cast.stack)
        if shared is None:
            return {self.columns: gr.skip()}
        s = shared.sampling
        values = (s.temperature, s.top_p, s.repetition_penalty, s.max_new_tokens, s.seed)
        found = dict(zip(self.panel.settings, (*values, shared.prompt), strict=True))
        if event.fresh:
            found[self.columns] = shared.columns
            found[self.stage] = self.handlers.show(None, shared.columns)
            found[self.box] = shared.message
        return found

    def _situation(self, at: object) -> str:
        number = _whole(at)
        return self.situations[number].text if 0 <= number < len(self.situations) else ""

    @property
    def _inputs(self) -> list[Component]:
        return [self.box, self.conversation, self.columns, *self.panel.settings]

    @property
    def outputs(self) -> list[Component]:
        return [
            self.stage,
            self.chart,
            self.box,
            self.conversation,
            self.columns,
            self.recorded,
        ]

    def _asks(
        self, triggers: list[Any], call: Callable[[Asked, str, Any], Iterator[Screen]]
    ) -> None:
        """Wire something that asks the models and streams screens."""

        def run(
            box: str,
            conversation: Conversation | None,
            columns: tuple[str, ...],
            temperature: float,
            top_p: float,
            penalty: float,
            tokens: int,
            seed: int,
            prompt: str,
            event: gr.EventData,
            request: gr.Request,
        ) -> Iterator[dict[Component, Any]]:
            sampling = as_sampling(temperature, top_p, penalty, tokens, seed)
            asked = Asked(conversation, tuple(columns), sampling, prompt, _session(request))
            for screen in call(asked, box or "", event):
                yield self.updates(screen)

        for trigger in triggers:  # custom events are not for gr.on
            trigger(
                run,
                self._inputs,
                self.outputs,
                **QUIET,
                concurrency_limit=self.handlers.services.line.limit + 1,
                concurrency_id="turns",
            )

    def _moves(self, trigger: Any, call: Callable[[Asked, Any], Screen]) -> None:
        """Wire something that only moves about in the conversation."""

        def run(
            conversation: Conversation | None,
            columns: tuple[str, ...],
            event: gr.EventData,
            request: gr.Request,
        ) -> dict[Component, Any]:
            asked = Asked(conversation, tuple(columns), Sampling(), "none", _session(request))
            return self.updates(call(asked, event))

        trigger(
            run,
            [self.conversation, self.columns],
            self.outputs,
            **QUIET,
            concurrency_limit=None,
        )

    def updates(self, screen: Screen) -> dict[Component, Any]:
        """A screen as Gradio's updates; what is None stays."""
        found: dict[Component, Any] = {self.stage: screen.view, self.recorded: screen.recorded}
        for component, value in (
            (self.chart, screen.chart),
            (self.box, screen.box),
            (self.conversation, screen.conversation),
            (self.columns, screen.columns),
        ):
            if value is not None:
                found[component] = value
        return found


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


def _whole(value: object) -> int:
    """A number from the browser; anything else is no place in a conversation."""
    return value if isinstance(value, int) and not isinstance(value, bool) else -1


def _session(request: gr.Request) -> str:
    return str(request.session_hash)
