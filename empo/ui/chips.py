"""Situations to try, as chips: one tap sends one. The rest of the 32 unfold, by emotion."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import gradio as gr

from empo.data.situations import Situation

FIRST = ("proud", "lonely", "embarrassed", "devastated")
_SCRIPT = """
element.addEventListener("click", (event) => {
  const chip = event.target.closest("button[data-at]");
  if (!chip || document.body.classList.contains("empo-running")) return;
  const all = element.querySelector("details");
  if (all) all.open = false;
  trigger("pick", { at: Number(chip.dataset.at) });
});
"""


def chips(situations: Sequence[Situation]) -> gr.HTML:
    """The component; its event `pick` carries `at`, the place in `situations`."""
    return gr.HTML(
        html_template=_markup(situations).replace("$", "&#36;").replace("{", "&#123;"),
        js_on_load=_SCRIPT,
        apply_default_css=False,
        elem_id="chips",
    )


def _markup(situations: Sequence[Situation]) -> str:
    numbered = list(enumerate(situations))
    first = [(at, s) for at, s in numbered if s.emotion in FIRST]
    row = "".join(
        f'<button type="button" data-at="{at}" title="{escape(s.text)}">{escape(s.title)}</button>'
        for at, s in first
    )
    everything = "".join(
        f'<button type="button" data-at="{at}">'
        f"<small>{escape(s.emotion)}</small>{escape(s.title)}</button>"
        for at, s in numbered
    )
    return (
        '<div class="row" role="group" aria-label="Situations to try">'
        '<span class="hint">Try</span>'
        f"{row}<details><summary>All {len(situations)} feelings</summary>"
        f'<div class="all">{everything}</div></details></div>'
    )
