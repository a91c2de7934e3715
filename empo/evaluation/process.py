"""The process of an evaluation in line: python -m empo evaluate --run FOLDER.

It takes the folder's lock, goes on after the last reply that is written there, keeps `status.json`
up to date, and ends when it is asked to or has reached a limit. However it ends, the folder says
so, and the next in line is started.
"""

from __future__ import annotations

import signal
import sys
import threading
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from empo.errors import EmpoError
from empo.evaluation.line import GO_ON, Spec, alone, read_spec
from empo.evaluation.request import Request, Stopped, duration
from empo.training.ending import classify, failed, stopped
from empo.training.folder import RunFolder, reports_home
from empo.training.process import cap_files
from empo.training.queue import advance, claim
from empo.training.recipe import Limits
from empo.training.status import Problem, RunStatus, write_status

if TYPE_CHECKING:
    from empo.models.engine import Engine

LOOK = 0.3  # seconds between two looks at the STOP file
_PAUSE = 1.0  # seconds between two status.json
_DISK_PAUSE = 20.0  # seconds between two looks at the folder's size
_WHOLE = 1000  # a share of 1 as steps
_ENDS = {
    "stop": "It was stopped.",
    "time": "It reached limits.minutes.",
    "disk": "Its folder outgrew limits.disk_gb.",
    "signal": "A signal told its process to end.",
}
_REMEDIES: dict[Problem, str] = {
    "out of memory": "Choose fewer models, or free some memory, then ask again.",
    "data": "Mend the data, then ask again.",
}


def execute(path: str) -> int:
    """Do the evaluation in the folder `path`; the exit code.

    Raises:
        UsageError: the folder holds none.
        Busy: another process works on it, or on another run.
    """
    folder = RunFolder(Path(path).expanduser().resolve())
    spec = read_spec(folder)
    with alone(folder.path):
        code = _work(folder, spec, claim(folder))
    if folder.path.parent == reports_home().resolve():
        with suppress(EmpoError, OSError):
            advance()
    return code


def _work(folder: RunFolder, spec: Spec, status: RunStatus) -> int:
    from empo.evaluation.run import evaluate

    watch = Watch(folder, spec.limits, status)
    cap_files(spec.limits.disk_gb)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, frame: watch.end("signal"))
    watch.start()
    try:
        request = replace(spec.request(), out=folder.path)
        evaluate(request, watch.heard, watch.stop, _engine(spec, request))
        done = replace(watch.status, state="finished", phase="", sentence="It is ready.")
        write_status(folder, replace(done, step=_WHOLE))
        folder.stop_file.unlink(missing_ok=True)
    except Stopped:
        stopped(folder, watch.status, _ENDS[watch.ended_by or "stop"], GO_ON)
    except Exception as error:
        problem, said = classify(error)
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        if problem == "other" and not isinstance(error, EmpoError):
            import traceback

            traceback.print_exc()
        failed(folder, watch.status, problem, said, _REMEDIES.get(problem, ""))
        return 1
    finally:
        watch.close()
    return 0


def _engine(spec: Spec, request: Request) -> Engine | None:
    """What answers in place of the stack's models; None: they do."""
    if spec.engine != "echo":
        return None
    from empo.evaluation.of_models import stack_of
    from empo.models.echo import EchoEngine

    return EchoEngine(stack_of(request), delay=0.03)


class Watch:
    """Tells the folder how far it is, and the evaluation what the folder asks.

    `ended_by` says what set `stop`; None where nothing did.
    """

    def __init__(self, folder: RunFolder, limits: Limits, status: RunStatus) -> None:
        self.folder, self.limits = folder, limits
        self.status = replace(status, steps=_WHOLE)
        self.stop = threading.Event()
        self.ended_by: str | None = None
        self._closed = threading.Event()
        self._start = time.monotonic()
        self._written = 0.0
        self._began = ("", 0.0, 0.0)

    def start(self) -> None:
        threading.Thread(target=self._look, name="watch", daemon=True).start()

    def close(self) -> None:
        self._closed.set()

    def end(self, reason: str) -> None:
        """Ask the evaluation to end; the first reason counts."""
        self.ended_by = self.ended_by or reason
        self.stop.set()

    def _look(self) -> None:
        looked = 0.0
        while not self._closed.wait(LOOK) and not self.stop.is_set():
            now = time.monotonic()
            if self.folder.stop_file.exists():
                self.end("stop")
            elif now - self._start > self.limits.minutes * 60:
                self.end("time")
            elif now - looked > _DISK_PAUSE:
                looked = now
                if self.folder.size() > self.limits.disk_gb * 1e9:
                    self.end("disk")

    def heard(self, text: str, share: float) -> None:
        """What is being done, and the share of it that is done (0..1)."""
        now = time.monotonic()
        fresh = text != self._began[0]
        if fresh:
            self._began = (text, now, share)
        if not fresh and now - self._written < _PAUSE:
            return
        self._written = now
        _, began, first = self._began
        left = (now - began) * (1 - share) / (share - first) if first < share < 1 else None
        self.status = write_status(
            self.folder,
            replace(
                self.status,
                phase=text + ("" if left is None else f", about {duration(left)} left"),
                step=round(_WHOLE * share),
                seconds=round(now - self._start, 1),
            ),
        )
