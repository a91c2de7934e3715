"""One run, from its folder to its finished adapter: what every entry does with `--run FOLDER`.

The folder alone suffices. The process takes the folder's lock, goes on from the last whole
checkpoint if there is one, trains, saves the adapter beside and renames it, holds it against the
model it began from, and writes `model.json` last. However it ends, the folder says so.
"""

from __future__ import annotations

import gc
import shutil
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from empo.errors import Busy, EmpoError, UsageError
from empo.training.checkpoints import step_of, tidy, tidy_for_resume
from empo.training.ending import classify, failed, stopped
from empo.training.folder import RunFolder, give_room, keep_room, keep_until, runs_home
from empo.training.process import cap_files, take
from empo.training.queue import advance, claim
from empo.training.recipe import Recipe
from empo.training.status import LOCK, Problem, RunStatus, read_status, write_status

if TYPE_CHECKING:
    from transformers import Trainer, TrainerCallback

    from empo.training.progress import Progress

    Build = Callable[[Recipe, str, list[TrainerCallback]], Trainer]


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
        return _work(folder, spec, build, claim(folder) if first else read_status(folder), first)
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


def _work(folder: RunFolder, spec: Recipe, build: Build, status: RunStatus, first: bool) -> int:
    from empo.training.progress import Progress

    progress = Progress(folder, spec, status, first)
    cap_files(spec.limits.disk_gb)
    ask = _listen(progress)
    try:
        if first:
            keep_room(folder)
        _train(folder, spec, build, progress, ask, first)
    except _Told:
        _fail(progress, "killed", "A signal told its process to end before training began.")
    except Exception as error:
        problem, said = classify(error)
        _fail(progress, problem, said)
        with suppress(OSError):  # log.txt may lie on the disk that is full
            _print(error, problem)
    finally:
        if first:
            give_room(folder)
    if not first:  # of several processes only the first one says how the run ended
        return int(progress.status.state == "failed")
    return 0 if progress.status.state in ("finished", "stopped") else 1


def _print(error: Exception, problem: Problem) -> None:
    print(f"{type(error).__name__}: {error}", file=sys.stderr)
    if problem == "other" and not isinstance(error, EmpoError):
        import traceback

        traceback.print_exception(error)


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
    from train.memory import Meter, await_room
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
    if first:
        await_room(progress.status.memory.get("predicted"), progress.say)
    progress.say("loading")
    meter = Meter()
    callbacks = [progress, Samples(folder, spec, first)]
    if spec.gate:
        from train.gate import GateKeeper

        callbacks.append(GateKeeper(spec.gate, progress))
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
    if progress.gate_said:  # at the last evaluation, when there was nothing left to stop
        sentence += f" But {progress.gate_said}"
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
    elif progress.ended_by == "gate":
        _gate_closed(progress)
    elif progress.ended_by == "time":
        _stopped(progress, f"It reached limits.minutes after step {step}.")
    else:
        _stopped(progress, f"It was stopped after step {step}.")


def _gate_closed(progress: Progress) -> None:
    from train.gate import ACTION

    said = f"It stopped itself after step {progress.status.step}: {progress.gate_said}"
    progress.status = stopped(progress.folder, progress.status, said, ACTION)


def _stopped(progress: Progress, sentence: str) -> None:
    progress.status = stopped(progress.folder, progress.status, sentence)


def _fail(progress: Progress, problem: Problem, sentence: str) -> None:
    if progress.first:
        tidy(progress.folder)  # what a full disk holds of an unfinished checkpoint
    progress.status = failed(
        progress.folder, progress.status, problem, sentence, write=progress.first
    )
