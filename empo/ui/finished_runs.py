"""Finished runs among the voices of the page: the newest by themselves, others when asked for.

A run that finishes, an app that starts anew, and an engine that comes back to the GPU all end in
the same: what the runs' folders say is laid over the base. No Gradio.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress

from empo.budget import free_memory
from empo.errors import Busy, EmpoError, OutOfMemory, StackError, UsageError
from empo.models.catalogue import fitting, with_runs
from empo.models.engine import Engine
from empo.models.fingerprint import short_hashes
from empo.models.footprint import footprint
from empo.models.stacks import Stack
from empo.training.status import RunStatus
from empo.ui.services import Services

KEPT = 3  # finished runs over the base at once; of those asked for the one longest ago goes first
Laid = dict[str, int]  # name → when the run finished: another run may get an old one's name


class FinishedRuns:
    """Lays them over the loaded base. `changed` is told the stack that answers from then on."""

    def __init__(self, services: Services, changed: Callable[[Stack], None]) -> None:
        self._services, self._changed = services, changed
        self._asked: list[str] = []
        self._laid: Laid = {}
        self._refused: Laid = {}
        self._lock = threading.RLock()
        services.watch.ask(self.heard)

    def __contains__(self, name: object) -> bool:
        return name in self._laid

    def bring(self, name: str) -> None:
        """Lay the run `name` over the base, in place of another if there are too many.

        Raises:
            UsageError: there is no such finished run on this base; the engine is not ready.
            EmpoError: the engine takes no runs, or this run is damaged.
        """
        status = self._services.holder.status
        if status.state == "loading":
            raise UsageError("The models are still being loaded: try again in a moment.")
        engine = self._services.holder.engine
        with self._lock:
            asked = [*(other for other in self._asked if other != name), name][-KEPT:]
            self._lay(
                engine, asked + [n for n in self._laid if n not in asked][: KEPT - len(asked)]
            )
            self._asked = asked

    def heard(self, found: Sequence[RunStatus]) -> None:
        """The newest finished runs, after those asked for; nothing where nothing has changed."""
        holder = self._services.holder
        if holder.status.state != "ready":
            return
        engine = holder.engine
        with self._lock:
            there = {model.spec.name: model.created for model in fitting(self._services.stack)}
            self._asked = [name for name in self._asked if name in there]
            good = [name for name in there if self._refused.get(name) != there[name]]
            names = (self._asked + [name for name in good if name not in self._asked])[:KEPT]
            on = {spec.name for spec in engine.stack.models}
            if {name: there[name] for name in names} == self._laid and on.issuperset(names):
                return
            with suppress(UsageError, Busy):  # moved or asked by many just now: at the next look
                self._try(engine, names, there)

    def _try(self, engine: Engine, names: Sequence[str], there: Laid) -> None:
        try:
            self._lay(engine, names, careful=True)
            return
        except (StackError, OutOfMemory):
            pass  # one of them is damaged or too large: each by itself, so that the others stay
        good: list[str] = []
        for name in names:
            try:
                self._lay(engine, [*good, name], careful=True)
                good.append(name)
            except (StackError, OutOfMemory) as error:
                self._refused[name] = there[name]
                logging.getLogger(__name__).warning("the run %s is left out: %s", name, error)
        if not good:
            self._lay(engine, [])

    def _lay(self, engine: Engine, names: Sequence[str], careful: bool = False) -> None:
        exchange = getattr(engine, "exchange", None)
        if exchange is None:
            raise EmpoError("The models that answer here cannot take another one in.")
        services = self._services
        stack = with_runs(services.stack, names)
        if careful:
            _check_room(stack, engine)
        exchange(stack)
        created = {model.spec.name: model.created for model in fitting(services.stack)}
        self._laid = {name: created.get(name, 0) for name in names}
        services.hashes.update(short_hashes(stack))
        self._changed(stack)


def _check_room(stack: Stack, engine: Engine) -> None:
    """Raises OutOfMemory where the adapters, read beside the present ones, would not fit."""
    gpu = engine.device.startswith("cuda")
    found = footprint(stack, engine.quantisation, gpu)
    if found is not None and found.adapters > free_memory(gpu):
        raise OutOfMemory(f"Its adapter would need {found.adapters / 1e9:.1f} GB more.")
