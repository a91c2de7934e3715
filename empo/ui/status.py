"""The line at the top: the project's name, and how far the models are."""

from __future__ import annotations

from html import escape

import gradio as gr

from empo.ui.facts import facts
from empo.ui.services import Services

_POLL = 0.7  # seconds between two looks while the models load
_SLOW = 10.0  # afterwards, where they may have to give way to a training run


def header(services: Services) -> gr.HTML:
    """The line at the top."""
    return gr.HTML(_line(services), elem_id="top", apply_default_css=False, js_on_load=None)


def keep_true(page: gr.Blocks, services: Services, line: gr.HTML, known: gr.Markdown) -> None:
    """The line and the facts, looked at when the page opens and until loading has ended."""
    timer = gr.Timer(_POLL)

    def look() -> tuple[str, str, gr.Timer]:
        loading = services.holder.status.state == "loading"
        rest = gr.Timer(_SLOW, active=services.on_gpu())
        return _line(services), facts(services), gr.Timer(_POLL) if loading else rest

    gr.on(
        [page.load, timer.tick],
        look,
        None,
        [line, known, timer],
        show_progress="hidden",
        queue=False,
        api_visibility="private",
    )


def _line(services: Services) -> str:
    status = services.holder.status
    text = status.text
    if status.state == "ready":
        engine = services.holder.engine
        place = "CPU" if engine.device == "cpu" else engine.device
        text = f"ready · {services.stack.title} · {place}"
        if services.place is not None and services.place.away:
            text = f"{text}, while a run has the GPU"
    elif status.state == "loading" and status.share:
        text = f"{text} {status.share:.0%}"
    return (
        '<span class="mark">Em<span>PO</span> Space</span>'
        f'<span class="pill {status.state}" role="status"><i></i>{escape(text)}</span>'
    )
