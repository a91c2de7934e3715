"""Training runs as processes: killed, stopped, resumed, left alone by their app."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from empo import runs
from empo.settings import ROOT, child_environment, settings
from empo.training.checkpoints import last_whole, step_of
from empo.training.folder import run_folder
from tests.small_runs import at_step, ended, kill, kill_while_saving, losses, small_spec, wait
from tests.tiny_models import save_base

pytestmark = pytest.mark.slow
STEPS = 60


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_base(tmp_path_factory.mktemp("base"))


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One home for the runs of this module, so that one unbroken run serves all tests."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture(autouse=True)
def own_runs(
    own_home: None, home: Path, data_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EMPO_HOME", str(home))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    settings.cache_clear()


APP = """
import sys, time
from empo import runs
from empo.training.recipe import load_spec
print(runs.start(load_spec(sys.argv[1])).name, flush=True)
time.sleep(600)
"""


def started_by_an_app_that_dies(base: Path, tmp_path: Path) -> str:
    """The name of a run whose app was killed, with its whole session, right after the start."""
    path = tmp_path / "spec.json"
    spec = small_spec(base, "unbroken")
    path.write_text(json.dumps(spec.model_dump(mode="json", exclude_none=True)), "utf-8")
    app = subprocess.Popen(
        [sys.executable, "-c", APP, str(path)],
        cwd=ROOT,
        env=child_environment(),
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert app.stdout is not None
    name = app.stdout.readline().strip()
    os.killpg(app.pid, signal.SIGKILL)
    app.wait()
    return name


@pytest.fixture(scope="module")
def unbroken(base: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Filled by the first test that needs it: the name of the run that nothing happened to."""
    return {}


def the_unbroken(unbroken: dict[str, str], base: Path, tmp_path: Path) -> dict[int, float]:
    if not unbroken:
        name = started_by_an_app_that_dies(base, tmp_path)
        status = runs.run(name).status
        assert status.state == "running", "the trainer outlives its app"
        assert ended(name).state == "finished", runs.log_tail(name)
        unbroken["name"] = name
    return losses(unbroken["name"])


def test_a_run_outlives_its_app_and_leaves_all_its_files(
    unbroken: dict[str, str], base: Path, tmp_path: Path
) -> None:
    curve = the_unbroken(unbroken, base, tmp_path)
    assert list(curve) == list(range(1, STEPS + 1))
    folder = run_folder(unbroken["name"])
    wait(lambda: not folder.checkpoints.exists(), "the finished run to tidy up")
    assert {path.name for path in folder.path.iterdir() if path.name != ".lock"} == {
        *("spec.json", "status.json", "metrics.jsonl", "samples.jsonl", "log.txt", "adapter"),
        *("model.json", "README.md", "result.json"),
    }
    status = runs.run(unbroken["name"]).status
    assert (status.step, status.steps) == (STEPS, STEPS)
    assert status.memory["predicted"] and status.memory["measured"]


def test_it_starts_at_its_reference(unbroken: dict[str, str], base: Path, tmp_path: Path) -> None:
    """Before the first update policy and reference are one: loss ln 2, margin and rewards 0."""
    curve = the_unbroken(unbroken, base, tmp_path)
    first = runs.metrics(unbroken["name"])[0]
    assert curve[1] == pytest.approx(0.693147, abs=1e-5)
    assert first["rewards/margins"] == first["rewards/chosen"] == pytest.approx(0, abs=1e-5)


def test_killed_killed_while_saving_and_stopped_it_ends_as_if_nothing_had_been(
    unbroken: dict[str, str], base: Path, tmp_path: Path
) -> None:
    wanted = the_unbroken(unbroken, base, tmp_path)
    name = runs.start(small_spec(base, "broken")).name
    at_step(name, 12)
    status = kill(name)
    assert status.state == "interrupted" and "Resume" in status.action
    saved = step_of(last_whole(run_folder(name)))
    assert saved >= 5
    runs.resume(name)
    at = kill_while_saving(name, saved)
    assert runs.run(name).status.state == "interrupted"
    assert step_of(last_whole(run_folder(name))) < at, "what is not whole does not count"
    runs.resume(name)
    at_step(name, at)
    assert runs.stop(name).state in ("stopping", "stopped")
    status = ended(name)
    assert status.state == "stopped" and "It was stopped after step" in status.sentence
    assert step_of(last_whole(run_folder(name))) == status.step < STEPS
    runs.resume(name)
    status = ended(name)
    assert (status.state, status.step) == ("finished", STEPS), runs.log_tail(name)
    found = losses(name)
    assert list(found) == list(wanted)
    assert max(abs(found[step] - wanted[step]) for step in wanted) < 1e-5


def test_a_signal_saves_and_says_so(base: Path) -> None:
    """SIGTERM ends a run with a whole checkpoint; `--now` leaves nobody behind."""
    name = runs.start(small_spec(base, "told")).name
    at_step(name, 3)
    process = runs.run(name).status.process
    runs.stop(name, now=True)
    assert process and not process.alive()
    status = ended(name)
    assert (status.state, status.problem) == ("failed", "killed")
    assert step_of(last_whole(run_folder(name))) == status.step > 0
    runs.delete(name)
    with pytest.raises(Exception, match="There is no run"):
        run_folder(name)


def test_a_data_error_is_one_sentence(base: Path, tmp_path: Path) -> None:
    pairs = tmp_path / "pairs.jsonl"
    pairs.write_text('{"prompt": []}\n', "utf-8")
    name = runs.start(small_spec(base, "bad", pairs=str(pairs))).name
    status = ended(name)
    assert (status.state, status.problem) == ("failed", "data")
    assert status.sentence == "Line 1: field prompt is not a list of messages."


@pytest.mark.nightly
@pytest.mark.parametrize("saving", [True, False])
def test_fifteen_kills_each_way(
    unbroken: dict[str, str], base: Path, tmp_path: Path, saving: bool
) -> None:
    """30 kills, half of them while saving: same final step, same losses."""
    wanted = the_unbroken(unbroken, base, tmp_path)
    spec = small_spec(base, f"often-{'saving' if saving else 'training'}", checkpoint_every=3)
    name = runs.start(spec).name
    for _ in range(15):
        whole = last_whole(run_folder(name))
        step = step_of(whole) if whole else 0
        if saving:
            kill_while_saving(name, step)
        else:
            at_step(name, step + 4)
            kill(name)
        assert runs.run(name).status.state == "interrupted"
        runs.resume(name)
        wait(lambda: runs.run(name).status.state == "running", "the next process")
    assert ended(name).state == "finished", runs.log_tail(name)
    found = losses(name)
    assert list(found) == list(wanted)
    assert max(abs(found[step] - wanted[step]) for step in wanted) < 1e-5
