"""A run inside a job on the Hub.

    python -m train.job REPO REVISION NAME KIND SECONDS PACE NAMESPACE LABEL

Fetches the run and what it needs from the private repository REPO, does it as anywhere else
(`python -m train.KIND --run FOLDER`), and sends back what changes in its folder. A file STOP in the
repository ends it after the current step with a whole checkpoint; so does the end of the time
limit of SECONDS, early enough that the checkpoint can still be sent. PACE is the seconds between
two looks for STOP; NAMESPACE and LABEL tell which job this is.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from empo.errors import EmpoError
from empo.hub.jobs import HubJobs
from empo.hub.run_repo import RunRepo
from empo.jobs.cargo import HOME, RUN, STOP
from empo.settings import child_environment, settings
from empo.training.checkpoints import MANIFEST, checkpoints
from empo.training.folder import RunFolder
from empo.training.status import read_status, write_status
from train.entry import finish

SEND = 4  # looks between two commits: the Hub takes 128 commits an hour
SAVE = 40  # looks between two checkpoints on their way
TRIES = 6
INSTALLING = 180.0  # seconds before this begins, where the Hub does not say
_SMALL = ("status.json", "metrics.jsonl", "samples.jsonl")
_END = ("result.json", "README.md", "model.json")


def reserve(seconds: float) -> float:
    """Seconds kept at the end of the time limit for the last step, its checkpoint, sending it."""
    return min(900.0, max(30.0, 0.1 * seconds))


class Sender:
    """What of the run's folder has been sent, and sending the rest."""

    def __init__(self, repo: RunRepo, folder: RunFolder) -> None:
        self.repo, self.folder = repo, folder
        self.sent: dict[str, str] = {}  # hashes, by path
        self.found: dict[str, str] = {}
        self.there: set[str] = set()  # checkpoints in the repository

    def send(self, finished: bool = False, checkpoint: bool = False) -> None:
        """One commit of all that has changed. Raises EmpoError where that fails."""
        with tempfile.TemporaryDirectory(dir=self.folder.path, prefix=".sending") as staging:
            files = self._changed(_SMALL)
            if finished:
                names = [path.name for path in self.folder.adapter.glob("*")]
                files |= self._changed((*(f"adapter/{name}" for name in names), *_END))
            kept = self._checkpoint(Path(staging), files) if checkpoint else ""
            gone = self.there - {kept} if checkpoint or finished else set()
            if not files and not gone:
                return
            paths = [f"{RUN}/checkpoints/{name}/" for name in sorted(gone)]
            message = "Finished" if finished else "How far it is"
            self.repo.send({f"{RUN}/{k}": v for k, v in files.items()}, message, paths)
        self.sent |= {name: digest for name, digest in self.found.items() if name in files}
        self.there = (self.there - gone) | ({kept} if kept else set())

    def _changed(self, names: Sequence[str]) -> dict[str, bytes | Path]:
        """Small files as they are at this moment; an adapter from the disk."""
        found: dict[str, bytes | Path] = {}
        for name in names:
            path = self.folder / name
            if not path.is_file():
                continue
            content = path.read_bytes()
            digest = self.found[name] = sha256(content).hexdigest()
            if self.sent.get(name) != digest:
                found[name] = path if path.suffix == ".safetensors" else content
        return found

    def _checkpoint(self, staging: Path, files: dict[str, bytes | Path]) -> str:
        """The newest whole checkpoint into `files`, held by links should the trainer drop it."""
        for path in checkpoints(self.folder):
            if not (path / MANIFEST).is_file():
                continue
            if path.name in self.there:
                return path.name
            try:
                shutil.copytree(path, staging / path.name, copy_function=os.link)
            except OSError:
                continue
            for copy in (staging / path.name).rglob("*"):
                if copy.is_file():
                    files[f"checkpoints/{copy.relative_to(staging).as_posix()}"] = copy
            return path.name
        return max(self.there, default="", key=lambda name: int(name.rsplit("-", 1)[-1]))


class JobRun:
    """The run of one job. `end`: when it is to stop by itself (monotonic); `pace`: as PACE."""

    def __init__(self, repo: RunRepo, folder: RunFolder, end: float, pace: float) -> None:
        self.repo, self.folder, self.end, self.pace = repo, folder, end, pace
        self.sender = Sender(repo, folder)
        self.late = False
        self.told = False

    def work(self, kind: str, token: str) -> int:
        """Train, watching and sending; the exit code."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: setattr(self, "told", True))
        child = subprocess.Popen(
            [sys.executable, "-u", "-m", f"train.{kind}", "--run", str(self.folder.path)],
            env=child_environment() | {"HF_TOKEN": token, "CUDA_VISIBLE_DEVICES": "0"},
        )
        looks, looked = 0, time.monotonic()
        while child.poll() is None:
            time.sleep(min(0.5, self.pace))
            now = time.monotonic()
            if self.told:
                child.terminate()
            if now - looked < self.pace:
                continue
            looks, looked = looks + 1, now
            self._ask_to_stop(now)
            keep = looks % SAVE == 0 and self.end - now > SAVE * self.pace
            if looks % SEND == 0:
                _try(lambda keep=keep: self.sender.send(checkpoint=keep), 1)
        return self._close(child.returncode)

    def _ask_to_stop(self, now: float) -> None:
        """A STOP in the repository, or too little time left, becomes one in the folder."""
        self.late = self.late or now > self.end
        if self.folder.stop_file.exists():
            return
        if self.late or _try(lambda: self.repo.has(STOP), 1):
            self.folder.stop_file.touch()

    def _close(self, code: int) -> int:
        status = read_status(self.folder)
        if self.late and status.state == "stopped":
            said = f"It reached the job's time limit after step {status.step}."
            write_status(self.folder, replace(status, sentence=said))
        finished = status.state == "finished"
        done = _try(lambda: self.sender.send(finished, checkpoint=not finished) or True, TRIES)
        print(f"The run is {status.state}; " + ("all is sent." if done else "sending failed."))
        return code if done else 1


def _try(step: Any, tries: int) -> Any:
    """What `step` returns; None where it fails `tries` times. The run does not end for that."""
    for number in range(tries):
        try:
            return step()
        except (EmpoError, OSError) as error:
            print(error, file=sys.stderr, flush=True)
            if number + 1 < tries:
                time.sleep(min(60.0, 2.0**number))
    return None


def bring(repo: RunRepo, revision: str, name: str, kind: str) -> RunFolder:
    """The run's folder and all beside it, from that revision, below EMPO_HOME."""
    home = settings().home
    _, listing = repo.listing(revision)
    paths = [path for path in listing if path.startswith((f"{HOME}/", f"{RUN}/"))]
    with tempfile.TemporaryDirectory() as scratch:
        repo.fetch(paths, revision, Path(scratch))
        for path in paths:
            top, _, rest = path.partition("/")
            target = home / rest if top == HOME else home / "runs" / name / rest
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.move(Path(scratch) / path, target)
    return RunFolder(home / "runs" / name)


def spent(hub: HubJobs, namespace: str, label: str) -> float:
    """Seconds of the time limit that are gone: the Hub counts from before anything is installed."""
    seen = _try(lambda: hub.find(namespace, label), 2)
    return seen.seconds if seen else INSTALLING


def main(arguments: Sequence[str]) -> int:
    name, revision, run, kind, seconds, pace, namespace, label = arguments
    token = settings().hub_token
    hub = HubJobs(token.get_secret_value() if token else None, settings().hub)
    repo = RunRepo(hub.api, hub.token, name)
    folder = bring(repo, revision, run, kind)
    left = float(seconds) - spent(hub, namespace, label) - reserve(float(seconds))
    end = time.monotonic() + left
    work = JobRun(repo, folder, end, float(pace))
    work.sender.there = {path.name for path in checkpoints(folder)}
    return work.work(kind, hub.token)


if __name__ == "__main__":
    finish(lambda: main(sys.argv[1:]))
