"""What the Results tab shows, as functions from what was asked to pieces of HTML. No Gradio.

What comes from the browser is a wish and nothing more: names are looked up, numbers are checked.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from empo.errors import EmpoError, UsageError
from empo.evaluation.catalogue import Entry, measured
from empo.evaluation.replies import behind, by_emotion, read_lines
from empo.evaluation.shelf import Found, load, reports, together
from empo.ui import results_view as view
from empo.ui.results_job import Job, can_answer
from empo.ui.services import Services

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

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Wish:
        known = {key: data.get(key) for key in cls.__dataclass_fields__}
        return cls(**{k: v[:200] for k, v in known.items() if isinstance(v, str)})


class Results:
    """The tab's behaviour for one set of services."""

    def __init__(self, services: Services) -> None:
        self.services = services
        self.job = Job(services)

    # -- showing

    def show(self, wish: Wish, owner: bool) -> Parts:
        """Everything: the form, how far an evaluation is, the report."""
        form = view.form(self.services.stack.models, can_answer(self.services), owner)
        status = self.status(owner) if self.running else ""
        return {"form": form, "status": status, **self.report(wish)}

    def look(self, wish: Wish, owner: bool) -> Parts:
        """How far the evaluation is; the new report once it is done."""
        parts: Parts = {"status": self.status(owner), "running": self.running}
        if self.job.progress.state == "done":
            parts |= self.report(Wish(self.job.progress.report, metric=wish.metric))
        return parts

    @property
    def running(self) -> bool:
        return self.job.progress.state == "running"

    def status(self, owner: bool) -> str:
        return view.status(self.job.progress, owner)

    def report(self, wish: Wish) -> Parts:
        """The report, and the picture by emotion; one sentence where it cannot be read."""
        found = reports()
        chosen = _named(found, wish.report) or (found[0] if found else None)
        if chosen is None:
            return {"report": view.empty(), "behind": "", "running": self.running}
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
            "running": self.running,
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
        try:
            self.job.start(self.job.request(*_asked(data)))
        except EmpoError as error:
            return {"status": view.problem(str(error)), "running": self.running}
        return {"status": self.status(True), "running": True}

    def stop(self) -> Parts:
        self.job.stop()
        return {"status": self.status(True), "running": self.running}


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
