"""The Train tab, step 1: where the data come from, which pairs are made, and what they teach.

Its components are there from the start, but empty: `train_events` fills them when it is opened.
"""

from __future__ import annotations

import gradio as gr
from gradio.components import Component

from empo.data.emotions import EMOTIONS
from empo.data.strategies import DEFAULT_MIX, MIX, MIX_ABOUT, MIX_TITLE, PRESETS, STRATEGIES
from empo.data.uploads import UPLOAD
from empo.hub.sources import SOURCES as TO_FETCH
from empo.ui.pair_card import ORIGINS
from empo.ui.pair_desk import ANY, ED, MAX_DRAWS, OWN, PairDesk

INTRO = """<h2>Step 1 · What is it to learn from?</h2>
<p>A preference pair is one message with two replies: one to prefer, one to reject. A model that is
trained on such pairs moves towards the first and away from the second. Look at the pairs before you
train on them: what gives the good reply away is what the model will learn.</p>"""
TITLES = {name: strategy.title for name, strategy in STRATEGIES.items()} | {MIX: MIX_TITLE}
ABOUT = {name: strategy.about for name, strategy in STRATEGIES.items()} | {MIX: MIX_ABOUT}
_SHOW = """const here = element.querySelector(".here");
const draw = () => {
  const held = here.contains(document.activeElement) ? document.activeElement.dataset : null;
  here.innerHTML = props.value || "";
  if (!held) return;
  const again = held.go && here.querySelector(`button[data-go="${held.go}"]:not(:disabled)`);
  (again || here.querySelector("article"))?.focus({ preventScroll: true });
};
watch("value", draw); draw();
"""
_LEAF = """
const go = (button) => {
  if (button && !button.disabled) trigger("leaf", { to: Number(button.dataset.to) });
};
element.addEventListener("click", (event) => go(event.target.closest("button[data-to]")));
element.addEventListener("keydown", (event) => {
  const way = { ArrowLeft: "back", ArrowRight: "on" }[event.key];
  if (way) { event.preventDefault(); go(here.querySelector(`button[data-go="${way}"]`)); }
});
"""


class TrainTab:
    """Builds the tab's inside in the current Blocks."""

    def __init__(self, desk: PairDesk) -> None:
        self.desk = desk
        gr.HTML(INTRO, elem_id="train-intro", apply_default_css=False, js_on_load=None)
        with gr.Row(elem_id="train-choices"):
            with gr.Column(scale=4, min_width=280):
                self._source()
            with gr.Column(scale=5, min_width=300):
                self._strategy()
        self.notice = self._shown("train-notice")
        self._filters()
        self.cards = self._shown("pairs", _LEAF)
        self.measure = gr.Button("What do these pairs teach?", elem_id="measure")
        self.report = self._shown("pair-report")

    def _shown(self, name: str, more: str = "") -> gr.HTML:
        """A place for HTML that was escaped on the server."""
        return gr.HTML(
            "",
            html_template="<div class='here'></div>",
            js_on_load=_SHOW + more,
            apply_default_css=False,
            elem_id=name,
        )

    def _source(self) -> None:
        self.source = gr.Radio(
            [("EmpatheticDialogues", ED), ("Starter set, our own", OWN), ("Your file", UPLOAD)],
            value=OWN,
            label="Dialogues",
            elem_id="pair-source",
        )
        self.token = gr.State(None)
        self.seen = gr.State(False)
        with gr.Column(visible=False, elem_id="pair-upload") as self.upload_box:
            self.file = gr.File(
                label="Ready pairs: .jsonl, .csv or .parquet, at most 16 MB",
                file_types=[".jsonl", ".csv", ".parquet"],
                elem_id="pair-file",
            )
            gr.Markdown(
                "Columns `prompt`, `chosen`, `rejected`, and `emotion` and `opposite` if you have "
                "them; without `prompt`, two dialogues that differ in their last reply. The file "
                "is read, then deleted; its pairs are kept in memory for a while, for you alone."
            )
        with gr.Column(visible=False, elem_id="get-ed") as self.get_box:
            self.terms = gr.HTML("", elem_id="ed-terms", apply_default_css=False, js_on_load=None)
            self.accept = gr.Checkbox(label="I accept these terms", elem_id="ed-accept")
            self.get = gr.Button("Get EmpatheticDialogues (CC BY-NC)", elem_id="ed-get")

    def _strategy(self) -> None:
        with gr.Column(elem_id="pair-ways") as self.ways:
            self.preset = gr.Radio(
                [(TITLES[name], name) for name in PRESETS],
                value="paper",
                label="Rejected replies",
                elem_id="pair-preset",
            )
            self.about = self._shown("preset-about")
            self.mix = gr.Textbox(
                ", ".join(f"{name}={share:g}" for name, share in DEFAULT_MIX.items()),
                label="Shares of the mix",
                max_length=200,
                visible=False,
                elem_id="pair-mix",
            )
            with gr.Row():
                self.draws = gr.Slider(
                    *(1, MAX_DRAWS), value=1, step=1, label="Rejected per message", min_width=200
                )
                self.seed = gr.Number(0, precision=0, label="Seed", min_width=100)

    def _filters(self) -> None:
        with gr.Row(elem_id="pair-filters"):
            self.emotion = gr.Dropdown(
                [("any feeling", ANY), *sorted(EMOTIONS)],
                value=ANY,
                label="Feeling",
                min_width=140,
                elem_id="pair-emotion",
            )
            self.origin = gr.Dropdown(
                [("any origin", ANY), *((title, name) for name, title in ORIGINS.items())],
                value=ANY,
                label="Origin",
                min_width=140,
                elem_id="pair-origin",
            )
            self.words = gr.Textbox(
                label="Words in it",
                placeholder="dog, exam …",
                max_length=200,
                min_width=140,
                elem_id="pair-words",
            )

    @property
    def choice(self) -> list[Component]:
        """What names a set of pairs, in the order of `train_events.chosen`."""
        return [self.source, self.preset, self.draws, self.seed, self.mix, self.token]

    @property
    def filters(self) -> list[Component]:
        return [self.emotion, self.origin, self.words]


def terms_text() -> str:
    """Who owns EmpatheticDialogues, where it comes from and on which terms (no user's text)."""
    source = TO_FETCH["ed"]
    where = source.files[0].url.split("/")[2]
    lines = source.terms.replace("\n", "<br>")
    return f"<p><b>{source.title}</b><br>{lines}<br>From: {where}, about 28 MB.</p>"
