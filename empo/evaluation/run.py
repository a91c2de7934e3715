"""One evaluation from request to report."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import numpy as np

from empo.errors import EmpoError
from empo.evaluation.baselines import (
    Baseline,
    as_levels,
    baselines,
    human_levels,
)
from empo.evaluation.comparisons import compare
from empo.evaluation.measure import Columns, Meters, measure, scored
from empo.evaluation.of_models import OfModels
from empo.evaluation.of_replies import OfReplies
from empo.evaluation.report import write
from empo.evaluation.request import OF_MODELS, Progress, Request, System, Work
from empo.evaluation.summary import Metrics, summarise
from empo.metrics.bootstrap import RESAMPLES, draws
from empo.metrics.significance import FLIPS

if TYPE_CHECKING:
    from empo.models.engine import Engine

Report = dict[str, Any]
NO_LIKELY = dict.fromkeys(OF_MODELS, "This baseline has no probabilities.")


def evaluate(
    request: Request,
    progress: Progress | None = None,
    stop: threading.Event | None = None,
    engine: Engine | None = None,
) -> Report:
    """Do what `request` asks, write everything to its folder, and return the report.

    `engine` answers in place of one loaded from the request's stack (it stays open).

    Raises:
        UsageError: the request is wrong.
        DataError: a file is; names the row and the field.
        StackError: a model cannot be loaded or scored.
        Stopped: `stop` was set; the same request goes on from there.
    """
    request = request.checked()
    try:
        request.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise EmpoError(f"{request.out} cannot be made a folder: {error.strerror}.") from error
    work = Work(request, [], [], progress or (lambda text, share: None), stop or threading.Event())
    job = OfReplies(work) if request.replies else OfModels(work, engine)
    return _finish(work, job)


def _finish(work: Work, job: OfReplies | OfModels) -> Report:
    """Measure all systems and baselines, compare them, write the report."""
    request, items = work.request, work.items
    meters = Meters(request)
    stored = _settle_levels(work, meters)
    columns: dict[str, Columns] = {}
    for n, system in enumerate(work.systems):
        work.pause()
        work.tell(f"scores, {system.name}", n / len(work.systems))
        own = system.levels if stored else None
        columns[system.name] = measure(meters, items, system.replies, own) if _said(system) else {}
        columns[system.name] |= job.columns(system.name)
    others = (
        baselines(meters, items, work.systems, stored, lambda s: work.tell("baselines", s))
        if any(_said(system) for system in work.systems)
        else []
    )
    others += _pair_baselines(job, request, len(items))
    work.pause()
    work.tell("intervals and tests", 0.0)
    drawn = draws(len(items), request.seed)
    human = human_levels(items)
    why = {**job.why, **meters.why}
    report: Report = {
        "systems": {
            s.name: summarise(columns[s.name], s.replies, human, request.metrics, drawn, why)
            for s in work.systems
        },
        "baselines": {b.name: _baseline(b, human, request, drawn, why) for b in others},
        "comparisons": compare(
            columns, {b.name: b.compared() for b in others}, drawn, request.seed
        ),
        "run": _run(work, job, stored),
    }
    for name, tasks in job.knowledge().items():
        report["systems"][name]["forgetting"] = tasks
    write(work, report, columns, others)
    work.tell("written", 1.0)
    return report


def _baseline(
    baseline: Baseline, human: np.ndarray, request: Request, drawn: np.ndarray, why: dict[str, str]
) -> Metrics:
    reasons = {**why, **NO_LIKELY, **baseline.why}
    return summarise(
        baseline.columns,
        baseline.replies,
        human,
        request.metrics,
        drawn,
        reasons,
        baseline.without,
    )


def _said(system: System) -> bool:
    return any(reply is not None for reply in system.replies)


def _settle_levels(work: Work, meters: Meters) -> bool:
    """Whether the levels that came with the replies are used; else the human's are computed.

    They are, where every reply and every human reply has some: scorers are never mixed.
    """
    wanted = {"diff_epitome", "level", "kappa"} & set(work.request.metrics)
    if not wanted or not any(_said(system) for system in work.systems):
        return False
    known = all(
        item.human_levels is not None for item in work.items if item.human is not None
    ) and all(
        level is not None
        for system in work.systems
        for reply, level in zip(system.replies, system.levels, strict=False)
        if reply is not None
    )
    if work.request.replies and known and not work.request.recompute:
        return True
    if all(item.human is None for item in work.items):
        return False
    work.tell("levels of the human replies", 0.0)
    found = scored(meters, work.items, [item.human for item in work.items])
    for item, row in zip(work.items, found, strict=True):
        item.human_levels = as_levels(row)
    return False


def _pair_baselines(job: OfReplies | OfModels, request: Request, count: int) -> list[Baseline]:
    found = []
    for name, column in job.pair_baselines().items():
        why = dict.fromkeys(request.metrics, "This baseline chooses between replies, it has none.")
        if column is None:
            why["pair_accuracy"] = "It learns from the training split, which is not here."
        columns = {} if column is None else {"pair_accuracy": column}
        found.append(Baseline(name, [None] * count, columns, why))
    return found


def _run(work: Work, job: OfReplies | OfModels, stored: bool) -> dict[str, Any]:
    request = work.request
    scorer = "stored with the replies" if stored else "embedded scorer"
    return {
        "seeds": {"sample": request.seed, "replies": request.seed, "bootstrap": request.seed},
        **job.facts,
        "split": None if request.replies or request.situations else request.split,
        "counts": {
            "dialogues": len(work.items),
            "replies": {
                s.name: sum(reply is not None for reply in s.replies) for s in work.systems
            },
            "resamples": RESAMPLES,
            "flips": FLIPS,
        },
        "left_out": job.left_out,
        "levels": scorer,
        "metrics": list(request.metrics),
        "notes": NOTES,
    }


NOTES = [
    "Intervals: 95 %, bootstrap over dialogues; of distinct-n: jackknife over groups of replies.",
    "p_holm: sign-flip test, Holm's correction over all comparisons of the same metric.",
    "diff_epitome: squared difference of levels, lower is better; see the constant 0 beside it.",
]
