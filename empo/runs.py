"""Training runs: start, watch, stop, resume, delete, as the page and the command line do it.

Everything is read from the runs' folders (EMPO_HOME/runs), anew each time: nothing is kept in
memory, so that an app that comes back, or a second one, sees the same runs. A run on HF Jobs has
the same folder, which a thread of whoever looks keeps up to date.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from empo.budget import Budget, predict
from empo.errors import UsageError
from empo.jobs import launch as jobs
from empo.jobs import watch as job_watch
from empo.jobs.offer import Offer
from empo.training import queue
from empo.training.elsewhere import Job, is_elsewhere, read_job
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
    sentences; `job`: where it is done, if not here.
    """

    name: str
    spec: RunSpec
    status: RunStatus
    result: dict[str, Any] | None
    trouble: tuple[str, ...] = ()
    job: Job | None = None


def start(spec: RunSpec, force: bool = False, released: int = 0) -> Run:
    """A new run of `spec`: started, or put in line. Its name may have got a number.

    `released`: bytes of the GPU that the chat gives back for it.

    Raises:
        UsageError: the name is that of a model of the stacks.
        OutOfMemory: it is predicted not to fit (unless `force`); names the cheapest fix.
        Busy: three are waiting already.
        DataError: its folder cannot be written.
    """
    _own_name(spec)
    budget = predict(spec, released=released)
    if not force:
        budget.check()
    folder = queue.enqueue(spec, memory={"predicted": budget.needed, "free": budget.free})
    return run(folder.name)


def start_job(spec: RunSpec, offer: Offer, accepted: float, background: bool = False) -> Run:
    """A new run of `spec` on HF Jobs, on the machine of `offer`; `accepted` in dollars, at most.

    Raises:
        UsageError: as `start`, or the price was not accepted. Else as `empo.jobs.launch.start`.
    """
    _own_name(spec)
    return run(jobs.start(spec, offer, accepted, background).name)


def _own_name(spec: RunSpec) -> None:
    if spec.name in RESERVED:
        raise UsageError(f"A run cannot be called {spec.name}: models are. Give another name.")


def budget(spec: RunSpec, released: int = 0) -> Budget:
    """The memory that `spec` is predicted to take, what is free, and the cheapest fix.

    `released`: as in `start`.
    """
    return predict(spec, released=released)


def runs(follow: bool = True) -> list[RunStatus]:
    """All runs, the newest first; a look also moves the line on.

    Jobs on the Hub are followed in the background from here on; without `follow` they are looked
    at once, before this returns.
    """
    queue.advance()
    (job_watch.look if follow else job_watch.look_once)()
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
    return Run(name, spec, read_status(folder), result, tuple(trouble), read_job(folder))


def stop(name: str, now: bool = False) -> RunStatus:
    """Ask the run to end after its current step, with a whole checkpoint.

    With `now` its processes are ended within seconds; the last checkpoint stays.

    Raises:
        UsageError: there is no such run, or nothing to stop.
    """
    folder = run_folder(name)
    if is_elsewhere(folder):
        jobs.stop(folder, now)
        return read_status(folder)
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
    if is_elsewhere(folder):
        raise UsageError(
            f"The run {name} is done on HF Jobs, and a new job costs anew: accept its price "
            "(step 3 of the Train tab, or python -m empo runs resume … --accept)."
        )
    queue.requeue(folder)
    return read_status(folder)


def resume_job(name: str, offer: Offer, accepted: float, background: bool = False) -> RunStatus:
    """Go on with a run on HF Jobs in a new job, from the last checkpoint that was sent.

    Raises: as `empo.jobs.launch.resume`.
    """
    folder = run_folder(name)
    jobs.resume(folder, offer, accepted, background)
    return read_status(folder)


def on_hub(name: str) -> bool:
    """Whether the run is done on HF Jobs. Raises UsageError where there is none."""
    return is_elsewhere(run_folder(name))


def delete(name: str) -> str:
    """Throw the run away, its adapter with it; what is left of it elsewhere, or nothing.

    Raises:
        UsageError: there is no such run, or it is running.
    """
    folder = run_folder(name)
    if is_elsewhere(folder):
        return jobs.delete(folder)
    queue.delete(folder)
    return ""


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
