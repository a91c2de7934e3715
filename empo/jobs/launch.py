"""Runs on HF Jobs: sent, started, asked to stop, taken up again, forgotten.

The folder is the same as of a run here; beside it lies `job.json`. Its files go through a private
repository of whoever pays, made for this one run. `watch.py` brings back what comes of it.
"""

from __future__ import annotations

import secrets
import tempfile
import threading
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from empo.errors import EmpoError, UsageError
from empo.hub.answers import Unseen
from empo.hub.jobs import HubJobs, Seen
from empo.hub.run_repo import RunRepo
from empo.jobs.cargo import BOOT, PROJECT, RUN, STOP, cargo, check, dependencies, pack
from empo.jobs.offer import Offer, hub_jobs
from empo.training import queue
from empo.training.elsewhere import SENDING, Job, change_job, read_job, write_job
from empo.training.folder import RunFolder
from empo.training.process import Identity, in_turn
from empo.training.recipe import RunSpec
from empo.training.status import ACTIVE, RESUMABLE, RunStatus, read_status, write_status

PACE = 15.0  # seconds between two looks of the job for a wish to stop
STARTING = "STARTING"  # asked for, and whether there is a job is not known yet
REMOTE = ".remote.json"  # the status as the job itself wrote it last
AGAIN = "Mend that, then resume it: nothing has to be entered again."
_QUIET = {"HF_HUB_DISABLE_PROGRESS_BARS": "1", "PYTHONUNBUFFERED": "1"}


def start(spec: RunSpec, offer: Offer, accepted: float, background: bool = False) -> RunFolder:
    """A new run on the machine of `offer`; `accepted` is what may be charged at most, in dollars.

    With `background` it is sent by a thread, and its status says how that went.

    Raises:
        UsageError: the price was not accepted, or `spec` names what is on this machine alone.
        DataError: the data are not here, or the folder cannot be written.
        NotAllowed, FetchError: the Hub refuses, or does not answer; the run stays and says so.
    """
    offer.accept(accepted)
    check(spec)
    label = _label(spec.name)
    job = _job(offer, label, f"{offer.namespace}/{label}")
    folder = queue.enlist(spec, job)
    _launch(folder, background)
    return folder


def resume(folder: RunFolder, offer: Offer, accepted: float, background: bool = False) -> None:
    """A new job that goes on from the last checkpoint that the former one sent.

    Raises:
        UsageError: it cannot be resumed, or the price was not accepted. Else as `start`.
    """
    offer.accept(accepted)
    check(folder.spec())
    with in_turn(folder.path.parent / queue.DOOR):
        status, former = read_status(folder), read_job(folder)
        if former is None or status.state not in RESUMABLE or not former.over:
            raise UsageError(
                f"The run {folder.name} is {status.state}; only a run that was stopped, failed or "
                "was interrupted can be resumed."
            )
        folder.stop_file.unlink(missing_ok=True)
        (folder / REMOTE).unlink(missing_ok=True)
        _say(folder, "getting ready to send", process=Identity.mine(), sentence="", action="")
        job = _job(offer, _label(folder.name), former.repo)
        write_job(folder, replace(job, files=former.files))
    _launch(folder, background)


def stop(folder: RunFolder, now: bool = False) -> None:
    """Ask the job to end after its current step, with a checkpoint; with `now` cancel it.

    Raises:
        UsageError: there is nothing to stop, or no token.
        NotAllowed, FetchError: the Hub refuses, or does not answer: the run goes on.
    """
    status, job = read_status(folder), read_job(folder)
    if job is None or status.state not in (*ACTIVE, "queued"):
        raise UsageError(f"The run {folder.name} is {status.state}: there is nothing to stop.")
    if job.id:
        hub = hub_jobs()
        seen = hub.look(job.namespace, job.id)  # what was seen last may be long ago
        if now or seen.stage != "RUNNING":  # no step was taken: there is nothing to save
            hub.cancel(job.namespace, job.id)
        else:
            RunRepo(hub.api, hub.token, job.repo).send({STOP: b""}, "Stop after this step")
    folder.stop_file.touch()


def delete(folder: RunFolder) -> str:
    """Throw the run away, here and on the Hub; what is left there, in a sentence, or nothing.

    Raises:
        UsageError: it is still going on.
    """
    status, job = read_status(folder), read_job(folder)
    if status.state in (*ACTIVE, "queued"):
        raise UsageError(f"The run {folder.name} is {status.state}; stop it first.")
    queue.delete(folder)
    if job is None:
        return ""
    try:
        hub = hub_jobs()
        RunRepo(hub.api, hub.token, job.repo).delete()
    except EmpoError as error:
        return f"Its private repository {job.repo} is still on the Hub: {error}"
    return ""


def _label(name: str) -> str:
    return f"empo-run-{name}-{secrets.token_hex(4)}"


def _job(offer: Offer, label: str, repo: str) -> Job:
    flavor = offer.flavor
    return Job(label, offer.namespace, repo, flavor.name, offer.seconds, flavor.price)


def _launch(folder: RunFolder, background: bool) -> None:
    _say(folder, "getting ready to send", process=Identity.mine(), sentence="", action="")
    if not background:
        _send(folder)
        return

    def work() -> None:
        with suppress(EmpoError, OSError):  # its status says it
            _send(folder)

    threading.Thread(target=work, name=f"send-{folder.name}", daemon=True).start()


def _say(folder: RunFolder, phase: str, **more: object) -> RunStatus:
    status = read_status(folder)
    fresh = replace(status, state="queued", phase=phase, problem=None, **more)
    return write_status(folder, fresh)


def _send(folder: RunFolder) -> None:
    """Send the run's files, then start its job. Raises EmpoError; the status says it, too."""
    job = read_job(folder)
    assert job is not None
    try:
        hub = hub_jobs()
        revision = _ship(folder, job, hub)
        if folder.stop_file.exists():
            _end(folder, "stopped", "It was stopped before its job began.", "Resume it.")
            return
        change_job(folder, stage=STARTING)
        _begin(folder, job, hub, revision)
    except Unseen as error:
        if (read_job(folder) or job).stage == STARTING:  # there may be a job: its label will tell
            change_job(folder, unseen=str(error))
            _say(folder, "looking whether its job has begun", process=None)
            return
        _end(folder, "failed", str(error), AGAIN)
        raise
    except EmpoError as error:
        _end(folder, "failed", str(error), AGAIN)
        raise
    except Exception as error:
        _end(folder, "failed", f"It could not be sent ({type(error).__name__}).", AGAIN)
        raise


def _ship(folder: RunFolder, job: Job, hub: HubJobs) -> str:
    """The run and what it needs into its repository; the commit that holds it all."""
    repo, spec = RunRepo(hub.api, hub.token, job.repo), folder.spec()
    repo.create()
    with tempfile.TemporaryDirectory() as scratch:
        project = Path(scratch) / PROJECT
        pack(spec, project)
        files = dict(cargo(spec)) | {PROJECT: project, f"{RUN}/spec.json": folder.spec_file}
        size = sum(path.stat().st_size for path in files.values())
        _say(folder, f"sending {size / 1e6:.0f} MB to {job.repo}")
        gone = [STOP] if repo.has(STOP) else []
        return repo.send(files, f"The run {folder.name}", gone)


def _begin(folder: RunFolder, job: Job, hub: HubJobs, revision: str) -> None:
    """Start the job; one that cannot be written down here is not left to go on."""
    kind = folder.spec().kind
    arguments = ["-c", BOOT, job.repo, revision, folder.name, kind, str(job.seconds), str(PACE)]
    arguments += [job.namespace, job.label]
    seen = hub.start(
        job.namespace, job.label, job.flavor, job.seconds, arguments, dependencies(), _QUIET
    )
    try:
        adopt(folder, seen, hub)
    except OSError:
        hub.cancel(job.namespace, seen.id)
        raise


def adopt(folder: RunFolder, seen: Seen, hub: HubJobs) -> None:
    """From here on the run is done by that job; cancelled at once where that was asked for."""
    now = time.time()
    change_job(folder, id=seen.id, url=seen.url, stage=seen.stage, seen=now, unseen="")
    _say(folder, "waiting for a machine", process=None)
    if folder.stop_file.exists() and (job := read_job(folder)):
        with suppress(Unseen):
            hub.cancel(job.namespace, seen.id)


def lost(folder: RunFolder) -> None:
    """Nobody sends it any more, and the Hub has no such job."""
    _end(folder, "failed", "Its job was not started: the app ended while it was sent.", AGAIN)


def being_sent(folder: RunFolder, job: Job) -> bool:
    """Whether some process is still about to start the job."""
    process = read_status(folder).process
    return job.stage in (SENDING, STARTING) and process is not None and process.alive()


def _end(folder: RunFolder, state: str, sentence: str, action: str) -> None:
    problem = "other" if state == "failed" else None
    change_job(folder, over=True, unseen="")
    folder.stop_file.unlink(missing_ok=True)
    status = read_status(folder)
    write_status(
        folder,
        replace(
            status, state=state, phase="", problem=problem, sentence=sentence, action=action,
            process=None,
        ),
    )  # fmt: skip
