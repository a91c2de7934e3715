"""Step 2 of the Train tab: the few settings that matter, the rest folded."""

from __future__ import annotations

from dataclasses import astuple
from typing import get_args

import gradio as gr
from gradio.components import Component

from empo.training.recipe import Losses
from empo.ui.run_desk import MAX_MORE, NEW, Form, first_form, models, starts

INTRO = """<h2>Step 2 · How is it to learn?</h2>
<p>SFT copies good replies; DPO and KTO move the model towards the replies to prefer and away from
the others, without leaving the model it begins from too far behind.</p>"""
METHODS = [
    ("SFT · by examples", "sft"),
    ("DPO · by preferences", "dpo"),
    ("KTO · by single judgements", "kto"),
]


class RecipeForm:
    """Builds the fields; their values in order are a `Form`."""

    def __init__(self) -> None:
        first = first_form("dpo", "nano")
        gr.HTML(INTRO, elem_classes="step-intro", apply_default_css=False, js_on_load=None)
        with gr.Column(elem_id="recipe-fields"):
            self._what(first)
            self._how(first)
            with gr.Accordion("Everything else", open=False, elem_id="recipe-more"):
                self._rest(first)
        self.note = gr.HTML("", elem_id="recipe-note", apply_default_css=False, js_on_load=None)
        self.go = gr.Button("Start the run", variant="primary", elem_id="recipe-start")

    def _what(self, first: Form) -> None:
        self.kind = gr.Radio(METHODS, value="dpo", label="Method", elem_id="recipe-kind")
        with gr.Row():
            self.model = gr.Dropdown(
                list(models()), value="nano", label="Model", elem_id="recipe-model", min_width=160
            )
            self.start = gr.Dropdown(
                starts("dpo", "nano"),
                value=first.start,
                label="Goes on from",
                elem_id="recipe-from",
                min_width=160,
            )
            self.name = gr.Textbox(
                first.name,
                label="Name of the run",
                max_length=41,
                elem_id="recipe-name",
                min_width=160,
            )

    def _how(self, first: Form) -> None:
        with gr.Row():
            self.limit = gr.Number(
                first.limit,
                precision=0,
                label="Pairs (SFT: dialogues)",
                elem_id="recipe-limit",
                min_width=130,
            )
            self.epochs = gr.Number(
                first.epochs, label="Passes over them", elem_id="recipe-epochs", min_width=130
            )
            self.rate = gr.Number(
                first.rate, label="Learning rate", elem_id="recipe-rate", min_width=130
            )
            self.beta = gr.Number(
                first.beta,
                label="Beta (nearness)",
                elem_id="recipe-beta",
                min_width=130,
            )
            self.loss = gr.Dropdown(
                list(get_args(Losses)),
                value=first.loss,
                label="Loss",
                elem_id="recipe-loss",
                min_width=130,
            )

    def _rest(self, first: Form) -> None:
        with gr.Row():
            self.batch = gr.Number(first.batch, precision=0, label="Batch", min_width=120)
            self.accumulate = gr.Number(
                first.accumulate, precision=0, label="Batches a step", min_width=120
            )
            self.length = gr.Number(
                first.length, precision=0, label="Longest row, tokens", min_width=120
            )
        self.more = gr.Textbox(
            first.more,
            label="Further settings, one key=value a line",
            lines=3,
            max_lines=12,
            max_length=MAX_MORE,
            elem_id="recipe-lines",
        )

    @property
    def fields(self) -> list[Component]:
        """In the order of `Form`."""
        return [
            *(self.kind, self.model, self.start, self.name, self.limit, self.epochs, self.rate),
            *(self.beta, self.loss, self.batch, self.accumulate, self.length, self.more),
        ]

    def filled(self, form: Form) -> dict[Component, object]:
        """The fields showing `form`."""
        found = dict(zip(self.fields, astuple(form), strict=True))
        choices = starts(form.kind, form.model)
        value = form.start if form.start in [v for _, v in choices] else NEW
        found[self.start] = gr.Dropdown(choices, value=value)
        found[self.beta] = gr.Number(form.beta, visible=form.kind != "sft")
        found[self.loss] = gr.Dropdown(value=form.loss, visible=form.kind == "dpo")
        return found
