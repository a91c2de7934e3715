"""The Compare tab: its components. compare_events.py gives them what they do."""

from __future__ import annotations

import gradio as gr
from gradio.components import Component

from empo.data.recorded import find_files
from empo.data.situations import situations
from empo.doctor import gpus
from empo.sampling import MAX_CHARACTERS
from empo.ui.chips import chips
from empo.ui.columns import columns
from empo.ui.facts import live_line
from empo.ui.handlers import Handlers
from empo.ui.keep import keep_panel
from empo.ui.panel import Panel, panel
from empo.ui.replay_panel import replay_panel


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

    @property
    def inputs(self) -> list[Component]:
        """What a turn is asked with, in the order of `compare_events.Asking`."""
        return [self.box, self.conversation, self.columns, *self.panel.settings]

    @property
    def outputs(self) -> list[Component]:
        """What a screen may change."""
        known = [self.stage, self.chart, self.box, self.conversation, self.columns, self.recorded]
        return [*known, self.panel.sweep] if self.panel.sweep else known
