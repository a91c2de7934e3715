"""Runs on HF Jobs, against a server that speaks as the Hub does: what is sent, shown, said."""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from empo import runs
from empo.cli import main
from empo.errors import EmpoError, FetchError, NotAllowed, OutOfMemory, UsageError
from empo.estimate import estimate
from empo.hub.hardware import TABLE
from empo.hub.jobs import Seen
from empo.hub.run_repo import RunRepo
from empo.jobs import cargo
from empo.jobs import launch as jobs
from empo.jobs import watch as job_watch
from empo.jobs.cargo import RUN, STOP, check, dependencies
from empo.jobs.offer import Offer, cheapest, hub_jobs, offer, time_limit
from empo.jobs.state import status_of
from empo.settings import settings
from empo.training import queue
from empo.training.checkpoints import seal
from empo.training.elsewhere import Job, dollars, most, read_job
from empo.training.folder import RunFolder, run_folder, runs_home
from empo.training.recipe import RunSpec, changed_spec, load_spec
from empo.training.status import RunStatus, read_status
from tests.hub_stand_in import TOKEN, Hub, stand_in, wind_up
from tests.hub_stand_in import Job as HubJob
from tests.small_runs import wait
from train.job import Sender

ADAPTER = {"adapter_model.safetensors": b"weights", "adapter_config.json": b"{}"}


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An own home, a token, short pauses, and a library that may reach this machine's server."""
    import huggingface_hub.constants as constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setenv("EMPO_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("EMPO_DATA", str(tmp_path / "none"))
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    monkeypatch.setattr(job_watch, "PAUSE", 0.1)
    monkeypatch.setattr(jobs, "pack", lambda spec, target: target.write_bytes(b"a project"))
    settings.cache_clear()


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with stand_in(tmp_path / "jobs") as found:
        monkeypatch.setenv("HF_ENDPOINT", found.url)
        settings.cache_clear()
        yield found
        wind_up()


def spec_of(name: str = "mine", *changes: str) -> RunSpec:
    return load_spec("nano-dpo", ["data=starter", f"name={name}", *changes])


def started(hub: Hub, name: str = "mine") -> tuple[RunFolder, HubJob]:
    found = offer(spec_of(name), "l4x1", "1h")
    runs.start_job(spec_of(name), found, found.cost)
    return run_folder(name), list(hub.jobs.values())[-1]


def arrives(hub: Hub, folder: RunFolder, state: str, step: int = 3, **more: Any) -> None:
    """What a job would have sent by now."""
    job = read_job(folder)
    assert job is not None
    told = {"state": state, "step": step, "steps": 8, "seconds": 2.0 * step, "phase": "training"}
    logged = ({"step": n, "seconds": 2.0 * n, "loss": 0.7} for n in range(1, step + 1))
    rows = "".join(json.dumps(row) + "\n" for row in logged)
    files = {"status.json": json.dumps(told | more).encode(), "metrics.jsonl": rows.encode()}
    if state == "finished":
        entry = {"name": folder.name, "label": folder.name, "plain": "here", "stage": "dpo"}
        entry |= {"base": "assets/models/nano", "adapter": "adapter"}
        files |= {f"adapter/{name}": data for name, data in ADAPTER.items()}
        files |= {"result.json": b'{"verdict": "unclear", "sentence": "It cannot be told."}'}
        files |= {"README.md": b"# card", "model.json": json.dumps(entry).encode()}
        files |= {"training_args.bin": b"pickle", "adapter/../../evil": b"x"}
    hub.commit(job.repo, {f"{RUN}/{name}": data for name, data in files.items()})


def seen(name: str, state: str) -> RunStatus:
    """The status once it is `state`, by looking once at a time, as `runs list` does."""

    def found() -> RunStatus | None:
        runs.runs(follow=False)
        status = runs.run(name).status
        return status if status.state == state else None

    return wait(found, f"{name} to be {state}: {runs.run(name).status}")


# -- before anything is sent


def test_the_price_comes_from_the_hub_and_only_machines_with_one_card(hub: Hub) -> None:
    found = offer(spec_of(), "l4x1", "90m")
    assert (found.flavor.price, found.flavor.memory, found.seconds) == (0.9, 24e9, 5400)
    assert found.cost == pytest.approx(1.35) and found.live and found.namespace == "me"
    said = found.said
    assert "$0.90 an hour" in said and "1 h 30 min at most: $1.35 at most" in said
    assert offer(spec_of(), "cpu-basic").flavor.price == pytest.approx(0.01, abs=1e-4)
    with pytest.raises(UsageError, match="there are cpu-basic, t4-small, l4x1"):
        offer(spec_of(), "l4x4")
    assert "bf16" in offer(spec_of(), "t4-small").said


def test_without_the_hub_s_prices_the_table_is_marked_as_such(hub: Hub) -> None:
    hub.refuse["GET /api/jobs/hardware"] = (503, "busy")
    found = offer(spec_of(), "l4x1")
    assert not found.live and found.flavor in TABLE and found.cost == pytest.approx(0.8)
    assert "check the price" in found.said and "jobs-pricing" in found.said
    assert [flavor.price for flavor in TABLE] == sorted(flavor.price for flavor in TABLE)


def test_the_machine_that_is_offered_is_the_cheapest_that_fits() -> None:
    assert cheapest(spec_of("a", "limit=200"), TABLE, 3600).name == "cpu-basic"
    seven = load_spec("zephyr-dpo", [])
    assert cheapest(seven, TABLE, 3600).gpu
    assert not cheapest(seven, TABLE, 3600).name.startswith("t4-")


def test_what_does_not_fit_is_refused_before_it_costs(hub: Hub) -> None:
    huge = spec_of("huge", "optimiser.batch=2048", "optimiser.max_length=512")
    with pytest.raises(OutOfMemory, match=r"cpu-basic has 16 GB: set optimiser\.batch"):
        offer(huge, "cpu-basic")
    assert offer(huge, "cpu-basic", force=True).flavor.name == "cpu-basic"


def test_every_begun_minute_counts() -> None:
    assert most(0.6, 61) == pytest.approx(0.02)
    assert [dollars(amount) for amount in (0, 0.004, 1234.5)] == [
        "$0.00",
        "less than $0.01",
        "$1,234.50",
    ]


@pytest.mark.parametrize(("text", "seconds"), [("1h", 3600), ("90m", 5400), ("1.5h", 5400),
                                               ("600", 600), (" 2D ", 172800)])  # fmt: skip
def test_a_time_limit_is_written_as_the_hub_s_own(text: str, seconds: int) -> None:
    assert time_limit(text) == seconds


@pytest.mark.parametrize("text", ["", "soon", "1w", "-1h", "10s", "8d", "1e9h", "0x10"])
def test_what_is_no_time_limit_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="write 30m, 1h or 2d"):
        time_limit(text)


def test_nothing_starts_before_the_price_is_accepted(
    hub: Hub, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["runs", "start", "--recipe", "nano-dpo", "--set", "data=starter", "--name", "mine"]
    asked += ["--on", "jobs", "--flavor", "l4x1", "--time-limit", "2h"]
    assert main(asked) == 2  # nobody at a terminal
    said = capsys.readouterr().err
    assert "$1.80 at most" in said and "add --accept if you do" in said
    found = offer(spec_of(), "l4x1", "1h")
    for amount in (0.0, found.cost / 2, float("nan"), "all", None):
        with pytest.raises(UsageError, match="may cost"):
            runs.start_job(spec_of(), found, amount)
    assert not hub.jobs and not hub.repos and not runs_home().exists()
    assert main([*asked[:-4], "--accept"]) == 0
    assert len(hub.jobs) == 1


def test_options_of_jobs_are_not_swallowed_by_a_run_here(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["runs", "start", "--recipe", "nano-dpo", "--flavor", "l4x1"]) == 2
    assert "--flavor is for a run on HF Jobs: add --on jobs" in capsys.readouterr().err


# -- what is missing


def test_without_a_token_it_says_what_is_missing_and_where(
    hub: Hub, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("HF_TOKEN")
    settings.cache_clear()
    monkeypatch.setattr("huggingface_hub.get_token", lambda: None)
    asked = ["runs", "start", "--recipe", "nano-dpo", "--on", "jobs", "--accept"]
    assert main(asked) == 2
    said = capsys.readouterr().err
    assert "needs a token" in said and "https://huggingface.co/settings/tokens" in said
    assert "hf auth login" in said and said.count("\n") == 1
    assert not hub.requests and not runs_home().exists()


@pytest.mark.parametrize(
    ("where", "code", "said"),
    [
        ("GET /api/whoami-v2", 401, r"does not accept the token.*settings/tokens"),
        ("GET /api/whoami-v2", 500, r"does not answer now.*try again"),
        ("POST /api/repos/create", 403, r"no right to making.*settings/tokens"),
        ("POST /api/jobs/me", 401, r"does not accept the token"),
        ("POST /api/jobs/me", 402, r"no credit for starting the job.*settings/billing"),
        ("POST /api/jobs/me", 403, r"no right to starting the job.*settings/tokens"),
        ("POST /api/jobs/me", 400, r"refuses starting the job: too …"),
    ],
)
def test_a_refusal_is_one_sentence_that_says_where_to_go(
    hub: Hub, where: str, code: int, said: str
) -> None:
    hub.refuse[where] = (code, f"too {TOKEN} bad")
    with pytest.raises(EmpoError, match=said) as caught:
        started(hub)
    assert TOKEN not in str(caught.value) and "\n" not in str(caught.value)
    assert isinstance(caught.value, NotAllowed if code in (401, 402, 403) else FetchError)
    assert not hub.jobs
    if "whoami" not in where:  # it had begun: the run stays, and is not lost
        status = runs.run("mine").status
        assert status.state == "failed" and re.search(said, status.sentence)
        hub.refuse.clear()
        found = offer(spec_of(), "l4x1")
        assert runs.resume_job("mine", found, found.cost).state == "queued"
        assert len(hub.jobs) == 1


def test_a_token_that_can_only_read_is_told_so(hub: Hub) -> None:
    hub.role = "read"
    with pytest.raises(NotAllowed, match=r"can only read.*of type write at https"):
        offer(spec_of())


def test_what_is_on_this_machine_alone_cannot_go(hub: Hub, tmp_path: Path) -> None:
    raw = spec_of().model_dump(mode="json", exclude_none=True)
    for change, said in (
        (f"base={tmp_path}", "The base .* is a folder of this machine alone"),
        ("base=../other", "The base .* is a folder of this machine alone"),
        ("base=assets/models/none", "There is no base"),
        ("start=run:nobody", "There is no run"),
        (f"pairs={tmp_path}/p.jsonl", "a file of this machine alone"),
        ("data=ed", "EmpatheticDialogues .* is not in"),
    ):
        with pytest.raises(EmpoError, match=said):
            check(changed_spec(dict(raw), [change]))
    assert not hub.requests


# -- what is sent


def test_the_job_is_given_this_project_the_run_and_the_token_as_a_secret_alone(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "pack", cargo.pack)
    (runs_home() / ".pairs").mkdir(parents=True)
    (runs_home() / ".pairs" / "p.jsonl").write_text("{}\n")
    asked = spec_of("mine", "pairs=.pairs/p.jsonl")
    found = offer(asked, "l4x1", "1h")
    runs.start_job(asked, found, found.cost)
    (job,) = hub.jobs.values()
    repo = read_job(run_folder("mine")).repo  # type: ignore[union-attr]
    assert repo.startswith("me/empo-run-mine-") and job.spec["labels"]["empo-run"] in repo
    command = job.spec["command"]
    assert command[:3] == ["uv", "run", "--with"] and f"torch=={_pin('torch')}" in command
    label = job.spec["labels"]["empo-run"]
    told = [repo, hub.revision(repo), "mine", "dpo", "3600", str(jobs.PACE), "me", label]
    assert command[-8:] == told
    assert (job.spec["flavor"], job.spec["timeoutSeconds"]) == ("l4x1", 3600)
    assert job.spec["secrets"] == {"HF_TOKEN": TOKEN}
    assert TOKEN not in json.dumps({k: v for k, v in job.spec.items() if k != "secrets"})
    files = hub.files(repo)
    assert set(files) == {"project.zip", f"{RUN}/spec.json", "home/runs/.pairs/p.jsonl"}
    assert files[f"{RUN}/spec.json"] == run_folder("mine").spec_file.read_bytes()
    names = zipfile.ZipFile(io.BytesIO(files["project.zip"])).namelist()
    assert {"train/job.py", "empo/types.py", "assets/models/nano/base/model.safetensors"} <= set(
        names
    )
    assert not [n for n in names if n.endswith(".pyc") or "screenshots" in n or n[0] in "./"]


def _pin(package: str) -> str:
    found = [pin for pin in dependencies() if pin.startswith(f"{package}==")]
    assert len(found) == 1
    return found[0].split("==")[1]


def test_a_job_stands_in_no_line_here_and_blocks_none(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    launched: list[str] = []
    monkeypatch.setattr(queue, "_launch", lambda folder, status: launched.append(folder.name))
    folder, job = started(hub)
    queue.advance()
    assert launched == []
    job.stage = "RUNNING"
    arrives(hub, folder, "running")
    assert seen("mine", "running").where == "HF Jobs, l4x1, at most $0.90"
    queue.enqueue(spec_of("local"))
    assert launched == ["local"]


def test_of_the_checkpoints_the_newest_whole_one_is_there_and_sent_once(
    hub: Hub, tmp_path: Path
) -> None:
    api = hub_jobs()
    repo = RunRepo(api.api, api.token, "me/a-run")
    repo.create()
    folder = RunFolder(tmp_path / "a-run")
    for step in (1, 2, 3):
        path = folder.checkpoints / f"checkpoint-{step}"
        path.mkdir(parents=True)
        (path / "weights.pt").write_text(str(step))
        if step < 3:  # the last one is still being written
            seal(path)
    sender = Sender(repo, folder)
    there = {f"{RUN}/checkpoints/checkpoint-2/{n}" for n in ("weights.pt", "manifest.json")}
    for _ in range(2):
        sender.send(checkpoint=True)
        assert set(hub.files("me/a-run")) == there
    assert len(hub.repos["me/a-run"]) == 2  # what is there is not sent again
    seal(folder.checkpoints / "checkpoint-3")
    sender.send(checkpoint=True)
    assert {path.split("/")[2] for path in hub.files("me/a-run")} == {"checkpoint-3"}
    (folder / "status.json").write_text("{}")
    sender.send(finished=True)
    assert set(hub.files("me/a-run")) == {f"{RUN}/status.json"}


# -- what comes back


def test_a_run_from_waiting_to_finished_is_read_as_any_other(
    hub: Hub, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, job = started(hub)
    assert read_status(folder).phase == "waiting for a machine"
    job.stage = "RUNNING"
    assert seen("mine", "running").phase == "installing"
    arrives(hub, folder, "running")
    status = wait(lambda: _looked("mine", 3), "three steps")
    assert (status.steps, status.phase, status.seconds) == (8, "training", 6.0)
    assert status.seconds_left == pytest.approx(10)
    assert [row["step"] for row in runs.metrics("mine")] == [1, 2, 3]
    job.lines += ["===== Job started", "one", f"two {TOKEN}", "three"]
    arrives(hub, folder, "finished", 8, sentence="It finished after 8 steps.")
    job.stage = "COMPLETED"
    status = seen("mine", "finished")
    assert status.sentence == "It finished after 8 steps." and read_job(folder).over  # type: ignore[union-attr]
    assert {p.name: p.read_bytes() for p in folder.adapter.iterdir()} == ADAPTER
    assert runs.run("mine").result == {"verdict": "unclear", "sentence": "It cannot be told."}
    assert runs.log_tail("mine").splitlines()[1:] == ["one", "two …", "three"]
    assert not list(folder.path.rglob("*evil*")) and not list(folder.path.rglob("*.bin"))
    assert main(["runs", "list"]) == 0 and "finished" in capsys.readouterr().out
    assert "mine" not in estimate(spec_of("next")).basis  # another machine has another pace
    before = len(hub.requests)
    runs.runs(follow=False)
    assert len(hub.requests) == before  # nobody asks about what is over


def _looked(name: str, step: int) -> RunStatus | None:
    runs.runs(follow=False)
    status = runs.run(name).status
    return status if status.step >= step else None


@pytest.mark.parametrize(
    ("stage", "message", "running", "told", "state", "said"),
    [
        ("ERROR", "Job failed with exit code: 1", 40, "running", "failed", "after step 3: Job fai"),
        ("ERROR", "out of memory", 40, "failed", "failed", "The memory was not enough"),
        ("ERROR", "Job timeout", 40, "running", "interrupted", "time limit of 1 h after step 3"),
        ("ERROR", None, 3599, "running", "interrupted", "time limit of 1 h"),
        ("CANCELED", None, 9, "running", "stopped", "was cancelled after step 3"),
        ("CANCELED", None, 9, "failed", "stopped", "was cancelled after step 3"),
        ("COMPLETED", None, 9, "stopped", "stopped", "The memory was not enough"),
        ("COMPLETED", None, 9, "running", "interrupted", "not all that came of it has arrived"),
        ("DELETED", None, 9, "running", "interrupted", "knows its job no more"),
    ],
)
def test_every_end_of_a_job_is_said(
    hub: Hub, stage: str, message: str | None, running: int, told: str, state: str, said: str
) -> None:
    folder, job = started(hub)
    words = {"sentence": "The memory was not enough.", "problem": "out of memory"}
    arrives(hub, folder, told, **(words if told != "running" else {}))
    job.stage, job.message, job.running = stage, message, running
    status = seen("mine", state)
    assert said in status.sentence
    own_words = said.startswith("The memory")
    assert (status.problem == "out of memory") == own_words
    assert status.step == 3 and read_job(folder).over  # type: ignore[union-attr]


def test_a_finished_run_whose_adapter_has_not_arrived_is_not_called_finished() -> None:
    job = Job("l", "me", "me/r", "l4x1", 3600, 0.8, id="1")
    status = RunStatus("mine", "dpo", "running", 3, 8)
    found = status_of(status, {"state": "finished", "step": 8}, Seen("1", "COMPLETED"), job, False)
    assert found.state == "interrupted" and found.step == 8


def test_what_a_job_says_of_itself_is_checked() -> None:
    job = Job("l", "me", "me/r", "l4x1", 3600, 0.8, id="1")
    evil = {"state": ["x"], "step": "many", "steps": -1, "seconds": True, "phase": {"a": 1}}
    status = RunStatus("mine", "dpo", "running", 3, 8, seconds=5.0)
    found = status_of(status, evil, Seen("1", "RUNNING"), job, False)
    assert (found.state, found.step, found.steps, found.seconds, found.phase) == (
        "running", 3, 8, 5.0, "",
    )  # fmt: skip
    long = {"state": "failed", "sentence": "no\n" * 900, "problem": "other than that"}
    found = status_of(status, long, Seen("1", "ERROR"), job, False)
    assert len(found.sentence) <= 600 and "\n" not in found.sentence and found.problem is None


def test_a_job_that_is_gone_is_said_to_be(hub: Hub) -> None:
    folder, job = started(hub)
    hub.jobs.pop(job.id)
    del hub.repos[read_job(folder).repo]  # type: ignore[union-attr]
    assert "knows its job no more" in seen("mine", "interrupted").sentence


def test_while_the_hub_is_down_the_run_stays_and_says_so(hub: Hub) -> None:
    folder, job = started(hub)
    job.stage = "RUNNING"
    arrives(hub, folder, "running")
    seen("mine", "running")
    hub.down = True
    runs.runs(follow=False)
    status = runs.run("mine").status
    assert status.state == "running" and status.step == 3
    assert "cannot be seen now" in status.sentence and "does not answer" in status.sentence
    with pytest.raises(FetchError, match="does not answer"):
        runs.stop("mine")
    assert not folder.stop_file.exists() and runs.run("mine").status.state == "running"
    hub.down = False
    arrives(hub, folder, "running", 5)
    status = wait(lambda: _looked("mine", 5), "the Hub to be seen again")
    assert status.sentence == ""


def test_the_log_is_followed_over_a_broken_connection_and_a_restart(hub: Hub) -> None:
    folder, job = started(hub)
    job.stage, job.lines = "RUNNING", [f"line {n}" for n in range(6)]
    hub.break_log_after = 3
    runs.runs()  # begins to follow
    log = folder / "log.txt"
    wait(lambda: log.is_file() and log.read_text().endswith("line 5\n"), "the log")
    assert [line for line in log.read_text().splitlines() if line.startswith("line")] == job.lines
    hub.down = True  # and with it the stream; then the app goes, too, in the middle of a line
    wait(lambda: "cannot be seen" in runs.run("mine").status.sentence, "the Hub to be away")
    hub.down = False
    job.lines += ["line 6", "line 7"]
    arrives(hub, folder, "stopped", sentence="It was stopped.")
    job.stage = "COMPLETED"
    wait(lambda: runs.run("mine").status.state == "stopped", "the end")
    assert [line for line in log.read_text().splitlines() if line.startswith("line")] == job.lines


def test_a_cut_off_line_of_the_log_is_written_anew(hub: Hub) -> None:
    folder, job = started(hub)
    job.lines = ["one", "two", "three"]
    arrives(hub, folder, "stopped", sentence="It was stopped.")
    (folder / "log.txt").write_text(f"before\n--- job {job.id} (l4x1) ---\none\ntw")
    job.stage = "COMPLETED"
    seen("mine", "stopped")
    assert (folder / "log.txt").read_text().splitlines() == [
        "before", f"--- job {job.id} (l4x1) ---", "one", "two", "three",
    ]  # fmt: skip


def test_an_app_that_comes_back_finds_the_job_whose_id_was_never_written_down(hub: Hub) -> None:
    folder, job = started(hub)
    raw = json.loads((folder / "job.json").read_text())
    for stage, id_ in (("STARTING", ""), ("RUNNING", job.id)):
        (folder / "job.json").write_text(json.dumps(raw | {"id": id_, "stage": stage}))
        job.stage = "RUNNING"
        arrives(hub, folder, "running")
        runs.runs(follow=False)
        assert read_job(folder).id == job.id  # type: ignore[union-attr]
    seen("mine", "running")


def test_a_run_whose_sending_was_cut_off_is_told_so_and_can_be_resumed(hub: Hub) -> None:
    folder, _ = started(hub)
    raw = json.loads((folder / "job.json").read_text())
    (folder / "job.json").write_text(json.dumps(raw | {"id": "", "stage": "SENDING"}))
    assert "the app ended while it was sent" in seen("mine", "failed").sentence
    found = offer(spec_of(), "l4x1")
    assert runs.resume_job("mine", found, found.cost).phase == "waiting for a machine"
    assert len(hub.jobs) == 2


# -- what is done with it


def test_stopping_asks_the_job_and_stopping_at_once_cancels_it(hub: Hub) -> None:
    folder, job = started(hub)
    job.stage = "RUNNING"
    arrives(hub, folder, "running")
    seen("mine", "running")
    assert runs.stop("mine").state == "stopping"
    assert STOP in hub.files(read_job(folder).repo)  # type: ignore[union-attr]
    assert job.stage == "RUNNING"
    runs.stop("mine", now=True)
    assert job.stage == "CANCELED"
    assert "cancelled after step 3" in seen("mine", "stopped").sentence
    assert not folder.stop_file.exists()
    with pytest.raises(UsageError, match="nothing to stop"):
        runs.stop("mine")


def test_one_that_waits_for_a_machine_is_cancelled(hub: Hub) -> None:
    _, job = started(hub)
    runs.stop("mine")
    assert job.stage == "CANCELED" and seen("mine", "stopped")


def test_one_that_was_last_seen_waiting_and_trains_now_is_not_cancelled(hub: Hub) -> None:
    folder, job = started(hub)
    assert read_status(folder).state == "queued"
    job.stage = "RUNNING"
    runs.stop("mine")
    assert job.stage == "RUNNING" and STOP in hub.files(read_job(folder).repo)  # type: ignore[union-attr]


def test_resuming_costs_anew_so_it_is_accepted_anew(
    hub: Hub, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, job = started(hub)
    arrives(hub, folder, "stopped", sentence="It was stopped after step 3.")
    hub.commit(read_job(folder).repo, {STOP: b""})  # type: ignore[union-attr]
    job.stage = "COMPLETED"
    seen("mine", "stopped")
    with pytest.raises(UsageError, match="a new job costs anew"):
        runs.resume("mine")
    assert main(["runs", "resume", "mine"]) == 2
    assert main(["runs", "resume", "mine", "--accept", "--flavor", "cpu-basic"]) == 0
    assert "cpu-basic" in capsys.readouterr().err
    again = list(hub.jobs.values())[-1]
    assert again.spec["flavor"] == "cpu-basic" and again.id != job.id
    repo = read_job(folder).repo  # type: ignore[union-attr]
    assert STOP not in hub.files(repo) and f"{RUN}/status.json" in hub.files(repo)
    again.stage = "RUNNING"
    assert seen("mine", "running").phase == "installing"  # not what the former job said last


def test_deleting_takes_the_repository_away_and_never_a_job_that_goes_on(hub: Hub) -> None:
    folder, job = started(hub)
    with pytest.raises(UsageError, match="is queued; stop it first"):
        runs.delete("mine")
    job.stage = "CANCELED"
    seen("mine", "stopped")
    repo = read_job(folder).repo  # type: ignore[union-attr]
    assert repo in hub.repos
    assert runs.delete("mine") == "" and repo not in hub.repos and not folder.path.exists()


def test_what_cannot_be_deleted_on_the_hub_is_said(hub: Hub) -> None:
    folder, job = started(hub)
    job.stage = "CANCELED"
    seen("mine", "stopped")
    hub.refuse["DELETE /api/repos"] = (403, "not yours")
    assert "is still on the Hub" in runs.delete("mine") and not folder.path.exists()


def test_the_token_is_in_no_file_and_no_word(
    hub: Hub, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    folder, job = started(hub)
    job.lines = [f"token={TOKEN}"]
    arrives(hub, folder, "failed", sentence="no")
    job.stage = "ERROR"
    seen("mine", "failed")
    for what in ("show", "list"):
        main(["runs", what, *(["mine"] if what == "show" else []), "--json"])
    out = capsys.readouterr()
    assert TOKEN not in out.out + out.err
    for path in tmp_path.rglob("*"):
        assert not path.is_file() or TOKEN.encode() not in path.read_bytes(), path
    for method, path, bearer, body in hub.requests:
        assert TOKEN not in path and bearer == f"Bearer {TOKEN}"
        if not (method == "POST" and path == "/api/jobs/me"):
            assert TOKEN.encode() not in body


def test_an_offer_shows_itself_without_a_secret() -> None:
    assert TOKEN not in repr(Offer(TABLE[0], 3600, "me", True))
    assert TOKEN not in repr(settings())
