"""Run on HF Jobs, in step 3 of the Train tab: price first, accepted, then started. The owner's.

Sees the network only when asked what it costs, and never shows the token.
"""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from typing import Any

import gradio as gr
from gradio.components import Component

from empo import runs
from empo.errors import EmpoError, UsageError
from empo.hub.hardware import TABLE
from empo.jobs.offer import USUAL_LIMIT, Offer, offer
from empo.training.recipe import RunSpec
from empo.training.status import RESUMABLE
from empo.ui.owner import is_owner, require_owner
from empo.ui.run_desk import Form, RunDesk
from empo.ui.train_events import QUIET, chosen

CHEAPEST = ""
LIMITS = ("30m", USUAL_LIMIT, "2h", "4h", "8h", "1d")
ABOUT = (
    "A machine of Hugging Face does the run, paid by the minute from your balance there; it goes "
    "on without this page, and its curves and its adapter come back here by themselves. What the "
    "run needs goes into a private repository of yours."
)
WHY = (
    "Training cannot run on ZeroGPU: the GPU is lent for a minute at a time, and only to a call "
    "that a visitor waits for. So the run is offered as a job, on a machine of its own. "
)
Updates = dict[Any, Any]
ALONE: dict[str, Any] = {**QUIET, "concurrency_limit": 1, "concurrency_id": "jobs"}


class JobsPanel:
    """Builds the panel in the current Blocks."""

    def __init__(self) -> None:
        self.offered = gr.State(None)  # dollars at most, of what was shown last
        with gr.Accordion("Run on HF Jobs", open=False, visible=False, elem_id="jobs") as self.box:
            self.about = gr.HTML("", apply_default_css=False, js_on_load=None, elem_id="jobs-about")
            with gr.Row():
                self.flavor = gr.Dropdown(
                    [("the cheapest that fits", CHEAPEST), *((f.said, f.name) for f in TABLE)],
                    value=CHEAPEST,
                    label="Machine (flavour)",
                    elem_id="jobs-flavor",
                    min_width=240,
                )
                self.limit = gr.Dropdown(
                    list(LIMITS),
                    value=USUAL_LIMIT,
                    label="Ends at the latest after",
                    allow_custom_value=True,
                    elem_id="jobs-limit",
                    min_width=140,
                )
            self.ask = gr.Button("What does it cost?", elem_id="jobs-ask")
            self.price = gr.HTML("", apply_default_css=False, js_on_load=None, elem_id="jobs-price")
            self.accept = gr.Checkbox(
                label="I accept that price", visible=False, elem_id="jobs-accept"
            )
            with gr.Row():
                self.go = gr.Button(
                    "Run on HF Jobs", variant="primary", visible=False, elem_id="jobs-go"
                )
                self.again = gr.Button("Resume", visible=False, elem_id="jobs-again")

    @property
    def machine(self) -> list[Component]:
        return [self.flavor, self.limit]


class JobsEvents:
    """Wires the panel. `zero`: on ZeroGPU; `show` draws list and run as they are into `shown`."""

    def __init__(
        self,
        panel: JobsPanel,
        desk: RunDesk,
        zero: bool,
        show: Callable[..., Updates],
        shown: list[Component],
    ) -> None:
        self.panel, self.desk, self.zero, self.show, self.shown = panel, desk, zero, show, shown

    def wire(self, opened: Callable[..., Any], picked: Component, form: list[Component]) -> None:
        """`opened`: the tab's select event; `form`: the fields of step 2, then step 1's choice."""
        panel = self.panel
        offered = [panel.offered, panel.price, panel.accept, panel.go, panel.again]
        opened(self.open, None, [panel.box, panel.about], **QUIET)
        panel.ask.click(self.cost, [picked, *panel.machine, *form], offered, **ALONE)
        for field in panel.machine:  # another machine has another price
            field.input(self.withdraw, None, offered, **QUIET, queue=False)
        given = [picked, panel.accept, panel.offered, *panel.machine, *form]
        outputs = [*self.shown, *offered]
        panel.go.click(self.start, given, outputs, **ALONE)
        panel.again.click(self.resume, given[:5], outputs, **ALONE)

    def open(self, request: gr.Request) -> Updates:
        """Only the owner sees it; on ZeroGPU it is open, and says why."""
        panel = self.panel
        text = f"<p>{escape((WHY if self.zero else '') + ABOUT)}</p>"
        wide: dict[str, Any] = {"open": True} if self.zero else {}
        box = gr.Accordion(visible=is_owner(request), **wide)
        return {panel.box: box, panel.about: text}

    def cost(
        self, request: gr.Request, picked: Any, flavor: Any, limit: Any, *form: Any
    ) -> Updates:
        """What step 2, or taking the open run up again, would cost at most."""
        try:
            require_owner(request)
            again = _resumable(picked)
            spec = runs.run(again).spec if again else self._spec(*form)
            found = _offer(spec, flavor, limit)
        except EmpoError as error:
            return self.withdraw() | {self.panel.price: _note(str(error))}
        panel = self.panel
        return {
            panel.offered: found.cost,
            panel.price: _note(f"The run {spec.name}, {spec.kind.upper()}. {found.said}"),
            panel.accept: gr.Checkbox(value=False, visible=True),
            panel.go: gr.Button(visible=True),
            panel.again: gr.Button(f"Resume {again} there", visible=bool(again)),
        }

    def withdraw(self) -> Updates:
        """No price is shown, so none can be accepted."""
        panel = self.panel
        hidden = gr.Button(visible=False)
        return {
            panel.offered: None,
            panel.price: "",
            panel.accept: gr.Checkbox(value=False, visible=False),
            panel.go: hidden,
            panel.again: hidden,
        }

    def start(
        self, request: gr.Request, picked: Any, accept: Any, offered: Any, flavor: Any, limit: Any,
        *form: Any,
    ) -> Updates:  # fmt: skip
        """Start step 2 as a job; its files are sent in the background, as its status says."""
        try:
            require_owner(request)
            amount = _accepted(accept, offered)
            found = _offer(self._spec(*form), flavor, limit)
            found.accept(amount)
            spec = self.desk.ready(*self._asked(*form))
            name = runs.start_job(spec, found, amount, background=True).name
        except EmpoError as error:
            return {self.panel.price: _note(str(error))}
        return self.show(request, name, ()) | self.withdraw()

    def resume(
        self, request: gr.Request, picked: Any, accept: Any, offered: Any, flavor: Any, limit: Any
    ) -> Updates:
        """Take the open run up again in a new job."""
        try:
            require_owner(request)
            amount = _accepted(accept, offered)
            name = _resumable(picked)
            if not name:
                raise UsageError("Open a run on HF Jobs that was stopped, failed or interrupted.")
            found = _offer(runs.run(name).spec, flavor, limit)
            runs.resume_job(name, found, amount, background=True)
        except EmpoError as error:
            return {self.panel.price: _note(str(error))}
        return self.show(request, name, ()) | self.withdraw()

    def _asked(self, *form: Any) -> tuple[Form, Any]:
        fields = len(Form.__dataclass_fields__)
        return Form(*form[:fields]), chosen(*form[fields:])

    def _spec(self, *form: Any) -> RunSpec:
        return self.desk.spec(*self._asked(*form))


def _offer(spec: RunSpec, flavor: Any, limit: Any) -> Offer:
    if not isinstance(flavor, str) or not isinstance(limit, str):
        raise UsageError("Choose a machine and a time limit.")
    return offer(spec, flavor or None, limit)


def _accepted(accept: Any, offered: Any) -> float:
    """Dollars at most, if the box is ticked below a price. Raises UsageError otherwise."""
    if accept is not True or not isinstance(offered, int | float):
        raise UsageError("Look what it costs and accept that price first.")
    return float(offered)


def _resumable(name: Any) -> str:
    """The open run, if a new job can take it up; else nothing."""
    if not isinstance(name, str) or not name or not runs.on_hub(name):
        return ""
    return name if runs.run(name).status.state in RESUMABLE else ""


def _note(text: str) -> str:
    return f"<p>{escape(text)}</p>"
