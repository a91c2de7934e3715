"""*Compare with it*: a finished run among the voices of the Compare tab, picked in a column."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Any

import gradio as gr
from gradio.components import Component

from empo.errors import EmpoError, UsageError
from empo.models.catalogue import with_runs
from empo.types import Sampling
from empo.ui.compare_tab import CompareTab
from empo.ui.handlers import Asked
from empo.ui.owner import require_owner

KEPT = 3  # finished runs over the base at once; the one picked longest ago goes first
COLUMNS = 3


class TryRun:
    """Lays finished runs over the loaded base. `tabs` are the page's."""

    def __init__(self, compare: CompareTab, tabs: gr.Tabs) -> None:
        self.compare, self.tabs, self.handlers = compare, tabs, compare.handlers
        self._names: list[str] = []
        self._lock = threading.Lock()

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
        with self._lock:
            if name not in self._names:
                require_owner(request)
                self._load(name)
        own = [model.name for model in self.handlers.services.stack.models if model.adapters]
        columns = (*own[: COLUMNS - 1], name)
        asked = Asked(conversation, columns, Sampling(), "none", str(request.session_hash))
        screen = self.handlers.choose(columns, asked)
        compare = self.compare
        found: dict[Any, Any] = {compare.stage: screen.view, compare.chart: screen.chart}
        return found | {compare.columns: columns, self.tabs: gr.Tabs(selected="compare")}

    def _load(self, name: str) -> None:
        services = self.handlers.services
        if services.holder.status.state == "loading":
            raise UsageError("The models are still being loaded: try again in a moment.")
        engine = services.holder.engine
        exchange = getattr(engine, "exchange", None)
        if exchange is None:
            raise EmpoError("The models that answer here cannot take another one in.")
        names = [*self._names, name][-KEPT:]
        stack = with_runs(services.stack, names)
        exchange(stack)
        self._names = names
        self.handlers.cast = replace(self.handlers.cast, stack=stack)
