"""The columns: a gr.HTML whose value is a view (empo/ui/view.py) and whose script draws it."""

from __future__ import annotations

from typing import Any

import gradio as gr

from empo.settings import ASSETS
from empo.ui.care import HELP_LINES

SCRIPT = ASSETS / "compare.js"
_TEMPLATE = f"""
<p class="example" hidden><b>An example.</b> These replies were written earlier by the models below,
word for word. Tap a situation above or write your own: yours takes its place.</p>
<div class="heads" role="group" aria-label="Models"></div>
<p class="empty" hidden>Tap a situation above, or write below what happened to you: every model
answers the same words at the same time.</p>
<div class="stage" role="log" aria-label="Conversation" aria-live="off"></div>
<p class="whyline" hidden>
<button type="button" class="quiet why" aria-pressed="false">Show why</button>
<span class="key" aria-hidden="true"><span class="w w0">warmth</span>
<span class="w w1">understanding</span> <span class="w w2">curiosity</span>
<span>&nbsp;the words that each was read from</span></span></p>
<p class="care" role="note" hidden>{HELP_LINES}</p>
<p class="notice" role="status"></p>
<div class="spoken" aria-live="polite" aria-label="Finished replies"></div>
"""


def columns(value: dict[str, Any]) -> gr.HTML:
    """The component. Its events: edit, halt, opened; move (columns, follow, version, restore)."""
    return gr.HTML(
        value,
        html_template=_TEMPLATE,
        js_on_load=SCRIPT.read_text("utf-8"),
        apply_default_css=False,
        elem_id="compare",
    )
