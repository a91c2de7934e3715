"""*Compare with it*: a finished run among the voices of the Compare tab, picked in a column."""

from __future__ import annotations

from typing import Any

import gradio as gr
from gradio.components import Component

from empo.types import Sampling
from empo.ui.compare_tab import CompareTab
from empo.ui.finished_runs import FinishedRuns
from empo.ui.handlers import Asked
from empo.ui.owner import require_owner

COLUMNS = 3


class TryRun:
    """Picks a run that is laid over the base, or has it laid there. `tabs` are the page's."""

    def __init__(self, compare: CompareTab, tabs: gr.Tabs, finished: FinishedRuns) -> None:
        self.compare, self.tabs, self.handlers = compare, tabs, compare.handlers
        self.finished = finished

    @property
    def inputs(self) -> list[Component]:
        return [self.compare.conversation]

    @property
    def outputs(self) -> list[Component]:
        return [*self.compare.outputs, self.tabs]

    def updates(self, request: gr.Request, name: str, conversation: Any) -> dict[Any, Any]:
        """The Compare tab with the run in its last column.

        Raises:
            UsageError: it has not finished, sits on another base, or the engine takes no runs.
            NotAllowed: it is not loaded yet, and it is not the owner who asks.
        """
        if name not in self.finished:
            require_owner(request)
            self.finished.bring(name)
        own = [model.name for model in self.handlers.services.stack.models if model.adapters]
        columns = (*own[: COLUMNS - 1], name)
        asked = Asked(conversation, columns, Sampling(), "none", str(request.session_hash))
        screen = self.handlers.choose(columns, asked)
        compare = self.compare
        found: dict[Any, Any] = {compare.stage: screen.view, compare.chart: screen.chart}
        return found | {compare.columns: columns, self.tabs: gr.Tabs(selected="compare")}
