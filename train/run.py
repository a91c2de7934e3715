"""One run, from its folder to its finished adapter: what every entry does with `--run FOLDER`.

The folder alone suffices. The process takes the folder's lock, goes on from the last whole
checkpoint if there is one, trains, saves the adapter beside and renames it, holds it against the
model it began from, and writes `model.json` last. However it ends, the folder says so.
"""

from __future__ import annotations

import errno
import gc
import resource
import shutil
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from empo.errors import Busy, DataError, EmpoError, UsageError
from empo.errors import OutOfMemory as NoMemory
from empo.training.checkpoints import step_of, tidy, tidy_for_resume
from empo.training.folder import RunFolder, keep_until, runs_home
from empo.training.process import Identity, in_turn, take
from empo.training.queue import DOOR, advance
from empo.training.recipe import Recipe
from empo.training.status import (
    ACTIVE,
    FAILURES,
    LOCK,
    Problem,
    RunStatus,
    read_status,
    write_status,
)

if TYPE_CHECKING:
    from transformers import Trainer, TrainerCallback

    from empo.training.progress import Progress

    Build = Callable[[Recipe, str, list[TrainerCallback]], Trainer]

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class _Told(Exception):
    """A signal asked the process to end where there is nothing to save."""


def execute(path: str, kind: str, build: Build) -> int:
    """Do the run in the folder `path`; the exit code.

    Raises:
        UsageError: the folder holds no run, or one of another kind.
        Busy: another process works on it, or on another run.
    """
    folder = RunFolder(Path(path).expanduser().resolve())
    spec = folder.spec()
    if spec.kind != kind:
        raise UsageError(
            f"The run {folder.name} is of kind {spec.kind}: python -m train.{spec.kind}."
        )
    first = int(_rank()) == 0
    lock = take(folder / LOCK) if first else None
    if first and lock is None:
        raise Busy(f"Another process works on the run {folder.name} already.")
    try:
        return _work(folder, spec, build, _claim(folder) if first else read_status(folder), first)
    finally:
        if lock:
            lock.close()
        if first and folder.path.parent == runs_home().resolve():
            with suppress(EmpoError, OSError):
                advance(folder.path.parent)


def _rank() -> str:
    """Of several processes, which one this is (accelerate and torchrun say so)."""
    from accelerate.utils import get_int_from_env

    return str(get_int_from_env(["RANK"], 0))


def _claim(folder: RunFolder) -> RunStatus:
    """Mark the run as this process's own; among the app's runs one is active at a time."""
    home = folder.path.parent
    if home != runs_home().resolve():
        return _mine(folder)
    with in_turn(home / DOOR):
        from empo.training.folder import run_folders

        for other in run_folders(home):
            status = read_status(other)
            if other.name != folder.name and status.state in ACTIVE and not status.where:
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


def _work(folder: RunFolder, spec: Recipe, build: Build, status: RunStatus, first: bool) -> int:
    from empo.training.progress import Progress

    progress = Progress(folder, spec, status, first)
    limit = int(spec.limits.disk_gb * 1e9)
    hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit if hard < 0 else min(limit, hard), hard))
    ask = _listen(progress)
    try:
        _train(folder, spec, build, progress, ask, first)
    except _Told:
        _fail(progress, "killed", "A signal told its process to end before training began.")
    except Exception as error:
        problem, said = classify(error)
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        if problem == "other" and not isinstance(error, EmpoError):
            import traceback

            traceback.print_exc()
        _fail(progress, problem, said)
    return 0 if progress.status.state in ("finished", "stopped") else 1


def _listen(progress: Progress) -> dict[str, bool]:
    """SIGTERM and SIGINT end training after the current step, and anything else at once."""
    ask = {"training": False}

    def told(number: int, frame: Any) -> None:
        if not ask["training"]:
            raise _Told
        progress.signalled = True

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, told)
    return ask


def _train(
    folder: RunFolder,
    spec: Recipe,
    build: Build,
    progress: Progress,
    ask: dict[str, bool],
    first: bool,
) -> None:
    import train.trainers  # noqa: F401 - the libraries, before memory is measured
    from train.memory import Meter
    from train.samples import Samples

    checkpoint = tidy_for_resume(folder) if first else _newest(folder)
    step = step_of(checkpoint) if checkpoint else 0
    if first:
        for name in ("metrics.jsonl", "samples.jsonl"):
            keep_until(folder / name, step)
    progress.status = replace(progress.status, step=step)
    if folder.stop_file.exists():
        _stopped(progress, f"It was stopped before step {step + 1}.")
        return
    progress.say("loading")
    meter = Meter()
    callbacks = [progress, Samples(folder, spec, first)]
    trainer = build(spec, str(folder.checkpoints), callbacks)
    ask["training"] = True
    trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    ask["training"] = False
    if not first:
        return
    progress.status = replace(
        progress.status, memory=progress.status.memory | {"measured": meter.peak}
    )
    if progress.ended_by:
        _ended(progress)
        return
    _finish(folder, spec, trainer, progress)


def _newest(folder: RunFolder) -> Path | None:
    """The others read what the first process has tidied."""
    from empo.training.checkpoints import last_whole

    return last_whole(folder)


def _finish(folder: RunFolder, spec: Recipe, trainer: Trainer, progress: Progress) -> None:
    """Adapter, figures, card, and last of all the catalogue's entry."""
    from train.adapters import save_adapter
    from train.results import publish

    progress.say("saving")
    half = folder / ".adapter.part"
    shutil.rmtree(half, ignore_errors=True)
    save_adapter(trainer.model, half, spec.base)
    shutil.rmtree(folder.adapter, ignore_errors=True)
    half.rename(folder.adapter)
    trainer.model = trainer.model_wrapped = trainer.optimizer = None
    gc.collect()
    publish(folder, spec, progress.say)
    sentence = f"It finished after {progress.status.step} steps."
    progress.status = write_status(
        folder, replace(progress.status, state="finished", phase="", sentence=sentence)
    )
    shutil.rmtree(folder.checkpoints, ignore_errors=True)  # there is nothing left to go on with
    folder.stop_file.unlink(missing_ok=True)


def _ended(progress: Progress) -> None:
    """Training ended before its last step; the checkpoint is whole."""
    step = progress.status.step
    if progress.ended_by == "signal":
        _fail(progress, "killed", f"A signal told its process to end after step {step}.")
    elif progress.ended_by == "disk":
        _fail(progress, "disk", f"Its folder outgrew limits.disk_gb after step {step}.")
    elif progress.ended_by == "time":
        _stopped(progress, f"It reached limits.minutes after step {step}.")
    else:
        _stopped(progress, f"It was stopped after step {step}.")


def _stopped(progress: Progress, sentence: str) -> None:
    progress.folder.stop_file.unlink(missing_ok=True)
    progress.status = write_status(
        progress.folder,
        replace(
            progress.status,
            state="stopped",
            phase="",
            sentence=sentence,
            action="Resume it to go on from its last whole checkpoint.",
        ),
    )


def _fail(progress: Progress, problem: Problem, sentence: str) -> None:
    usual, action = FAILURES[problem]
    progress.status = replace(
        progress.status, state="failed", phase="", problem=problem, sentence=sentence or usual,
        action=action,
    )  # fmt: skip
    if progress.first:
        tidy(progress.folder)  # what a full disk holds of an unfinished checkpoint
        progress.folder.stop_file.unlink(missing_ok=True)
        with suppress(OSError):
            write_status(progress.folder, progress.status)


def classify(error: BaseException) -> tuple[Problem, str]:
    """What kind of failure `error` is, and the one sentence to say."""
    said = " ".join(str(error).split())
    low = said.lower()
    first = (said[:300] or type(error).__name__).rstrip(".") + "."
    memory = isinstance(error, MemoryError | NoMemory) or "out of memory" in low
    if memory or "can't allocate memory" in low or "cannot allocate memory" in low:
        return "out of memory", first if isinstance(error, NoMemory) else ""
    if isinstance(error, DataError):
        return "data", first
    full = isinstance(error, OSError) and error.errno in _FULL
    signs = ("no space left", "file too large", "failed writing file", "disk quota")
    if full or any(sign in low for sign in signs):
        return "disk", "The disk is full, or a file outgrew limits.disk_gb."
    return "other", first if isinstance(error, EmpoError) else f"{type(error).__name__}: {first}"
