"""The Train tab: the runs at the left, three steps at the right.

Contents come when it is opened.
"""

from __future__ import annotations

import gradio as gr

from empo.settings import ASSETS
from empo.ui.jobs_panel import JobsPanel
from empo.ui.pair_desk import PairDesk
from empo.ui.recipe_form import RecipeForm
from empo.ui.train_tab import TrainTab

SCRIPT = ASSETS / "trainer.js"
PAUSE = 2.0  # seconds between two looks at a run
_LIST = """<h2>Runs</h2><div data-part="list"></div>"""
_VIEW = """<p class="notice" role="status" data-part="notice"></p>
<div data-part="head"></div><div class="acts" data-part="buttons"></div>
<div data-part="verdict"></div><div data-part="curves"></div><div data-part="differences"></div>
<div class="samples" data-part="samples"></div>
<details data-fold hidden><summary>What was asked for</summary><div data-part="settings"></div>
</details><details data-fold hidden><summary>What the trainer printed</summary>
<div data-part="log"></div></details>"""
DATA, RECIPE, RUN = "data", "recipe", "run"


class TrainerTab:
    """Builds the tab's inside in the current Blocks."""

    def __init__(self, desk: PairDesk) -> None:
        self.picked = gr.State("")
        self.beside = gr.State(())
        self.stamp = gr.State("")  # of what is shown
        self.timer = gr.Timer(PAUSE, active=False)
        with gr.Row(elem_id="trainer"):
            with gr.Column(scale=2, min_width=220, elem_id="run-side"):
                self.list = self._drawn("run-list", _LIST)
            with gr.Column(scale=8, min_width=320), gr.Tabs(elem_id="steps") as self.steps:
                with gr.Tab("1 · Pairs", id=DATA):
                    self.pairs = TrainTab(desk)
                    self.on = gr.Button("On to the recipe", variant="primary", elem_id="to-recipe")
                with gr.Tab("2 · Recipe", id=RECIPE) as self.second:
                    self.form = RecipeForm()
                with gr.Tab("3 · Run", id=RUN):
                    self.view = self._drawn("run-view", _VIEW)
                    self.jobs = JobsPanel()

    def _drawn(self, name: str, template: str) -> gr.HTML:
        """A place whose value is a dictionary of parts, HTML that was escaped on the server."""
        return gr.HTML(
            {},
            html_template=template,
            js_on_load=SCRIPT.read_text("utf-8"),
            apply_default_css=False,
            elem_id=name,
        )
