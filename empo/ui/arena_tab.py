"""The Arena tab: one component, which a script draws, and what it calls.

The script and the style of the tab are files of their own (empo/ui/files.py), fetched when the tab
is first opened: the first page carries none of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import gradio as gr

from empo.errors import EmpoError
from empo.ui.arena import ArenaHandlers
from empo.ui.arena_view import CONSENT_TEXT, blank
from empo.ui.care import HELP_LINES
from empo.ui.owner import visitor

QUIET: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
# The events that Gradio looks for: trigger("play") and trigger("act").
_SCRIPT = """
const root = window.gradio_config?.root || location.origin;
import(`${root}/empo/arena.js`).then((arena) => arena.start({
  element, props, watch, root,
  play: (data) => trigger("play", data),
  act: (data) => trigger("act", data),
})).catch(() => {
  element.querySelector(".here").textContent = "The arena could not be loaded: reload the page.";
});
"""
_TEMPLATE = f"""<p class="consent">{CONSENT_TEXT}</p>
<p class="care" role="note" hidden>{HELP_LINES}</p><div class="here"></div>"""


class ArenaTab:
    """Builds the tab inside the current Blocks and wires it.

    `below` builds what stands below the battles: the leaderboard.
    """

    def __init__(self, handlers: ArenaHandlers, below: Callable[[], object] | None = None) -> None:
        self.handlers = handlers
        self.stage = gr.HTML(
            handlers.start(),
            html_template=_TEMPLATE,
            js_on_load=_SCRIPT,
            apply_default_css=False,
            elem_id="arena",
        )
        limit = handlers.services.line.limit + 1
        pool = {"concurrency_limit": limit, "concurrency_id": "battles"}
        self.stage.play(self.play, None, self.stage, **QUIET, **pool)
        # Not one at a time: a vote must not be lost because a ranking is still being counted.
        at_any_time = {"concurrency_limit": 8, "trigger_mode": "multiple"}
        acted = self.stage.act(self.act, None, self.stage, **QUIET, **at_any_time)
        if below:
            board = below()
            acted.then(board.show, board.inputs, board.outputs, **QUIET, concurrency_limit=4)

    def play(self, event: gr.EventData, request: gr.Request) -> Iterator[dict[str, Any]]:
        try:
            voter = visitor(request)
        except EmpoError as error:
            yield self._stranger(error)
            return
        yield from self.handlers.play(_data(event), voter)

    def act(self, event: gr.EventData, request: gr.Request) -> dict[str, Any]:
        try:
            voter = visitor(request)
        except EmpoError as error:
            return self._stranger(error)
        return self.handlers.act(_data(event), voter)

    def _stranger(self, error: EmpoError) -> dict[str, Any]:
        return blank("live", self.handlers.modes, str(error))


def _data(event: gr.EventData) -> dict[str, Any]:
    return event._data if isinstance(event._data, dict) else {}
