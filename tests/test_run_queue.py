"""One run at a time, three in line; a process stands in for the trainer, all else is real."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from empo import runs
from empo.errors import Busy, OutOfMemory, UsageError
from empo.settings import settings
from empo.training import queue
from empo.training.folder import RunFolder, run_folder, run_folders
from empo.training.recipe import load_spec
from tests.small_runs import ended, small_spec, wait

# Does what a trainer's process does to its folder, in no time: takes the lock, waits for STOP.
STAND_IN = """
import os, sys, time
from dataclasses import replace
from pathlib import Path
from empo.training.folder import RunFolder
from empo.training.process import Identity, take
from empo.training.queue import advance
from empo.training.status import LOCK, read_status, write_status
folder = RunFolder(Path(sys.argv[1]))
lock = take(folder / LOCK)
if sys.argv[2] == "family" and os.fork() == 0:
    time.sleep(600)
write_status(folder, replace(read_status(folder), process=Identity.mine(), phase="training"))
while not folder.stop_file.exists():
    time.sleep(0.02)
if sys.argv[2] == "deaf":
    import signal
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    time.sleep(600)
folder.stop_file.unlink()
write_status(folder, replace(read_status(folder), state="stopped", phase=""))
lock.close()
advance()
"""


@pytest.fixture(autouse=True)
def stand_in(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[dict[str, str]]:
    """The command, and afterwards none of its processes."""
    manner = {"is": "good"}
    monkeypatch.setenv("EMPO_HOME", str(tmp_path))
    settings.cache_clear()

    def command(folder: RunFolder, kind: str) -> list[str]:
        return [sys.executable, "-c", STAND_IN, str(folder.path), manner["is"]]

    monkeypatch.setattr(queue, "command", command)
    yield manner
    for folder in run_folders():
        process = runs.run(folder.name).status.process
        if process and process.alive():
            os.killpg(process.pid, signal.SIGKILL)


def states() -> dict[str, str]:
    return {status.name: status.state for status in runs.runs()}


def start(name: str) -> str:
    return runs.start(small_spec("no/base", name)).name


def test_one_runs_three_wait_and_the_line_moves() -> None:
    names = [start(name) for name in ("a", "b", "c", "d")]
    assert names == ["a", "b", "c", "d"]
    assert states() == {"a": "running", "b": "queued", "c": "queued", "d": "queued"}
    with pytest.raises(Busy, match="3 runs are waiting already"):
        start("e")
    assert runs.stop("c").state == "stopped"
    wait(lambda: runs.run("a").status.phase == "training", "a to begin")
    runs.stop("a")
    # Nobody looks from here: the process that ends starts the next one itself.
    wait(lambda: run_folder("b").path.joinpath(".lock").exists(), "b to be started")
    wait(lambda: states()["a"] == "stopped" and states()["b"] == "running", "a to end")
    assert states()["d"] == "queued"


def test_fifty_at_once_are_one_run_and_three_in_line() -> None:
    def attempt(n: int) -> str | None:
        try:
            return start(f"r{n}")
        except Busy:
            return None

    with ThreadPoolExecutor(16) as pool:
        made = [name for name in pool.map(attempt, range(50)) if name]
    assert len(made) == 4
    assert sorted(states().values()) == ["queued", "queued", "queued", "running"]
    assert len(run_folders()) == 4


def test_a_killed_run_makes_room_and_is_resumed_in_its_turn() -> None:
    start("a")
    start("b")
    wait(lambda: runs.run("a").status.phase == "training", "a to begin")
    os.kill(runs.run("a").status.process.pid, signal.SIGKILL)
    wait(lambda: states() == {"a": "interrupted", "b": "running"}, "b to be started")
    assert runs.resume("a").state == "queued"
    with pytest.raises(UsageError, match="is queued; only a run that was stopped"):
        runs.resume("a")
    with pytest.raises(UsageError, match="is running; stop it first"):
        runs.delete("b")
    wait(lambda: runs.run("b").status.phase == "training", "b to begin")
    runs.stop("b")
    wait(lambda: states()["a"] == "running", "a to go on")
    runs.delete("b")
    assert set(states()) == {"a"}


@pytest.mark.parametrize("manner", ["family", "deaf"])
def test_now_leaves_nobody_behind(
    stand_in: dict[str, str], manner: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Children go with their parent, and one that does not listen is ended."""
    stand_in["is"] = manner
    monkeypatch.setattr(queue, "GRACE", 1.0)
    start("a")
    wait(lambda: runs.run("a").status.phase == "training", "a to begin")
    group = runs.run("a").status.process.pid
    runs.stop("a", now=True)
    assert queue._members(group) == []
    assert ended("a").state in ("interrupted", "stopped")


def test_what_cannot_be_stopped_or_started_is_said() -> None:
    start("a")
    wait(lambda: runs.run("a").status.phase == "training", "a to begin")
    runs.stop("a")
    ended("a")
    with pytest.raises(UsageError, match="is stopped: there is nothing to stop"):
        runs.stop("a")
    with pytest.raises(UsageError, match="cannot be called dpo"):
        start("dpo")
    with pytest.raises(UsageError, match="There is no run “z”; the runs are: a"):
        runs.run("z")


def test_what_will_not_fit_is_refused_with_the_cheapest_fix(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from empo import budget

    monkeypatch.setattr(budget, "free_memory", lambda gpu: 700_000_000)
    spec = load_spec("nano-dpo")
    with pytest.raises(OutOfMemory, match=r"0\.7 GB are free: set optimiser\.batch=\d+ and"):
        runs.start(spec.model_copy(update={"name": "big"}))
    assert run_folders() == []
