"""The line at the top: the project's name, and how far the models are."""

from __future__ import annotations

from html import escape

import gradio as gr

from empo.ui.services import Services

_POLL = 0.7  # seconds between two looks while the models load


def header(services: Services) -> tuple[gr.HTML, gr.Timer]:
    """The line, and the timer that keeps it true until loading has ended."""
    line = gr.HTML(_line(services), elem_id="top", apply_default_css=False, js_on_load=None)
    timer = gr.Timer(_POLL)

    def look() -> tuple[object, object]:
        ended = services.holder.status.state != "loading"
        return _line(services), gr.Timer(active=not ended)

    timer.tick(
        look,
        None,
        [line, timer],
        show_progress="hidden",
        concurrency_limit=None,
        api_visibility="private",
    )
    return line, timer


def _line(services: Services) -> str:
    status = services.holder.status
    text = status.text
    if status.state == "ready":
        engine = services.holder.engine
        place = "CPU" if engine.device == "cpu" else engine.device
        text = f"ready · {services.stack.title} · {place}"
    elif status.state == "loading" and status.share:
        text = f"{text} {status.share:.0%}"
    return (
        '<span class="mark">Em<span>PO</span> Space</span>'
        f'<span class="pill {status.state}" role="status"><i></i>{escape(text)}</span>'
    )
