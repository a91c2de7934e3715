"""A run that is really done as a job: its command runs in a process of its own, somewhere else.

The server is a stand-in, everything else is real: the project is packed, fetched and unpacked, the
trainer trains, and what comes of it comes back through the repository.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from empo import runs
from empo.cli import main
from empo.jobs import launch as jobs
from empo.jobs import watch as job_watch
from empo.jobs.offer import offer
from empo.models.catalogue import run_models
from empo.settings import settings
from empo.training.elsewhere import read_job
from empo.training.folder import RunFolder, run_folder
from empo.training.recipe import load_spec
from empo.training.status import RunStatus, read_status
from tests.hub_stand_in import TOKEN, Hub, stand_in
from tests.small_runs import wait

pytestmark = pytest.mark.slow
SETTINGS = ("data=starter", "limit=16", "valid=2", "evaluations=1", "samples=1", "measure=0")
SETTINGS += ("checkpoint_every=1", "optimiser.batch=2", "optimiser.epochs=1", "name=mine")


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    import huggingface_hub.constants as constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(job_watch, "PAUSE", 0.5)
    monkeypatch.setattr(jobs, "PACE", 0.5)
    with stand_in(tmp_path / "jobs", works=True) as found:
        for name, value in (
            ("HF_ENDPOINT", found.url),
            ("HF_TOKEN", TOKEN),
            ("EMPO_HOME", str(tmp_path / "home")),
            ("EMPO_DATA", str(tmp_path / "none")),
        ):
            monkeypatch.setenv(name, value)
        settings.cache_clear()
        yield found


def status(name: str, state: str) -> RunStatus:
    def found() -> RunStatus | None:
        runs.runs()
        now = runs.run(name).status
        assert now.state not in ("failed", "interrupted"), (now, runs.log_tail(name))
        return now if now.state == state else None

    return wait(found, f"{name} to be {state}: {runs.log_tail(name)}", 0.1)


def halted(hub: Hub) -> tuple[RunFolder, int]:
    """The run's folder in the job, its trainer held still after its first logged step."""
    (job,) = hub.jobs.values()
    folder = RunFolder(hub.folder / job.id / "empo-home" / "runs" / "mine")
    wait(lambda: folder.rows("metrics.jsonl"), f"a step: {job.lines}", 0.005)
    process = wait(lambda: read_status(folder).process, "the trainer")
    os.kill(process.pid, signal.SIGSTOP)
    return folder, process.pid


def test_a_job_is_stopped_resumed_and_finished_like_any_run(
    hub: Hub, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = load_spec("nano-dpo", SETTINGS)
    found = offer(spec, "cpu-basic", "1h")
    runs.start_job(spec, found, found.cost)
    there, process = halted(hub)
    runs.stop("mine")
    wait(there.stop_file.exists, "the wish to stop to arrive")
    os.kill(process, signal.SIGCONT)
    stopped = status("mine", "stopped")
    assert 1 <= stopped.step < stopped.steps == 8
    assert "was stopped after step" in stopped.sentence
    folder, job = run_folder("mine"), read_job(run_folder("mine"))
    assert job is not None
    kept = [path for path in hub.files(job.repo) if path.endswith("/manifest.json")]
    assert kept == [f"run/checkpoints/checkpoint-{stopped.step}/manifest.json"]
    runs.resume_job("mine", found, found.cost)
    assert main(["runs", "follow", "mine"]) == 0
    finished = runs.run("mine").status
    assert (finished.state, finished.step) == ("finished", 8)
    steps = [row["step"] for row in runs.metrics("mine") if "loss" in row]
    assert steps == list(range(1, 9))  # it went on, and did nothing twice
    assert (folder.adapter / "adapter_model.safetensors").stat().st_size > 1e6
    assert "mine" in [model.spec.name for model in run_models()] and not folder.stop_file.exists()
    assert not [path for path in hub.files(job.repo) if "checkpoints" in path]
    assert "all is sent" in runs.log_tail("mine")
    assert (folder / "log.txt").read_text().count("--- job ") == 2
    for path in folder.path.rglob("*"):
        assert not path.is_file() or TOKEN.encode() not in path.read_bytes(), path
    assert TOKEN not in "".join(capsys.readouterr())


@pytest.mark.nightly
def test_near_its_time_limit_a_job_saves_and_says_so(hub: Hub) -> None:
    spec = load_spec("nano-dpo", [*SETTINGS, "optimiser.epochs=1000", "checkpoint_every=10000"])
    found = replace(offer(spec, "cpu-basic", "5m"), seconds=240)
    runs.start_job(spec, found, found.cost)
    stopped = status("mine", "stopped")
    assert "reached the job's time limit after step" in stopped.sentence
    assert 1 <= stopped.step < stopped.steps
    job = read_job(run_folder("mine"))
    assert job is not None and hub.jobs[job.id].stage == "COMPLETED"  # of itself, in time
    manifest = f"run/checkpoints/checkpoint-{stopped.step}/manifest.json"
    assert manifest in hub.files(job.repo)
