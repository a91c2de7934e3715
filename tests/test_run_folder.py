"""A run's files: written whole or not at all, read with what cannot be read left out."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from empo.errors import UsageError
from empo.settings import child_environment
from empo.training.checkpoints import MANIFEST, last_whole, seal, step_of, tidy, tidy_for_resume
from empo.training.folder import (
    RunFolder,
    append_line,
    keep_until,
    make_folder,
    read_json,
    run_folder,
    run_folders,
    runs_home,
    write_json,
)
from empo.training.process import Identity, held, take
from empo.training.status import LOCK, RunStatus, read_status, write_status
from tests.small_runs import small_spec


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return make_folder(small_spec("some/base", "mine"), tmp_path)


def test_a_taken_name_gets_a_number(folder: RunFolder) -> None:
    home = folder.path.parent
    spec = small_spec("some/base", "mine")
    assert [make_folder(spec, home).name for _ in range(2)] == ["mine-2", "mine-3"]
    assert RunFolder(home / "mine-3").spec().name == "mine-3"
    long = small_spec("some/base", "a" * 41)
    assert make_folder(long, home).name == "a" * 41
    assert make_folder(long, home).name == "a" * 39 + "-2"
    assert [run.name for run in run_folders(home)][-3:] == ["mine", "mine-2", "mine-3"]


@pytest.mark.parametrize("name", ["../x", "none", "", ".", "a/b", "A"])
def test_a_name_that_is_no_run_is_said(name: str) -> None:
    with pytest.raises(UsageError, match="There is no run"):
        run_folder(name)


def test_nothing_passes_through(folder: RunFolder) -> None:
    raw = json.loads(folder.spec_file.read_text("utf-8"))
    folder.spec_file.write_text(json.dumps(raw | {"trust_remote_code": True}), "utf-8")
    with pytest.raises(UsageError, match=r"mine/spec\.json: trust_remote_code: Extra inputs"):
        folder.spec()


def test_a_cut_off_line_is_no_line(folder: RunFolder) -> None:
    path = folder / "metrics.jsonl"
    for step in range(1, 6):
        append_line(path, {"step": step})
    with path.open("a", encoding="utf-8") as file:
        file.write('{"step": 6, "lo')
    assert [row["step"] for row in folder.rows("metrics.jsonl")] == [1, 2, 3, 4, 5]
    assert [row["step"] for row in folder.rows("metrics.jsonl", since=3)] == [4, 5]
    keep_until(path, 3)
    assert path.read_text("utf-8") == '{"step": 1}\n{"step": 2}\n{"step": 3}\n'
    append_line(path, {"step": 4})
    assert [row["step"] for row in folder.rows("metrics.jsonl")] == [1, 2, 3, 4]


def test_json_is_whole_or_as_before(folder: RunFolder) -> None:
    path = folder / "x.json"
    write_json(path, {"a": 1})
    with pytest.raises(ValueError):
        write_json(path, {"a": float("nan")})
    assert read_json(path) == {"a": 1}
    path.write_text("[1", "utf-8")
    assert read_json(path) is None


def checkpoint(folder: RunFolder, step: int, sealed: bool = True) -> Path:
    path = folder.checkpoints / f"checkpoint-{step}"
    (path / "deep").mkdir(parents=True)
    (path / "weights").write_bytes(bytes(1000))
    (path / "deep" / "state").write_text(str(step), "utf-8")
    if sealed:
        seal(path)
    return path


def test_only_whole_checkpoints_count(folder: RunFolder) -> None:
    assert last_whole(folder) is None
    first, second = checkpoint(folder, 5), checkpoint(folder, 10)
    checkpoint(folder, 15, sealed=False)
    assert last_whole(folder) == second and step_of(second) == 10
    (second / "weights").write_bytes(bytes(999) + b"x")
    assert last_whole(folder) == first, "a file that is not as it was written"
    (first / "deep" / "state").unlink()
    assert last_whole(folder) is None


def test_resuming_throws_away_what_is_newer_and_not_whole(folder: RunFolder) -> None:
    good = checkpoint(folder, 5)
    half = checkpoint(folder, 10, sealed=False)
    rotten = checkpoint(folder, 7)
    (rotten / MANIFEST).write_text("{}", "utf-8")
    assert tidy_for_resume(folder) == good
    assert not half.exists() and not rotten.exists() and good.exists()


def test_two_checkpoints_are_kept(folder: RunFolder) -> None:
    for step in (5, 10, 15):
        checkpoint(folder, step)
    checkpoint(folder, 20, sealed=False)
    tidy(folder)
    assert sorted(path.name for path in folder.checkpoints.iterdir()) == [
        "checkpoint-10",
        "checkpoint-15",
    ]


def test_running_is_believed_only_of_a_living_process(folder: RunFolder) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    identity = Identity.of(gone.pid)
    gone.wait()
    status = RunStatus("mine", "dpo", "running", step=7, steps=20, seconds=14.0, process=identity)
    write_status(folder, status)
    found = read_status(folder)
    assert found.state == "interrupted" and "after step 7" in found.sentence
    assert found.seconds_left is None
    assert read_json(folder / "status.json")["state"] == "running", "readers write nothing"
    write_status(folder, replace(status, process=Identity.mine()))
    assert read_status(folder).state == "running"
    assert read_status(folder).seconds_left == pytest.approx(26.0)
    folder.stop_file.touch()
    assert read_status(folder).state == "stopping"


def test_the_same_id_is_not_the_same_process(folder: RunFolder) -> None:
    """Ids come round again: the time of creation must agree as well."""
    mine = Identity.mine()
    other = Identity(mine.pid, mine.created - 100)
    assert mine.alive() and not other.alive()
    write_status(folder, RunStatus("mine", "dpo", "running", process=other))
    assert read_status(folder).state == "interrupted"


HOLDER = """
import sys, time
from pathlib import Path
from empo.training.process import take
lock = take(Path(sys.argv[1]))
print("held", flush=True)
time.sleep(600)
"""


def test_the_lock_ends_with_its_holder(folder: RunFolder) -> None:
    path = folder / LOCK
    assert not held(path)
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert holder.stdout is not None and holder.stdout.readline() == "held\n"
        assert held(path) and take(path, seconds=0.05) is None
        write_status(folder, RunStatus("mine", "dpo", "running", process=None))
        assert read_status(folder).state == "running", "held, whatever status.json says"
    finally:
        holder.kill()
        holder.wait()
    assert not held(path)
    lock = take(path)
    assert lock is not None
    lock.close()
    assert read_status(folder).state == "interrupted"


def test_an_unreadable_status_is_a_run_in_line(folder: RunFolder) -> None:
    (folder / "status.json").write_text("{", "utf-8")
    assert read_status(folder).state == "queued"


def test_a_child_is_given_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    found = child_environment()
    assert not any("secret" in value for value in found.values())
    assert found["OMP_NUM_THREADS"] == "3" and found["PATH"] == os.environ["PATH"]
    assert Path(found["EMPO_HOME"]) == runs_home().parent
