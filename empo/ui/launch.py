"""Serves a page behind its door: the same for the app and for pages made to test one part of it."""

from __future__ import annotations

from collections.abc import Sequence

import gradio as gr
from starlette.middleware import Middleware
from starlette.routing import BaseRoute

from empo.ui.door import Door
from empo.ui.files import routes
from empo.ui.headers import MAX_UPLOAD, Guard
from empo.ui.owner import Gate
from empo.ui.theme import head, theme


def launch(
    page: gr.Blocks,
    gate: Gate,
    host: str,
    port: int,
    *,
    behind: Sequence[Middleware] = (),
    more_routes: Sequence[BaseRoute] = (),
    max_threads: int = 40,
) -> None:
    """Serve `page` in a thread of its own.

    Args:
        behind: middleware that sees a request only once headers and door have let it through.
        more_routes: routes beside those of the project's own files.
        max_threads: how many of the page's functions may run at once.
    """
    page.launch(
        server_name=host,
        server_port=port,
        theme=theme(),
        head=head(),
        share=False,
        ssr_mode=False,
        pwa=False,
        mcp_server=False,
        run_history=False,
        enable_monitoring=False,
        show_error=False,
        footer_links=[],
        max_file_size=f"{MAX_UPLOAD // 1_000_000}mb",
        app_kwargs={
            "middleware": [Middleware(Guard), Middleware(Door, gate=gate), *behind],
            "routes": [*routes(), *more_routes],
        },
        max_threads=max_threads,
        quiet=True,
        prevent_thread_lock=True,
    )
