"""What comes back of a run on HF Jobs: one process at a time follows it and writes its folder.

An app that comes back finds the job by the id in `job.json` (or by its label, should the id have
been lost) and goes on. While the Hub does not answer the run stays as it was last seen, and says
so.
"""

from __future__ import annotations

import re
import shutil
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path

from empo.errors import EmpoError
from empo.hub.answers import Gone
from empo.hub.jobs import HubJobs, Seen
from empo.hub.run_repo import RunRepo
from empo.jobs.cargo import RUN
from empo.jobs.launch import REMOTE, adopt, being_sent, lost
from empo.jobs.log import JobLog
from empo.jobs.offer import hub_jobs
from empo.jobs.state import status_of
from empo.training.elsewhere import LOCK, SENDING, Job, change_job, read_job
from empo.training.folder import RunFolder, read_json, run_folders
from empo.training.process import take
from empo.training.status import read_status, write_status

PAUSE = 10.0  # seconds between two looks at a job
_NOT_YET = 120.0  # seconds in which a job that was asked for may still come to be
_LAST_LINES = 20.0  # seconds that the end of a log is waited for
_TAKEN = re.compile(
    r"(status\.json|metrics\.jsonl|samples\.jsonl|adapter/adapter_model\.safetensors|"
    r"adapter/adapter_config\.json|result\.json|README\.md|model\.json)"
)
_ARRIVING = ".arriving"
_LAST = ("run/model.json",)
_followers: dict[str, threading.Thread] = {}
_door = threading.Lock()


def look() -> None:
    """See to it that every job that is not over is followed, by a thread of its own."""
    for folder in _open():
        with _door:
            known = _followers.get(str(folder.path))
            if known is None or not known.is_alive():
                name = f"job-{folder.name}"
                thread = threading.Thread(target=_follow, args=[folder], name=name, daemon=True)
                _followers[str(folder.path)] = thread
                thread.start()


def look_once() -> None:
    """One look at every job that is not over and that no process follows now."""
    for folder in _open():
        lock = take(folder / LOCK, 0)
        if lock is not None:
            with lock:
                settle(folder)


def _open() -> list[RunFolder]:
    found = []
    for folder in run_folders():
        job = read_job(folder)
        if job is not None and not job.over:
            found.append(folder)
    return found


def _follow(folder: RunFolder) -> None:
    """Until the job is over or the run is thrown away; waits while another process does it."""
    log = None
    while (job := read_job(folder)) is not None and not job.over:
        lock = take(folder / LOCK, 0)
        if lock is None:
            time.sleep(PAUSE)
            continue
        with lock, suppress(OSError):  # the folder may go meanwhile
            while (job := read_job(folder)) is not None and not job.over:
                if log is None and job.id and job.stage != "SCHEDULING":
                    log = JobLog(folder, job, PAUSE)
                    log.start()
                settle(folder, log)
                if not (read_job(folder) or job).over:
                    time.sleep(PAUSE)
            continue
        time.sleep(PAUSE)  # the disk is full, say


def settle(folder: RunFolder, log: JobLog | None = None) -> None:
    """One look at the job: its files and its status into the folder. The caller has the lock."""
    job = read_job(folder)
    if job is None or job.over or being_sent(folder, job):
        return
    try:
        hub = hub_jobs()
        if not job.id:
            _search(folder, job, hub)
            return
        seen = _look(hub, job)
        files = _fetch(folder, job, hub)
    except EmpoError as error:
        change_job(folder, unseen=str(error))
        return
    if seen.over:
        _last_lines(folder, job, hub, log)
    status = read_status(folder)
    told = read_json(folder / REMOTE) or {}
    fresh = status_of(status, told, seen, job, (folder / "model.json").is_file())
    stage, now = seen.stage, time.time()
    if fresh != status:  # what has not changed is not written, so that no page draws it again
        write_status(folder, fresh)
    change_job(folder, stage=stage, seen=now, unseen="", over=seen.over, files=files)
    if seen.over:
        folder.stop_file.unlink(missing_ok=True)


def _search(folder: RunFolder, job: Job, hub: HubJobs) -> None:
    """Whoever started the job has not written down which it is."""
    if job.stage == SENDING:  # it was never asked for
        lost(folder)
    elif (found := hub.find(job.namespace, job.label)) is not None:
        adopt(folder, found, hub)
    elif time.time() - read_status(folder).updated > _NOT_YET:
        lost(folder)


def _look(hub: HubJobs, job: Job) -> Seen:
    try:
        return hub.look(job.namespace, job.id)
    except Gone:
        return Seen(job.id, "DELETED")


def _fetch(folder: RunFolder, job: Job, hub: HubJobs) -> dict[str, str]:
    """Bring what has changed; the hashes of all that is here now."""
    repo = RunRepo(hub.api, hub.token, job.repo)
    try:
        revision, listing = repo.listing()
    except Gone:
        return job.files
    wanted = [path for path in listing if _mine(path) and job.files.get(path) != listing[path]]
    wanted.sort(key=lambda path: (path in _LAST, path))
    for left in folder.path.glob(f"{_ARRIVING}*"):  # of a follower that was killed
        shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(dir=folder.path, prefix=_ARRIVING) as scratch:
        repo.fetch(wanted, revision, Path(scratch))
        for path in wanted:
            name = path.removeprefix(f"{RUN}/")
            target = folder / (REMOTE if name == "status.json" else name)
            target.parent.mkdir(exist_ok=True)
            (Path(scratch) / path).replace(target)
    return job.files | {path: listing[path] for path in wanted}


def _mine(path: str) -> bool:
    return path.startswith(f"{RUN}/") and bool(_TAKEN.fullmatch(path.removeprefix(f"{RUN}/")))


def _last_lines(folder: RunFolder, job: Job, hub: HubJobs, log: JobLog | None) -> None:
    """The end of the log, before nobody looks any more; a run does not fail for want of it."""
    if log is not None and not log.ended(_LAST_LINES):
        return
    with suppress(
        EmpoError, OSError
    ):  # what came after the stream had broken off for the last time
        JobLog(folder, job, PAUSE).pull(hub, follow=False)
