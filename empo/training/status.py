"""How far a run is, from its folder alone.

`status.json` is written by whoever acts (the app that queues it, then the trainer's process). What
a reader can work out is never written: *stopping* is a running run with a STOP file, *interrupted*
one whose process is gone without a word. So readers do not race with the trainer.
"""

from __future__ import annotations

import shutil
import time
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from empo.training.elsewhere import Job, is_elsewhere, not_seen, read_job
from empo.training.folder import RunFolder, read_json, write_json
from empo.training.process import Identity, held

State = Literal[
    "queued", "running", "stopping", "stopped", "finished", "failed", "interrupted"
]  # fmt: skip
Problem = Literal["out of memory", "data", "disk", "killed", "other"]
ACTIVE: tuple[State, ...] = ("running", "stopping")
RESUMABLE: tuple[State, ...] = ("stopped", "failed", "interrupted")
LOCK = ".lock"


@dataclass(frozen=True, slots=True)
class RunStatus:
    """A run at one moment.

    `seconds` of work so far, over all its processes; `seconds_left` by its own pace, None while
    unknown; `phase`: what is being done now; `sentence` and `action`: what happened and what to do,
    for a person; `memory`: predicted and measured peaks in bytes; `where`: the machine it is done
    on, where that is not this one.
    """

    name: str
    kind: str
    state: State
    step: int = 0
    steps: int = 0
    epoch: float = 0.0
    seconds: float = 0.0
    created: float = 0.0
    updated: float = 0.0
    phase: str = ""
    problem: Problem | None = None
    sentence: str = ""
    action: str = ""
    process: Identity | None = None
    memory: dict[str, int | None] = field(default_factory=dict)
    where: str = ""

    @property
    def seconds_left(self) -> float | None:
        if self.state not in ACTIVE or not self.step or self.seconds <= 0:
            return None
        return self.seconds / self.step * (self.steps - self.step)

    def as_json(self) -> dict[str, Any]:
        """As `--json` prints it."""
        return asdict(self) | {"seconds_left": self.seconds_left}


def read_status(folder: RunFolder) -> RunStatus:
    """The status of the run in `folder`, with what only a look at its process can tell."""
    raw = read_json(folder / "status.json") or {}
    spec = read_json(folder.spec_file) or {}
    known = {name: raw[name] for name in RunStatus.__dataclass_fields__ if name in raw}
    known |= {"name": folder.name, "kind": str(spec.get("kind", ""))}
    known["process"] = Identity.read(raw.get("process"))
    known.setdefault("state", "queued")
    status = RunStatus(**known)
    if is_elsewhere(folder):
        return _elsewhere(folder, status, read_job(folder))
    if status.state != "running":
        return status
    if not working(folder, status.process):
        again = read_json(folder / "status.json") or {}
        if again.get("state", "running") != "running":  # it ended between the two looks
            return read_status(folder)
        return replace(status, state="interrupted", phase="", **_vanished(status))
    return replace(status, state="stopping") if folder.stop_file.exists() else status


def _elsewhere(folder: RunFolder, status: RunStatus, job: Job | None) -> RunStatus:
    """A job's status is what its follower wrote, and no process here says more about it."""
    if job is None:
        said = "Its job.json cannot be read, so its job cannot be found."
        return replace(status, state="failed", sentence=said, where="HF Jobs")
    if status.state == "running" and folder.stop_file.exists():
        status = replace(status, state="stopping")
    if status.state in (*ACTIVE, "queued") and (said := not_seen(job)):
        status = replace(status, sentence=said, action="")
    return replace(status, where=job.where)


def working(folder: RunFolder, process: Identity | None) -> bool:
    """Whether a process works on the run: it holds the lock, or is about to take it."""
    return held(folder / LOCK) or (process is not None and process.alive())


def _vanished(status: RunStatus) -> dict[str, str]:
    return {
        "sentence": f"Its process ended without a word after step {status.step} (it was killed, or "
        "the machine went down).",
        "action": "Resume it: it goes on from its last whole checkpoint.",
    }


def write_status(folder: RunFolder, status: RunStatus) -> RunStatus:
    """Write `status`, stamped with the time."""
    status = replace(status, updated=time.time())
    row = asdict(status)
    row["process"] = status.process.as_json() if status.process else None
    write_json(folder / "status.json", row)
    return status


FAILURES: dict[Problem, tuple[str, str]] = {
    "out of memory": (
        "The memory was not enough.",
        "Halve optimiser.batch and double optimiser.accumulate, or set gradient_checkpointing=true "
        "(on a GPU also quantisation=nf4), then resume or start again.",
    ),
    "data": ("The training data cannot be used.", "Mend the data, then start the run again."),
    "disk": ("The disk is full.", "Free some space, then resume the run."),
    "killed": ("The process was told to end from outside.", "Resume it when the machine is free."),
    "other": ("Something failed.", "Look at log.txt in the run's folder."),
}


def free_disk(folder: RunFolder) -> int:
    """Bytes that can still be written where the run lives."""
    return shutil.disk_usage(folder.path).free
