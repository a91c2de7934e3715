"""What the Results tab shows, as functions from what was asked to pieces of HTML. No Gradio.

What comes from the browser is a wish and nothing more: names are looked up, numbers are checked.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from empo.errors import EmpoError, UsageError
from empo.evaluation import line
from empo.evaluation.catalogue import Entry, measured
from empo.evaluation.replies import behind, by_emotion, read_lines
from empo.evaluation.shelf import Found, load, reports, together
from empo.models.catalogue import fitting
from empo.training.status import ACTIVE
from empo.ui import results_job as job
from empo.ui import results_view as view
from empo.ui.services import Services

AT_WORK = (*ACTIVE, "queued")
Parts = dict[str, Any]
"""Pieces of the tab by name; a piece that is left out stays as it is."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What the browser asks to see."""

    report: str = ""
    other: str = ""
    metric: str = ""
    system: str = ""
    emotion: str = ""
    watched: str = ""
    """The evaluation whose report is to be shown once it is there."""

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Wish:
        known = {key: data.get(key) for key in cls.__dataclass_fields__}
        return cls(**{k: v[:200] for k, v in known.items() if isinstance(v, str)})


class Results:
    """The tab's behaviour for one set of services."""

    def __init__(self, services: Services) -> None:
        self.services = services

    # -- showing

    def show(self, wish: Wish, owner: bool) -> Parts:
        """Everything: the form, how far evaluations are, the report."""
        stack = self.services.stack
        models = (*stack.models, *(model.spec for model in fitting(stack)))
        form = view.form(models, job.can_answer(self.services), owner)
        return {"form": form} | _both(self.report(wish), _state(line.evaluations(), wish, owner))

    def look(self, wish: Wish, owner: bool) -> Parts:
        """How far evaluations are, and the report of the one that was watched once it is there."""
        found = line.evaluations()
        parts = _state(found, wish, owner)
        watched = next((turn.status for turn in found if turn.status.name == wish.watched), None)
        if watched and watched.state == "finished":
            parts = _both(self.report(Wish(watched.name, metric=wish.metric)), parts)
        return parts

    def report(self, wish: Wish) -> Parts:
        """The report, and the picture by emotion; one sentence where it cannot be read."""
        found = reports()
        chosen = _named(found, wish.report) or (found[0] if found else None)
        if chosen is None:
            return {"report": view.empty(), "behind": ""}
        other = _named(found, wish.other)
        try:
            report = _load(chosen.folder, _stamp(chosen.folder))
            second = _load(other.folder, _stamp(other.folder)) if other else None
            shown = together(report, second) if second else report
            entries = tuple(e for e in measured(report) if e.column)
            entry = next((e for e in entries if e.path == wish.metric), None) or entries[0]
            cells = by_emotion(self._lines(chosen), str(entry.column))
        except EmpoError as error:
            body = view.problem(str(error))
            return {"report": view.pickers(found, chosen, other) + body, "behind": ""}
        body = view.report(shown, second is not None)
        heat = view.heat_map(report, cells, entries, entry)
        return {
            "report": view.pickers(found, chosen, other) + body + heat,
            "behind": "",
            "chosen": {"report": chosen.name, "other": wish.other if other else ""},
        }

    def behind(self, wish: Wish) -> Parts:
        """The replies behind a cell of the picture by emotion."""
        chosen = _named(reports(), wish.report)
        if chosen is None:
            return {"behind": view.problem("That report is gone; choose another.")}
        try:
            report = _load(chosen.folder, _stamp(chosen.folder))
            entry = self._entry(report, wish.metric)
            lines = behind(self._lines(chosen), wish.system, wish.emotion, str(entry.column))
        except EmpoError as error:
            return {"behind": view.problem(str(error))}
        return {"behind": view.replies(lines, entry, wish.system, wish.emotion)}

    def _entry(self, report: Mapping[str, Any], path: str) -> Entry:
        entries = [e for e in measured(report) if e.column]
        if not entries:
            raise UsageError("Nothing was measured reply by reply in this report.")
        return next((e for e in entries if e.path == path), entries[0])

    def _lines(self, found: Found) -> tuple[dict[str, Any], ...]:
        return _lines(found.folder, _stamp(found.folder))

    # -- acting; whoever calls these has asked whether the owner asks

    def start(self, data: Mapping[str, Any]) -> Parts:
        """Start an evaluation; one sentence where it cannot be."""
        return self._act(
            lambda: job.start(self.services, job.spec_of(self.services, *_asked(data)))
        )

    def stop(self, data: Mapping[str, Any]) -> Parts:
        return self._act(lambda: line.stop(str(data.get("name", ""))))

    def resume(self, data: Mapping[str, Any]) -> Parts:
        return self._act(lambda: line.resume(str(data.get("name", ""))))

    def _act(self, do: Callable[[], None]) -> Parts:
        said = ""
        try:
            do()
        except EmpoError as error:
            said = view.problem(str(error))
        parts = _state(line.evaluations(), Wish(), True)
        return {**parts, "status": said + parts["status"]}


def _state(found: Sequence[line.Turn], wish: Wish, owner: bool) -> Parts:
    """Who is at work, in line or ended before its time; the first of them is watched."""
    busy = [turn for turn in found if turn.status.state in AT_WORK]
    last = next((turn for turn in found if turn.status.state not in AT_WORK), None)
    news = last and (last.status.state != "finished" or last.status.name == wish.watched)
    shown = [*busy, *([last] if last and news else [])]
    return {
        "status": "".join(view.status(turn, owner) for turn in shown),
        "running": bool(busy),
        "chosen": {"watched": busy[0].status.name if busy else ""},
    }


def _both(report: Parts, state: Parts) -> Parts:
    return {**report, **state, "chosen": report.get("chosen", {}) | state["chosen"]}


def _asked(data: Mapping[str, Any]) -> tuple[list[str], int | None, list[str]]:
    """Models, number of dialogues (None: situations), situations.

    Raises:
        UsageError: they are none of these.
    """
    models, count, texts = data.get("models"), data.get("dialogues"), data.get("situations")
    if not isinstance(models, list) or not all(isinstance(name, str) for name in models):
        raise UsageError("Choose at least one model.")
    if count is not None and (not isinstance(count, int) or isinstance(count, bool)):
        raise UsageError("The number of dialogues must be a whole number.")
    if not isinstance(texts, str) or len(texts) > 500_000:
        raise UsageError("The situations must be text, one a line, at most 500,000 characters.")
    return models, count, texts.splitlines()


def _named(found: list[Found], name: str) -> Found | None:
    return next((one for one in found if one.name == name), None)


def _stamp(folder: Path) -> int:
    """Changes when the report does, so that what was read before is not shown again."""
    try:
        return (folder / "report.json").stat().st_mtime_ns
    except OSError:
        return 0


@lru_cache(maxsize=8)
def _load(folder: Path, stamp: int) -> dict[str, Any]:
    return load(folder)


@lru_cache(maxsize=4)
def _lines(folder: Path, stamp: int) -> tuple[dict[str, Any], ...]:
    return tuple(read_lines(folder))
