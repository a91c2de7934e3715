"""A disk that is full, really: a small file system that a run's checkpoints outgrow."""

from __future__ import annotations

import errno
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from empo.settings import ROOT, child_environment
from empo.training.folder import make_folder
from tests.small_runs import small_spec
from tests.tiny_models import save_base

# A file system of its own that nobody else sees; also those who are not root may mount one so.
PRIVATE = ["unshare", "--user", "--map-root-user", "--mount"]
MOUNT = 'mount -t tmpfs -o size="$2" none "$1"'
SIZE = "5m"  # a checkpoint of this run has 2.1 MB: room for two, not for a third beside them

SCRIPT = f"""
set -e
{MOUNT}
cp -r "$3" "$1/run"
exec "$4" -u -c "$5" "$1" "$6" > "$1/run/log.txt" 2>&1
"""
TWICE = """
import json, os, subprocess, sys
from pathlib import Path
import torch
from empo.training.checkpoints import checkpoints, last_whole, step_of
from empo.training.folder import RunFolder
from empo.training.status import read_status
from train import dpo
from train.run import execute
torch.set_num_threads(1)
disk, out = map(Path, sys.argv[1:])
folder, told = RunFolder(disk / "run"), []
for size in ("", "60m"):
    if size:
        subprocess.run(["mount", "-o", f"remount,size={size}", str(disk)], check=True)
    code = execute(str(folder.path), "dpo", dpo.build)
    whole = last_whole(folder)
    told.append({
        "code": code, "status": read_status(folder).as_json(), "whole": whole and step_of(whole),
        "there": [step_of(path) for path in checkpoints(folder)],
        "steps": [row["step"] for row in folder.rows("metrics.jsonl") if "loss" in row],
        "adapter": (folder.adapter / "adapter_model.safetensors").exists(),
        "files": sorted(path.name for path in folder.path.iterdir()),
    })
    out.write_text(json.dumps(told), "utf-8")
"""


def can_mount(folder: Path) -> bool:
    """Whether this machine lets a test have a small file system."""
    if shutil.which("unshare") is None:
        return False
    folder.mkdir()
    command = [*PRIVATE, "sh", "-c", MOUNT, "sh", str(folder), "64k"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


FILL = """
import sys
from pathlib import Path
from empo.training.folder import RunFolder, give_room, keep_room
from empo.training.status import RunStatus, read_status, write_status
folder = RunFolder(Path(sys.argv[1]))
keep_room(folder)
try:
    with (folder / "others").open("wb", buffering=0) as file:
        while file.write(b"x" * 4096):
            pass
except OSError as error:
    print(error.errno)
status = RunStatus(folder.name, "dpo", "failed", problem="disk", sentence="x" * 2000)
try:
    write_status(folder, status)
except OSError as error:
    print(error.errno)
give_room(folder)
write_status(folder, status)
print(read_status(folder).problem)
"""


def test_room_is_kept_for_saying_so(tmp_path: Path) -> None:
    """Others have filled the disk to the last block: the status can be written all the same."""
    if not can_mount(tmp_path / "try"):
        pytest.skip("no small file system can be mounted here")
    disk = tmp_path / "disk"
    disk.mkdir()
    shell = ["sh", "-c", f'{MOUNT} && exec "$3" -c "$4" "$1"', "sh", str(disk), "256k"]
    done = subprocess.run(
        [*PRIVATE, *shell, sys.executable, FILL],
        cwd=ROOT, env=child_environment(), capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.stdout.split() == [str(errno.ENOSPC)] * 2 + ["disk"], done.stderr


@pytest.mark.slow
def test_a_full_disk_is_said_and_the_run_goes_on_when_there_is_room(
    tmp_path: Path, data_folder: Path
) -> None:
    """The third checkpoint does not fit: `failed: disk`; with more room it goes on and finishes."""
    if not can_mount(tmp_path / "try"):
        pytest.skip("no small file system can be mounted here")
    disk, out = tmp_path / "disk", tmp_path / "told.json"
    disk.mkdir()
    base = save_base(tmp_path / "base")
    spec = small_spec(base, "run", limit=40, valid=2, lora={"rank": 64, "alpha": 64})
    made = make_folder(spec, tmp_path / "made")
    shell = ["sh", "-c", SCRIPT, "sh", str(disk), SIZE, str(made.path)]
    done = subprocess.run(
        [*PRIVATE, *shell, sys.executable, TWICE, str(out)],
        cwd=ROOT, env=child_environment(), capture_output=True, text=True, timeout=900,
    )  # fmt: skip
    assert out.is_file(), done.stderr[-2000:]
    full, mended = json.loads(out.read_text("utf-8"))
    status = full["status"]
    assert (full["code"], status["state"], status["problem"]) == (1, "failed", "disk")
    assert status["sentence"] == "The disk is full, or a file outgrew limits.disk_gb."
    assert status["action"] == "Free some space, then resume the run."
    assert full["there"] == [10, 5] and full["whole"] == 10 and not full["adapter"]
    assert mended["status"]["state"] == "finished" and mended["adapter"]
    assert mended["steps"] == list(range(1, 21))
    assert ".room" not in {*full["files"], *mended["files"]}
