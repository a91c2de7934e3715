"""Evaluations and training runs in one line: who waits, who may, what a restart finds."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from empo import runs
from empo.cli import main
from empo.errors import Busy, UsageError
from empo.evaluation import line
from empo.evaluation.line import Spec
from empo.evaluation.process import Watch
from empo.evaluation.run import evaluate
from empo.models.echo import EchoEngine
from empo.models.stacks import load_stack
from empo.settings import Settings, settings
from empo.training import queue
from empo.training.folder import RunFolder, reports_home, run_folder
from empo.training.recipe import Limits
from empo.training.status import RunStatus, read_status, write_status
from empo.ui import results_view as view
from empo.ui.app import build, services_for
from empo.ui.owner import Gate
from empo.ui.results import Results, Wish
from tests.browser import free_port
from tests.owner_app import launch
from tests.small_runs import small_spec, wait
from tests.test_run_queue import STAND_IN

ASKED = {"models": ["sft"], "dialogues": None, "situations": "My dog died.\nI won!"}


@pytest.fixture(autouse=True)
def own_folders(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, no_data: Path) -> Iterator[None]:
    """A home of its own, and afterwards none of its processes."""
    monkeypatch.setenv("EMPO_HOME", str(tmp_path / "home"))
    settings.cache_clear()
    yield
    for status in queue.standing():
        if status.process and status.process.alive():
            os.killpg(status.process.pid, signal.SIGKILL)


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that takes no time stands in for trainers and evaluations; all else is real."""

    def command(folder: RunFolder, kind: str) -> list[str]:
        return [sys.executable, "-c", STAND_IN, str(folder.path), "good"]

    monkeypatch.setattr(queue, "command", command)


def results() -> Results:
    """As of an app that has just been started: it knows nothing but the disk."""
    return Results(services_for("nano", None, "echo", settings()))


def spec(name: str, **changes: Any) -> Spec:
    return Spec(name=name, stack="nano", models=("sft",), situations=("I won!",), engine="echo",
                metrics=("words", "distinct"), **changes)  # fmt: skip


def start_run(name: str) -> str:
    return runs.start(small_spec("no/base", name)).name


def standing() -> dict[str, str]:
    queue.advance()
    return {status.name: status.state for status in queue.standing()}


def test_an_evaluation_behind_a_run_waits_says_so_and_begins_by_itself(stand_in: None) -> None:
    start_run("a")
    parts = results().start(ASKED)
    (name,) = [turn.status.name for turn in line.evaluations()]
    assert parts["running"] and parts["chosen"]["watched"] == name
    assert "waits in line behind the training run a; it begins by itself" in parts["status"]
    assert "Take it out of the line" in parts["status"]
    # A restarted app, for a visitor: the same, without the button.
    again = results().show(Wish(), owner=False)
    assert "waits in line behind the training run a" in again["status"]
    assert 'data-do="stop"' not in again["status"]
    wait(lambda: runs.run("a").status.phase == "training", "a to begin")
    runs.stop("a")
    # Nobody looks from here: the process that ends starts the next one, which is a real one.
    folder = RunFolder(reports_home() / name)
    wait(lambda: read_status(folder).state == "finished", "the evaluation to be done")
    assert results().look(Wish(watched=name), True)["chosen"]["report"] == name


def test_a_run_behind_an_evaluation_waits_and_three_wait_in_all(stand_in: None) -> None:
    line.start(spec("one"))
    start_run("a")
    line.start(spec("two"))
    line.start(spec("three"))
    want = {"one": "running", "a": "queued", "two": "queued", "three": "queued"}
    assert standing() == want and list(standing()) == list(want)
    said = results().show(Wish(), owner=True)["status"]
    assert "waits in line behind the evaluation one and 1 before it" in said
    assert "waits in line behind the evaluation one and 2 before it" in said
    for more in (lambda: start_run("b"), lambda: line.start(spec("four"))):
        with pytest.raises(Busy, match="3 runs are waiting already, evaluations included"):
            more()
    assert not (reports_home() / "four").exists()
    with pytest.raises(Busy, match="one is in line already"):
        line.start(spec("one"))
    line.stop("three")
    assert "three" not in standing()
    # Its process may not go before its turn either.
    with pytest.raises(Busy, match="The run one is running; one run at a time"):
        queue.claim(run_folder("a"))


def test_names_from_the_browser_are_looked_up_only(stand_in: None) -> None:
    line.start(spec("one"))
    for name in ("../runs/a", "/etc", "", "one/../one", "x" * 500, "two"):
        for act in (line.stop, line.resume):
            with pytest.raises(UsageError, match="There is no evaluation"):
                act(name)
    with pytest.raises(UsageError, match="is running; only a run that was stopped"):
        line.resume("one")


def test_a_stranger_can_neither_start_nor_stop_nor_go_on(stand_in: None) -> None:
    """Raw requests to every function that acts, as somebody who has not the owner's cookie."""
    port = free_port()
    gate = Gate(Settings(space_id=None, ask_token=True), "127.0.0.1", port)
    page = build(services_for("nano", None, "echo", Settings(space_id=None)))
    numbers = {fn.targets[0][1]: number for number, fn in page.fns.items() if fn.targets}
    launch(page, gate, "127.0.0.1", port)
    here = f"http://127.0.0.1:{port}"
    owner = {"cookie": f"{gate.owner_cookie}={gate.claim(str(gate.token))}"}
    line.start(spec("one"))
    wait(lambda: line.evaluations()[0].status.phase == "training", "the process to begin")
    acts = {"begin": ASKED, "halt": {"name": "one"}, "again": {"name": "one"}}
    strangers = (
        {"origin": here},
        {"origin": here, "cookie": f"{gate.owner_cookie}=forged"},
        {"origin": "https://evil.example", **owner},
    )
    try:
        for headers in strangers:
            for name, event in acts.items():
                said = call(here, numbers[name], event, headers)
                assert "Only the owner" in said or "another page" in said, said
        assert standing() == {"one": "running"}
        assert not RunFolder(reports_home() / "one").stop_file.exists()
        said = call(here, numbers["halt"], acts["halt"], {"origin": here, **owner})
        assert "Only the owner" not in said
        wait(lambda: standing() == {}, "it to stop")
    finally:
        page.close(verbose=False)


def call(address: str, number: int, event: dict[str, Any], headers: dict[str, str]) -> str:
    """What the queue, and a plain call, say about the function `number`."""
    session = f"s{time.monotonic_ns()}"
    body = {"data": [], "event_data": event, "fn_index": number, "session_hash": session}
    with httpx.Client(base_url=f"{address}/gradio_api", headers=headers, timeout=60) as client:
        assert client.post("/queue/join", json=body).status_code == 200
        with client.stream("GET", "/queue/data", params={"session_hash": session}) as stream:
            said = next(row for row in stream.iter_lines() if "process_completed" in row)
        client.post("/run/predict", json={**body, "session_hash": session + "x"})
    return said


# -- the process


def done(name: str) -> RunStatus:
    """The status of the evaluation once nobody works on it and it is not in line."""

    def over() -> RunStatus | None:
        (status,) = [turn.status for turn in line.evaluations() if turn.status.name == name]
        return None if status.state in ("running", "stopping", "queued") else status

    return wait(over, f"{name} to end", 0.2)


def test_the_process_evaluates_stops_when_asked_and_goes_on_to_the_same_report() -> None:
    situations = tuple(f"I am sad {n}." for n in range(49))
    asked = spec("mine").model_copy(update={"situations": situations})
    line.start(asked)
    folder = RunFolder(reports_home() / "mine")
    wait(lambda: read_status(folder).phase.startswith("replies"), "the first replies")
    line.stop("mine")
    status = done("mine")
    assert (status.state, status.sentence) == ("stopped", "It was stopped.")
    before = (folder / "generated.jsonl").read_text("utf-8").splitlines()
    assert 1 < len(before) < 50 and not (folder / "report.json").exists()
    parts = results().show(Wish(), owner=True)
    assert "goes on from where it was" in parts["status"] and 'data-do="again"' in parts["status"]
    line.resume("mine")
    assert done("mine").state == "finished", folder.log_tail()
    lines = (folder / "generated.jsonl").read_text("utf-8").splitlines()
    assert lines[: len(before)] == before and len(lines) == 50
    # The page that watched it shows it; one that did not, only with its list.
    seen = results().look(Wish(watched="mine"), owner=True)
    assert seen["chosen"] == {"report": "mine", "other": "", "watched": ""}
    assert "mine is ready" in seen["status"] and "A mine" not in seen["report"]
    assert results().show(Wish(), owner=True)["status"] == ""
    whole = json.loads((folder / "report.json").read_text("utf-8"))
    request = replace(asked.request(), out=reports_home() / "whole")
    assert evaluate(request, engine=EchoEngine(load_stack("nano"))) == whole


def test_a_failure_is_one_sentence_and_the_next_in_line_begins(
    capsys: pytest.CaptureFixture[str],
) -> None:
    line.start(spec("wrong").model_copy(update={"dialogues": 5, "situations": ()}))
    line.start(spec("right"))
    status = done("wrong")
    assert (status.state, status.problem) == ("failed", "data")
    assert "fetch ed" in status.sentence and status.action == "Mend the data, then ask again."
    shown = view.status(line.Turn(status), owner=True)
    assert 'role="alert"' in shown and "fetch ed" in shown and "Go on with it" in shown
    assert done("right").state == "finished"
    assert main(["evaluate", "--run", str(reports_home() / "absent")]) == 2
    assert "There is no evaluation in" in capsys.readouterr().err


def test_a_killed_one_is_found_out_and_makes_room(stand_in: None) -> None:
    line.start(spec("one"))
    start_run("a")
    wait(lambda: line.evaluations()[0].status.phase == "training", "the process to begin")
    os.kill(line.evaluations()[0].status.process.pid, signal.SIGKILL)
    wait(lambda: standing() == {"a": "running"}, "the run to begin")
    said = results().show(Wish(), owner=True)["status"]
    assert "ended without a word" in said and "Go on with it" in said
    line.resume("one")
    assert standing() == {"a": "running", "one": "queued"}


@pytest.mark.parametrize(
    ("limits", "reason"),
    [({"minutes": 1e-5}, "time"), ({"disk_gb": 1e-9}, "disk")],
)
def test_limits_end_it(tmp_path: Path, limits: dict[str, float], reason: str) -> None:
    folder = RunFolder(tmp_path / "x")
    folder.path.mkdir()
    status = write_status(folder, RunStatus("x", "evaluate", "running"))
    watch = Watch(folder, Limits(**limits), status)
    watch.start()
    wait(watch.stop.is_set, "the limit")
    watch.close()
    assert watch.ended_by == reason


def test_how_far_it_is_stands_in_its_status(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "x")
    folder.path.mkdir()
    watch = Watch(folder, Limits(), write_status(folder, RunStatus("x", "evaluate", "running")))
    watch.heard("replies", 0.25)
    written = json.loads((folder / "status.json").read_text("utf-8"))
    assert (written["phase"], written["step"], written["steps"]) == ("replies", 250, 1000)
    watch.heard("scores, sft", 0.5)
    assert json.loads((folder / "status.json").read_text("utf-8"))["phase"] == "scores, sft"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"kind": "dpo"}, "kind: Input should be 'evaluate'"),
        ({"more": 1}, "more: Extra inputs"),
        ({"name": "../x"}, "name: String should match"),
        ({"dialogues": 0}, "dialogues: Input should be greater"),
        ({"limits": {"minutes": -1}}, "limits.minutes: Input should be greater"),
    ],
)
def test_what_is_no_specification_is_named(
    tmp_path: Path, change: dict[str, Any], said: str
) -> None:
    raw = spec("one").model_dump(mode="json") | change
    (tmp_path / "spec.json").write_text(json.dumps(raw), "utf-8")
    with pytest.raises(UsageError, match=said):
        line.read_spec(RunFolder(tmp_path))


def test_no_two_processes_evaluate_into_one_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = tmp_path / "own.txt"
    own.write_text("I won!\n", "utf-8")
    with line.alone(tmp_path / "out"):
        code = main(["evaluate", "--situations", str(own), "--out", str(tmp_path / "out")])
    assert code == 1 and "Another process evaluates into" in capsys.readouterr().err
