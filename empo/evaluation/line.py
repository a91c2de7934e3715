"""Evaluations in the trainer's line: asked for, watched, stopped, gone on with.

To the line an evaluation is a run like any other (`empo.training.queue`): its folder is that of its
report, EMPO_HOME/reports/NAME, with what was asked for in `spec.json`. Its process is
`python -m empo evaluate --run FOLDER` (`empo.evaluation.process`). The disk is the only truth: an
app that comes back sees what is at work, what waits and what was interrupted.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from empo.errors import Busy, DataError, UsageError
from empo.evaluation.request import METRICS, Request
from empo.settings import settings
from empo.training import queue
from empo.training.folder import RunFolder, reports_home, run_folders
from empo.training.process import take
from empo.training.recipe import Limits
from empo.training.status import ACTIVE, LOCK, RESUMABLE, RunStatus, read_status
from empo.types import Quantisation

NAME = r"^[a-z0-9][\w.-]{0,120}$"
GO_ON = "The same choice goes on from where it was."
_KILLED = "Its process ended without a word (it was killed, or the machine went down)."


class Spec(BaseModel):
    """What an evaluation in line is asked to do; nothing unknown passes through.

    `stack`: a name or a YAML file; `dialogues` of the test split, or `situations`; `engine`: echo
    answers without any model.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["evaluate"] = "evaluate"
    name: Annotated[str, Field(pattern=NAME)]
    stack: str
    models: tuple[str, ...]
    dialogues: Annotated[int | None, Field(ge=1)] = None
    situations: tuple[str, ...] = ()
    metrics: tuple[str, ...] = METRICS
    quantisation: Quantisation | None = None
    engine: Literal["local", "echo"] = "local"
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    limits: Limits = Limits()

    def request(self) -> Request:
        """It as the request of an evaluation.

        Raises:
            UsageError: it contradicts itself.
        """
        return Request(
            out=reports_home() / self.name,
            data=settings().data_dir,
            stack=self.stack,
            models=self.models,
            limit=self.dialogues,
            metrics=self.metrics,
            seed=self.seed,
            situations=self.situations,
            quantisation=self.quantisation,
        ).checked()


@dataclass(frozen=True, slots=True)
class Turn:
    """An evaluation, and who is before it: the one at work, and how many wait between them."""

    status: RunStatus
    at_work: RunStatus | None = None
    between: int = 0


def read_spec(folder: RunFolder) -> Spec:
    """What the evaluation in `folder` is asked to do.

    Raises:
        UsageError: there is none, or its spec.json is not the specification of one.
    """
    try:
        return Spec.model_validate(json.loads(folder.spec_file.read_text("utf-8")))
    except FileNotFoundError:
        raise UsageError(f"There is no evaluation in {folder.path}: no spec.json.") from None
    except (OSError, ValueError, ValidationError) as error:
        first = error.errors()[0] if isinstance(error, ValidationError) else None
        said = f"{'.'.join(map(str, first['loc']))}: {first['msg']}" if first else str(error)
        raise UsageError(f"{folder.name}/spec.json cannot be read: {said}.") from error


def start(spec: Spec) -> RunStatus:
    """Begin, or put in line; one of the same name that ended goes on.

    Raises:
        UsageError: what is asked for contradicts itself.
        Busy: it is in line already, or three are waiting.
        DataError: its folder cannot be written.
    """
    spec.request()
    folder = RunFolder(reports_home() / spec.name)
    queue.enqueue_evaluation(folder, spec.model_dump(mode="json"))
    return read_status(folder)


def evaluations() -> list[Turn]:
    """Those at work and in line, in their order, then those that ended, the latest first.

    A look also moves the line on.
    """
    queue.advance()
    found = {status.name: status for status in map(_status, run_folders(reports_home()))}
    line = queue.standing()
    ours = [
        _turn(line, place) for place, status in enumerate(line) if status.kind == queue.EVALUATE
    ]
    for turn in ours:
        found.pop(turn.status.name, None)
    ended = sorted(found.values(), key=lambda status: -status.updated)
    return [*ours, *map(Turn, ended)]


def stop(name: str) -> None:
    """Stop it after the batch it is at, and at once when it is asked for again; what is done stays.

    Raises:
        UsageError: there is no such evaluation, or nothing to stop.
    """
    folder = _folder(name)
    if read_status(folder).state == "stopping":
        queue.end_now(folder)
    else:
        queue.ask_to_stop(folder)


def resume(name: str) -> None:
    """Put one that ended before its time in line again.

    Raises:
        UsageError: there is no such evaluation, or it has not ended before its time.
        Busy: three are waiting.
    """
    queue.requeue(_folder(name))


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """Within the block no other process evaluates into the folder `path`, which is made.

    Raises:
        Busy: another process does.
        DataError: it cannot be made a folder.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"{path} cannot be made a folder: {error.strerror}.") from error
    lock = take(path / LOCK)
    if lock is None:
        raise Busy(f"Another process evaluates into {path} already.")
    try:
        yield
    finally:
        lock.close()


def _folder(name: str) -> RunFolder:
    folder = RunFolder(reports_home() / name)
    if not re.fullmatch(NAME, name) or not folder.spec_file.is_file():
        raise UsageError(f"There is no evaluation “{name[:60]}”.")
    return folder


def _status(folder: RunFolder) -> RunStatus:
    status = read_status(folder)
    if status.state != "interrupted":
        return status
    return replace(status, sentence=_KILLED, action=GO_ON)


def _turn(line: list[RunStatus], place: int) -> Turn:
    at_work = line[0] if place and line[0].state in ACTIVE else None
    return Turn(line[place], at_work, max(0, place - (at_work is not None)))


__all__ = ["ACTIVE", "RESUMABLE", "Spec", "Turn", "alone", "evaluations", "resume", "start", "stop"]
