"""What the Train tab's runs do: shown from the disk alone, started and ended by the owner alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import sha256
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.components import Component

from empo import runs
from empo.budget import Budget, has_gpu
from empo.data.uploads import UPLOAD
from empo.errors import EmpoError, UsageError
from empo.estimate import Estimate
from empo.hub.prices import Prices
from empo.runs import Run
from empo.training.recipe import RunSpec
from empo.training.status import ACTIVE, RunStatus
from empo.ui.jobs_panel import JobsEvents
from empo.ui.own_space import own_space, recipe_link
from empo.ui.owner import is_owner, require_owner
from empo.ui.pair_desk import ANY
from empo.ui.run_charts import MOST
from empo.ui.run_desk import NEW, Form, RunDesk, first_form, form_of, learns_from, starts, uploaded
from empo.ui.run_list import run_list
from empo.ui.run_view import SLOWER, clock, parts
from empo.ui.services import Services
from empo.ui.train_events import QUIET, TrainEvents, chosen
from empo.ui.trainer_tab import RECIPE, RUN, TrainerTab
from empo.ui.try_run import TryRun

SHOWN: dict[str, Any] = {**QUIET, "concurrency_id": "runs", "concurrency_limit": 4}
AT_WORK = (*ACTIVE, "queued")
NOTHING = "Start a run in step 2, or open one at the left: its curves and replies are shown here."
ZERO = (
    "Training cannot run on ZeroGPU: the GPU is lent for a minute at a time, and only to a call "
    "that a visitor waits for. Its owner can have it done on HF Jobs, in step 3 (or with python -m "
    "empo runs start … --on jobs); or duplicate the Space onto a GPU of its own."
)
Updates = dict[Any, Any]


class TrainerEvents:
    """Wires the list, the recipe and the run.

    `pairs` shows other pairs in step 1; `tries` picks a finished run on the Compare tab.
    """

    def __init__(
        self, tab: TrainerTab, services: Services, pairs: TrainEvents, tries: TryRun
    ) -> None:
        self.tab, self.services, self.pairs, self.tries = tab, services, pairs, tries
        released = services.place.released if services.place else lambda: 0
        self.desk = RunDesk(tab.pairs.desk, released)
        self.prices = Prices()

    def wire(self, opened: Callable[..., Any], left: Sequence[Callable[..., Any]]) -> None:
        """`opened` and `left` are the select events of the Train tab and of the others."""
        tab, form = self.tab, self.tab.form
        at = [tab.picked, tab.beside]
        shown = self.shown
        asked = [*form.fields, *tab.pairs.choice]
        seen = [tab.steps, form.note, form.go, form.start]
        opened(self.open, [*at, *form.fields[:3]], [*shown, *seen], **SHOWN)
        gr.on([tab.timer.tick], self.tick, [*at, tab.stamp], shown, **SHOWN)
        for event in left:
            event(self.leave, None, tab.timer, **QUIET, queue=False)
        every = [*shown, tab.steps, *form.fields, *tab.pairs.choice[:4], *self.tries.outputs]
        every += [tab.pairs.token, *self.pairs.outputs]
        for trigger in (tab.list.act, tab.view.act):
            trigger(self.act, [*at, *self.tries.inputs], every, **SHOWN)
        tab.on.click(lambda: gr.Tabs(selected=RECIPE), None, tab.steps, **QUIET, queue=False)
        gr.on(
            [form.kind.input, form.model.input], self.refill, form.fields[:2], form.fields, **SHOWN
        )
        changes = [tab.second.select, *(field.change for field in form.fields)]
        late: dict[str, Any] = {**SHOWN, "trigger_mode": "always_last"}
        gr.on(changes, self.weigh, asked, form.note, **late)
        alone: dict[str, Any] = {**QUIET, "concurrency_limit": 1, "concurrency_id": "start"}
        form.go.click(self.start, [*asked, tab.beside], [*shown, tab.steps, form.note], **alone)
        zero = self.services.settings.zero_gpu
        JobsEvents(tab.jobs, self.desk, zero, self.show, shown).wire(opened, tab.picked, asked)

    @property
    def shown(self) -> list[Component]:
        """What `show` draws."""
        tab = self.tab
        return [tab.picked, tab.beside, tab.stamp, tab.list, tab.view, tab.timer]

    # -- what is shown

    def open(self, request: gr.Request, picked: Any, beside: Any, *form: Any) -> Updates:
        """The tab as it is opened: the open run, else the one at work, else the newest."""
        found = runs.runs()
        names = [status.name for status in found]
        busy = [status.name for status in found if status.state in AT_WORK]
        picked = picked or request.query_params.get("run")  # where the page was before a refresh
        open_ = picked if picked in names else (busy or names or [""])[0]
        updates = self.show(request, open_, _others(beside, names))
        updates[self.tab.form.start] = self._starts(*form)
        if (busy and not picked) or (open_ and open_ == request.query_params.get("run")):
            updates[self.tab.steps] = gr.Tabs(selected=RUN)
        refusal = ZERO if self.services.settings.zero_gpu else ""
        if refusal or not is_owner(request):
            updates[self.tab.form.go] = gr.Button(visible=False)
            updates[self.tab.form.note] = _note(refusal) if refusal else gr.skip()
        return updates

    def _starts(self, kind: Any, model: Any, start: Any) -> gr.Dropdown:
        """What a run may go on from now: runs may have finished since the page was made."""
        try:
            choices = starts(kind, model)
        except EmpoError:
            return gr.skip()
        known = start in [value for _, value in choices]
        return gr.Dropdown(choices, value=start if known else NEW)

    def show(self, request: gr.Request, picked: Any, beside: Any, notice: str = "") -> Updates:
        """List and run as the disk has them now; the timer runs on while the tab is open."""
        tab, found = self.tab, runs.runs()
        names = [status.name for status in found]
        open_ = picked if picked in names else ""
        others = tuple(name for name in _others(beside, names) if name != open_)
        said = f"<span>{escape(notice)}</span>" if notice else ""
        view = {"notice": said} | self._run(open_, others, is_owner(request))
        return {
            tab.picked: open_,
            tab.beside: others,
            tab.stamp: self._stamp(found, open_, others),
            tab.list: {"list": run_list(found, open_, others)},
            tab.view: view,
            tab.timer: gr.Timer(active=True),
        }

    def _stamp(self, found: Sequence[RunStatus], picked: str, others: Sequence[str]) -> str:
        """Of everything that is shown: where it is the same, nothing is read and sent again."""
        sizes = [_size(name) for name in (picked, *others) if name]
        told = repr((found, picked, others, sizes, self._chat()))
        return sha256(told.encode()).hexdigest()[:16]

    def _chat(self) -> str:
        """What a run at work does to the chat."""
        place, pace = self.services.place, self.services.pace
        if place is not None and place.away:
            return f"{place.said} {pace.said()}"
        return "" if has_gpu() else f"{SLOWER} {pace.said()}"

    def _run(self, name: str, others: Sequence[str], owner: bool) -> dict[str, str]:
        if not name:
            return {"head": f'<p class="quiet">{NOTHING}</p>'}
        try:
            run, more = runs.run(name), _readable(others)
            rows = {one.name: runs.metrics(one.name) for one in (run, *more)}
            samples, log = runs.samples(name), runs.log_tail(name)
            return parts(run, rows, samples, log, more, owner, self._chat())
        except EmpoError as error:
            return {"head": f"<p>{escape(str(error))}</p>"}

    def tick(self, request: gr.Request, picked: Any, beside: Any, stamp: Any) -> Updates:
        """A look while the tab is open; a run that has begun elsewhere is opened.

        What is open stays untouched: it may have been changed while this look was on its way.
        """
        statuses = runs.runs()
        names = [status.name for status in statuses]
        open_ = picked or _busy(statuses)
        others = tuple(name for name in _others(beside, names) if name != open_)
        if stamp == self._stamp(statuses, open_ if open_ in names else "", others):
            return gr.skip()
        found = self.show(request, open_, beside)
        if picked:
            del found[self.tab.picked], found[self.tab.beside]
        return found

    def leave(self) -> gr.Timer:
        """Another tab is open: nobody looks."""
        return gr.Timer(active=False)

    # -- what is done

    def act(self, event: gr.EventData, request: gr.Request, *values: Any) -> Updates:
        """A click in the list or on the open run."""
        picked, beside, *tried = values
        data = event._data if isinstance(event._data, dict) else {}
        kind, name = data.get("kind"), str(data.get("run", ""))
        try:
            if kind == "open":
                return self.show(request, name, beside) | {self.tab.steps: gr.Tabs(selected=RUN)}
            if kind in ("with", "without"):
                kept = [other for other in _list(beside) if other != name]
                return self.show(request, picked, kept + [name] * (kind == "with"))
            if kind == "copy":
                return self.again(request, runs.run(name).spec)
            if kind == "compare":
                return self.tries.updates(request, name, *tried)
            does: dict[Any, Callable[..., str | None]]
            does = {"stop": self.stop, "end": self.end, "resume": self.resume}
            does["delete"] = self.delete
            if kind not in does:
                raise UsageError("There is no such button.")
            said = does[kind](request, name)
        except EmpoError as error:
            return self.show(request, picked, beside, str(error))
        return self.show(request, picked, beside, said or "")

    def again(self, request: gr.Request, spec: RunSpec) -> Updates:
        """Steps 1 and 2 as they were for `spec`, with the file that its owner had sent."""
        found = dict(self.tab.form.filled(form_of(spec)))
        if path := uploaded(spec):
            found |= self._file_again(request, path, spec)
        elif spec.kind != "sft":
            asked = (spec.data, spec.strategy, spec.draws, spec.seed)
            found |= dict(zip(self.tab.pairs.choice[:4], asked, strict=True))
            found |= self.pairs.change(request, *asked, "", None, ANY, ANY, "")
        return found | {self.tab.steps: gr.Tabs(selected=RECIPE)}

    def _file_again(self, request: gr.Request, path: Path, spec: RunSpec) -> Updates:
        """The pairs that `spec` learnt from, where they came from a file: for its owner alone."""
        pairs, token = self.tab.pairs, None
        if is_owner(request):
            token = pairs.desk.keep(path, f"{spec.name}.jsonl")
        asked = (UPLOAD, spec.strategy, spec.draws, spec.seed)
        found = dict(zip(pairs.choice[:4], asked, strict=True)) | {pairs.token: token}
        found |= self.pairs.change(request, *asked, "", token, ANY, ANY, "")
        if token is None:
            found[pairs.notice] = _note("It learnt from its owner's file: send one of your own.")
        return found

    def stop(self, request: gr.Request, name: str) -> None:
        """End the run after its current step.

        Raises:
            NotAllowed: it is not the owner who asks.
            UsageError: there is no such run, or nothing to stop.
        """
        require_owner(request)
        runs.stop(name)

    def end(self, request: gr.Request, name: str) -> None:
        """End its processes now. Raises: as `stop`."""
        require_owner(request)
        runs.stop(name, now=True)

    def resume(self, request: gr.Request, name: str) -> None:
        """Put it in line again. Raises: as `stop`, and Busy."""
        require_owner(request)
        self._can_train()
        runs.resume(name)

    def delete(self, request: gr.Request, name: str) -> str:
        """Throw it away; what is left of it elsewhere. Raises: as `stop`."""
        require_owner(request)
        return self.desk.delete(name)

    def start(self, request: gr.Request, *values: Any) -> Updates:
        """Start what step 2 says, on the pairs of step 1, and show it."""
        *asked, beside = values
        form = self.tab.form
        count = len(form.fields)
        try:
            require_owner(request)
            self._can_train()
            made = self.desk.start(Form(*asked[:count]), chosen(*asked[count:]))
        except EmpoError as error:
            return {form.note: _note(str(error))}
        self.services.watch.wake()  # the chat may have to give way
        return self.show(request, made.name, beside) | {
            self.tab.steps: gr.Tabs(selected=RUN),
            form.note: "",
        }

    def _can_train(self) -> None:
        if self.services.settings.zero_gpu:
            raise UsageError(ZERO)

    # -- step 2

    def refill(self, kind: Any, model: Any) -> Updates:
        """The recipe's own values for another method or model."""
        try:
            return dict(self.tab.form.filled(first_form(kind, model)))
        except EmpoError:
            return gr.skip()

    def weigh(self, request: gr.Request, *values: Any) -> str:
        """Memory and time of what is asked for, and for visitors where to run it."""
        count = len(self.tab.form.fields)
        try:
            choice = chosen(*values[count:])
            spec, budget, time = self.desk.weigh(Form(*values[:count]), choice)
            said = _note(f"{learns_from(spec, choice)} {weighed(budget, time)}")
            zero = self.services.settings.zero_gpu
            if zero or not is_owner(request):
                said += _note(ZERO) if zero else ""
                space = self.services.settings.space_id
                # On one's own machine nobody is asked anything behind one's back.
                prices = self.prices.known() if space else None
                return f'{said}<div class="own">{own_space(spec, space, prices)}</div>'
            return said + recipe_link(spec)
        except EmpoError as error:
            return _note(str(error))


def weighed(budget: Budget, time: Estimate) -> str:
    """Memory and time in one or two sentences, with the cheapest fix where it does not fit."""
    steps = f"{time.steps:,} step{'' if time.steps == 1 else 's'}"
    long = "a time that is " if time.seconds is None else f"about {clock(time.seconds)}, "
    said = f"{steps}, {long}{time.basis}."
    if budget.needed is None:
        return f"{said} Its memory is not known: the base's files are not on this machine."
    need, free = budget.needed / 1e9, budget.free / 1e9
    if budget.fits:
        return f"{said} It takes about {need:.2g} GB of memory; {free:.2g} GB are free."
    return (
        f"{said} It does not fit: {need:.2g} GB are needed, {free:.2g} GB are free; {budget.fix}."
    )


def _readable(names: Sequence[str]) -> list[Run]:
    found = []
    for name in names[: MOST - 1]:
        try:
            found.append(runs.run(name))
        except EmpoError:  # thrown away, or damaged, since the page was drawn
            continue
    return found


def _size(name: str) -> tuple[int, ...]:
    try:
        return runs.written(name)
    except EmpoError:  # thrown away since
        return ()


def _busy(found: Sequence[RunStatus]) -> str:
    return next((status.name for status in found if status.state in ACTIVE), "")


def _list(value: Any) -> list[str]:
    found = value if isinstance(value, list | tuple) else ()
    return [name for name in found if isinstance(name, str)][: MOST - 1]


def _others(value: Any, names: Sequence[str]) -> tuple[str, ...]:
    return tuple(name for name in _list(value) if name in names)


def _note(text: str) -> str:
    return f"<p>{escape(text)}</p>"
