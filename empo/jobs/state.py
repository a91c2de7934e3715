"""How a run on HF Jobs stands, from what the Hub says of the job and what the job says of itself.

Pure. What comes over the network is checked here: only known fields, of their own kind, and short.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, get_args

from empo.hub.jobs import Seen
from empo.jobs.offer import length
from empo.training.elsewhere import Job
from empo.training.status import Problem, RunStatus

AGAIN = "Resume it: a new job goes on from the last checkpoint that was sent."
LOG = "Look at its log, then resume it or start again."
_ENDS = ("finished", "stopped", "failed")
_NEAR = 20.0  # seconds before the time limit at which a job counts as ended by it
_TEXT = 600


def status_of(
    status: RunStatus, told: Mapping[str, Any], seen: Seen, job: Job, adapter: bool
) -> RunStatus:
    """`told`: the job's own status.json (empty: none yet); `adapter`: whether that has arrived."""
    status = replace(
        _with_numbers(status, told), process=None, problem=None, sentence="", action="", phase=""
    )
    if not seen.over:
        return _going_on(status, told, seen)
    state = told.get("state")
    if state == "finished" and adapter:
        return _own_words(status, told)
    if seen.stage == "CANCELED":
        return replace(
            status,
            state="stopped",
            sentence=f"Its job was cancelled after step {status.step}.",
            action=AGAIN,
        )
    if state in _ENDS and seen.stage != "DELETED" and state != "finished":
        return _own_words(status, told)
    return _without_a_word(status, seen, job)


def _going_on(status: RunStatus, told: Mapping[str, Any], seen: Seen) -> RunStatus:
    if seen.stage != "RUNNING":
        return replace(status, state="queued", phase="waiting for a machine")
    state = told.get("state")
    phase = "installing" if state is None else _text(told, "phase")
    return replace(status, state="running", phase="ending" if state in _ENDS else phase)


def _own_words(status: RunStatus, told: Mapping[str, Any]) -> RunStatus:
    problem = told.get("problem")
    return replace(
        status,
        state=told["state"],
        problem=problem if problem in get_args(Problem) else None,
        sentence=_text(told, "sentence"),
        action=_text(told, "action"),
    )


def _without_a_word(status: RunStatus, seen: Seen, job: Job) -> RunStatus:
    """The job has ended, and the run in it could not say how."""
    step = status.step
    if seen.stage == "ERROR" and _late(seen, job):
        said = f"Its job reached the time limit of {length(job.seconds)} after step {step}."
        return replace(status, state="interrupted", sentence=said, action=AGAIN)
    if seen.stage == "ERROR":
        why = f": {seen.message}" if seen.message else ""
        said = f"Its job failed after step {step}{why.rstrip('.')}."
        return replace(status, state="failed", problem="other", sentence=said, action=LOG)
    if seen.stage == "DELETED":
        said = f"The Hub knows its job no more; it was last seen at step {step}."
        return replace(status, state="interrupted", sentence=said, action=AGAIN)
    said = f"Its job ended after step {step}, and not all that came of it has arrived."
    return replace(status, state="interrupted", sentence=said, action=AGAIN)


def _late(seen: Seen, job: Job) -> bool:
    low = seen.message.lower()
    return seen.seconds >= job.seconds - _NEAR or "timeout" in low or "timed out" in low


def _with_numbers(status: RunStatus, told: Mapping[str, Any]) -> RunStatus:
    memory = told.get("memory")
    measured = memory.get("measured") if isinstance(memory, Mapping) else None
    found = {"measured": measured} if isinstance(measured, int) else {}
    return replace(
        status,
        step=int(_number(told, "step", status.step)),
        steps=int(_number(told, "steps", status.steps)),
        epoch=_number(told, "epoch", status.epoch),
        seconds=_number(told, "seconds", status.seconds),
        memory=status.memory | found,
    )


def _number(told: Mapping[str, Any], name: str, usual: float) -> float:
    value = told.get(name)
    fine = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1e12
    return float(value) if fine else usual


def _text(told: Mapping[str, Any], name: str) -> str:
    value = told.get(name)
    return " ".join(value.split())[:_TEXT] if isinstance(value, str) else ""
