"""A run that is done elsewhere, as a job on the Hub: what its folder holds about that.

`job.json` beside `spec.json` says which job it is, so that an app that comes back finds it again.
Whoever follows the job writes the run's other files as they arrive; nothing here asks the network.
No token is ever part of it.
"""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

from empo.training.folder import RunFolder, read_json, write_json

JOB = "job.json"
SENDING = "SENDING"  # before there is a job; the other stages are the Hub's own
LOCK = ".job.lock"  # held by the one process that follows the job


@dataclass(frozen=True, slots=True)
class Job:
    """Where a run is done.

    `label`: the mark by which the Hub finds the job, should its `id` have been lost; `repo`: the
    private repository that its files go through; `seconds`: the time limit; `price`: dollars an
    hour; `stage`: as last seen at `seen` (seconds since the epoch); `unseen`: why it cannot be seen
    now; `over`: nothing more will come; `files`: what has arrived, by path, with its hash.
    """

    label: str
    namespace: str
    repo: str
    flavor: str
    seconds: int
    price: float
    id: str = ""
    url: str = ""
    stage: str = SENDING
    seen: float = 0.0
    unseen: str = ""
    over: bool = False
    files: dict[str, str] = field(default_factory=dict)

    @property
    def cost(self) -> float:
        """Dollars at most: the price for the whole time limit."""
        return most(self.price, self.seconds)

    @property
    def where(self) -> str:
        """For a person: HF Jobs, l4x1, at most $0.80."""
        return f"HF Jobs, {self.flavor}, at most {dollars(self.cost)}"


def most(price: float, seconds: int) -> float:
    """Dollars for `seconds` at `price` dollars an hour; every minute that has begun counts."""
    return price / 60 * -(-seconds // 60)


def dollars(amount: float) -> str:
    """$0.80; below a cent it says so."""
    return f"${amount:,.2f}" if amount >= 0.01 or not amount else "less than $0.01"


def is_elsewhere(folder: RunFolder) -> bool:
    return (folder / JOB).is_file()


def read_job(folder: RunFolder) -> Job | None:
    """The job of the run; None where it is done here."""
    raw = read_json(folder / JOB)
    if raw is None:
        return None
    known = {item.name: raw[item.name] for item in fields(Job) if item.name in raw}
    try:
        return Job(**known)
    except TypeError:  # damaged: without its essentials nothing can be asked about it
        return None


def write_job(folder: RunFolder, job: Job) -> Job:
    write_json(folder / JOB, asdict(job))
    return job


def change_job(folder: RunFolder, **changes: Any) -> Job | None:
    """Write the job anew with `changes`; None where the folder has gone, or never had one."""
    job = read_job(folder)
    if job is None:
        return None
    changed = replace(job, **changes)
    return job if changed == job else write_job(folder, changed)


def not_seen(job: Job) -> str:
    """What to say while the Hub does not answer; nothing where it does."""
    if not job.unseen or job.over:
        return ""
    when = time.strftime("%H:%M", time.localtime(job.seen)) if job.seen else ""
    since = f"this is how it was at {when}" if when else "nothing has been heard of it yet"
    return f"The job cannot be seen now, {since}; it goes on by itself. {job.unseen}"
