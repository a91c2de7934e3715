"""One run at a time, three in line: who may start, and starting it.

There is no queue but the folders themselves: whoever looks (`advance`) starts the oldest queued run
if none is active. A trainer that ends does so too, so that the line moves with no app open.
Evaluations stand in the same line: to it they are runs whose folders lie in EMPO_HOME/reports.
Runs that are done elsewhere stand in no line here.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import psutil

from empo.errors import Busy, DataError, UsageError
from empo.settings import ROOT, child_environment
from empo.training.elsewhere import JOB, Job, is_elsewhere
from empo.training.folder import (
    RunFolder,
    make_folder,
    remove_folder,
    reports_home,
    run_folders,
    runs_home,
    write_json,
)
from empo.training.process import Identity, in_turn
from empo.training.recipe import RunSpec
from empo.training.status import ACTIVE, RESUMABLE, RunStatus, read_status, write_status

QUEUE = 3
DOOR = ".queue.lock"
EVALUATE = "evaluate"  # the kind of an evaluation
NICE = 10  # of a run that shares the processor with the page
GRACE = 10.0  # seconds between asking a process group to end and ending it
_children: list[subprocess.Popen[bytes]] = []  # so that none stays behind as a zombie


def enqueue(spec: RunSpec, memory: dict[str, int | None] | None = None) -> RunFolder:
    """A new run in line, started at once if none is active; `memory` goes into its status.

    Raises:
        Busy: three are waiting already.
        DataError: the folder cannot be written.
    """
    home = runs_home()
    with in_turn(home / DOOR):
        _room(home)
        folder = make_folder(spec, home)
        now = time.time()
        status = RunStatus(folder.name, spec.kind, "queued", created=now, memory=memory or {})
        write_status(folder, status)
        _advance(home)
    return folder


def enlist(spec: RunSpec, job: Job) -> RunFolder:
    """A new run that is done elsewhere, as `job` says; never started here.

    Raises:
        DataError: the folder cannot be written.
    """
    home = runs_home()
    with in_turn(home / DOOR):
        folder = make_folder(spec, home, {JOB: asdict(job)})
        write_status(folder, RunStatus(folder.name, spec.kind, "queued", created=time.time()))
    return folder


def enqueue_evaluation(folder: RunFolder, spec: dict[str, Any]) -> None:
    """Put the evaluation `spec` in line, in a folder of EMPO_HOME/reports that may be there.

    Raises:
        Busy: it is in line or at work already, or three are waiting.
        DataError: the folder cannot be written.
    """
    home = _home(folder)
    with in_turn(home / DOOR):
        if folder.spec_file.is_file() and read_status(folder).state in (*ACTIVE, "queued"):
            raise Busy(f"The evaluation {folder.name} is in line already.")
        _room(home)
        try:
            folder.path.mkdir(parents=True, exist_ok=True)
            folder.stop_file.unlink(missing_ok=True)
            write_status(folder, RunStatus(folder.name, EVALUATE, "queued", created=time.time()))
            write_json(folder.spec_file, spec)
        except OSError as error:
            raise DataError(f"{folder.path} cannot be written ({error.strerror}).") from error
        _advance(home)


def requeue(folder: RunFolder) -> None:
    """Put a run that ended before its time in line again; it goes on from its last checkpoint.

    Raises:
        UsageError: it is not a run that can be resumed.
        Busy: three are waiting already.
    """
    with in_turn(_home(folder) / DOOR):
        status = read_status(folder)
        if status.state not in RESUMABLE:
            raise UsageError(
                f"The run {folder.name} is {status.state}; only a run that was stopped, failed or "
                "was interrupted can be resumed."
            )
        _room(_home(folder))
        folder.stop_file.unlink(missing_ok=True)
        fresh = replace(status, state="queued", problem=None, sentence="", action="", process=None)
        write_status(folder, fresh)
        _advance(_home(folder))


def advance(home: Path | None = None) -> None:
    """Start the oldest queued run if none is active."""
    home = home or runs_home()
    if _line(home):
        with in_turn(home / DOOR):
            _advance(home)


def standing(home: Path | None = None) -> list[RunStatus]:
    """Who is at work, and who waits, in the order of their turns: runs and evaluations."""
    found = [read_status(folder) for folder in _line(home or runs_home())]
    waiting = [status for status in found if status.state == "queued"]
    waiting.sort(key=lambda status: status.updated)
    return [*(status for status in found if status.state in ACTIVE), *waiting]


def claim(folder: RunFolder) -> RunStatus:
    """Mark the run as this process's own; in the app's line one is active at a time.

    Raises:
        Busy: another one is.
    """
    home = _home(folder)
    if home.resolve() != runs_home().resolve():
        return _mine(folder)
    with in_turn(home / DOOR):
        for other in _line(home):
            if other.path.resolve() != folder.path.resolve() and read_status(other).state in ACTIVE:
                raise Busy(f"The run {other.name} is running; one run at a time.")
        return _mine(folder)


def _mine(folder: RunFolder) -> RunStatus:
    status = read_status(folder)
    return write_status(
        folder,
        replace(
            status,
            state="running",
            phase="starting",
            created=status.created or time.time(),
            process=Identity.mine(),
            problem=None,
            sentence="",
            action="",
        ),
    )


def ask_to_stop(folder: RunFolder) -> None:
    """End the run after its current step with a whole checkpoint; one in line leaves the line.

    Raises:
        UsageError: it is neither running nor in line.
    """
    with in_turn(_home(folder) / DOOR):
        status = read_status(folder)
        if status.state == "queued":
            said = "It was taken out of the line."
            write_status(folder, replace(status, state="stopped", sentence=said))
        elif status.state in ACTIVE:
            folder.stop_file.touch()
        else:
            raise UsageError(f"The run {folder.name} is {status.state}: there is nothing to stop.")


def end_now(folder: RunFolder) -> None:
    """End the run's process and all its children, asking first; the last checkpoint stays."""
    status = read_status(folder)
    if status.process is None or not status.process.alive():
        return
    pid = status.process.pid
    own = _group_of(pid) == pid  # started by the app; one started by hand shares a shell's group
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            (os.killpg if own else os.kill)(pid, number)
        end = time.monotonic() + GRACE
        while time.monotonic() < end:
            _reap()
            if not (_members(pid) if own else status.process.alive()):
                return
            time.sleep(0.1)


def delete(folder: RunFolder) -> None:
    """Throw a run away.

    Raises:
        UsageError: it is running.
    """
    with in_turn(_home(folder) / DOOR):
        status = read_status(folder)
        if status.state in ACTIVE:
            raise UsageError(f"The run {folder.name} is {status.state}; stop it first.")
        remove_folder(folder)


def _home(folder: RunFolder) -> Path:
    """Whose line `folder` stands in: evaluations stand in that of the runs."""
    parent = folder.path.parent
    return runs_home() if parent.resolve() == reports_home().resolve() else parent


def _line(home: Path) -> list[RunFolder]:
    """The runs in `home`, and the evaluations where it is the app's own; none done elsewhere."""
    found = run_folders(home)
    if home.resolve() == runs_home().resolve():
        found += run_folders(reports_home())
    return [folder for folder in found if not is_elsewhere(folder)]


def _room(home: Path) -> None:
    waiting = [f for f in _line(home) if read_status(f).state == "queued"]
    if len(waiting) >= QUEUE:
        raise Busy(
            f"{QUEUE} runs are waiting already, evaluations included; wait for one to start, or "
            "stop one."
        )


def _advance(home: Path) -> None:
    _reap()
    found = [(folder, read_status(folder)) for folder in _line(home)]
    if any(status.state in ACTIVE for _, status in found):
        return
    waiting = [(status.updated, folder, status) for folder, status in found
               if status.state == "queued"]  # fmt: skip
    if waiting:
        _, folder, status = min(waiting, key=lambda entry: entry[0])
        _launch(folder, status)


def _launch(folder: RunFolder, status: RunStatus) -> None:
    """Start the run's process in a session of its own, output to log.txt."""
    folder.stop_file.unlink(missing_ok=True)
    with (folder / "log.txt").open("ab") as log:
        child = subprocess.Popen(
            command(folder, status.kind),
            cwd=ROOT,
            env=_environment(),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    _children.append(child)
    if not _gpu():
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, child.pid, NICE)
    process = Identity.of(child.pid)
    write_status(folder, replace(status, state="running", phase="starting", process=process))


def _environment() -> dict[str, str]:
    """A run on the processor leaves half of it to the page, unless OMP_NUM_THREADS says otherwise.

    With fewer threads than cores and a lower priority chat keeps answering, only more slowly.
    """
    found = child_environment()
    if not _gpu():
        found.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 2) // 2)))
    return found


def _gpu() -> bool:
    return any(Path(device).exists() for device in ("/dev/nvidiactl", "/dev/kfd", "/dev/dxg"))


def command(folder: RunFolder, kind: str) -> list[str]:
    """What does the run, here or anywhere."""
    module = ["empo", "evaluate"] if kind == EVALUATE else [f"train.{kind}"]
    return [sys.executable, "-u", "-m", *module, "--run", str(folder.path)]


def _reap() -> None:
    _children[:] = [child for child in _children if child.poll() is None]


def _group_of(pid: int) -> int | None:
    try:
        return os.getpgid(pid)
    except ProcessLookupError:
        return None


def _members(group: int) -> list[int]:
    """The processes of a group that still run."""
    return [pid for pid in psutil.pids() if _group_of(pid) == group and Identity.of(pid)]
