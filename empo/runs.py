"""Training runs: start, watch, stop, resume, delete, as the page and the command line do it.

Everything is read from the runs' folders (EMPO_HOME/runs), anew each time: nothing is kept in
memory, so that an app that comes back, or a second one, sees the same runs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from empo.budget import Budget, predict
from empo.errors import UsageError
from empo.training import queue
from empo.training.folder import read_json, run_folder, run_folders
from empo.training.recipe import RunSpec, load_spec, parse_spec
from empo.training.signs import signs
from empo.training.status import RunStatus, read_status

# What a stack may call its own models: a run must not be taken for one of them.
RESERVED = ("base", "sft", "dpo", "kto", "blend", "human")
__all__ = ["Run", "RunStatus", "load_spec", "parse_spec"]


@dataclass(frozen=True, slots=True)
class Run:
    """A run as its folder says: what was asked for, how far it is, what came of it.

    `result`: did it help (None until it has finished); `trouble`: signs of trouble so far, in
    sentences.
    """

    name: str
    spec: RunSpec
    status: RunStatus
    result: dict[str, Any] | None
    trouble: tuple[str, ...] = ()


def start(spec: RunSpec, force: bool = False, released: int = 0) -> Run:
    """A new run of `spec`: started, or put in line. Its name may have got a number.

    `released`: bytes of the GPU that the chat gives back for it.

    Raises:
        UsageError: the name is that of a model of the stacks.
        OutOfMemory: it is predicted not to fit (unless `force`); names the cheapest fix.
        Busy: three are waiting already.
        DataError: its folder cannot be written.
    """
    if spec.name in RESERVED:
        raise UsageError(f"A run cannot be called {spec.name}: models are. Give another name.")
    budget = predict(spec, released=released)
    if not force:
        budget.check()
    folder = queue.enqueue(spec, memory={"predicted": budget.needed, "free": budget.free})
    return run(folder.name)


def budget(spec: RunSpec, released: int = 0) -> Budget:
    """The memory that `spec` is predicted to take, what is free, and the cheapest fix.

    `released`: as in `start`.
    """
    return predict(spec, released=released)


def runs() -> list[RunStatus]:
    """All runs, the newest first; a look also moves the line on."""
    queue.advance()
    found = [read_status(folder) for folder in run_folders()]
    return sorted(found, key=lambda status: status.created, reverse=True)


def run(name: str) -> Run:
    """The run called `name`.

    Raises:
        UsageError: there is none.
    """
    folder = run_folder(name)
    spec = folder.spec()
    trouble = signs(folder.rows("metrics.jsonl"), folder.rows("samples.jsonl"), spec.kind)
    result = read_json(folder / "result.json")
    return Run(name, spec, read_status(folder), result, tuple(trouble))


def stop(name: str, now: bool = False) -> RunStatus:
    """Ask the run to end after its current step, with a whole checkpoint.

    With `now` its processes are ended within seconds; the last checkpoint stays.

    Raises:
        UsageError: there is no such run, or nothing to stop.
    """
    folder = run_folder(name)
    queue.ask_to_stop(folder)
    if now:
        queue.end_now(folder)
    return read_status(folder)


def resume(name: str) -> RunStatus:
    """Go on from the last whole checkpoint of a run that was stopped, failed or was interrupted.

    Raises:
        UsageError: there is no such run, or it cannot be resumed.
        Busy: three are waiting already.
    """
    folder = run_folder(name)
    queue.requeue(folder)
    return read_status(folder)


def delete(name: str) -> None:
    """Throw the run away, its adapter with it.

    Raises:
        UsageError: there is no such run, or it is running.
    """
    queue.delete(run_folder(name))


def metrics(name: str, since: int = 0) -> list[dict[str, Any]]:
    """The logged steps after the first `since`: `step`, `seconds`, `loss`, and the method's own.

    Raises:
        UsageError: there is no such run.
    """
    return run_folder(name).rows("metrics.jsonl", since)


def samples(name: str) -> list[dict[str, Any]]:
    """Replies on the way: `step`, `context`, `reply`, `human`.

    Raises:
        UsageError: there is no such run.
    """
    return run_folder(name).rows("samples.jsonl")


def written(name: str) -> tuple[int, ...]:
    """Sizes in bytes of what the run has written so far: another look finds the same, or more.

    Raises:
        UsageError: there is no such run.
    """
    folder = run_folder(name)
    files = ("metrics.jsonl", "samples.jsonl", "log.txt", "result.json")
    return tuple(p.stat().st_size if (p := folder / f).is_file() else 0 for f in files)


def log_tail(name: str, lines: int = 40) -> str:
    """The end of what the trainer printed.

    Raises:
        UsageError: there is no such run.
    """
    return run_folder(name).log_tail(lines)
