"""What was acknowledged is on the disk: kill -9 while voting, and the calls that reach the disk.

A process that is killed loses nothing even where nothing was ever synced to the disk, since the
kernel keeps what was written: kills show that votes are whole, counting fdatasync that they would
survive a loss of power. Neither needs a real disk, on which a busy machine syncs for minutes.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import missing

SCRIPT = [sys.executable, "-m", "tests.voting_until_killed"]
ROOT = Path(__file__).resolve().parent.parent


def killed(url: str, kills: int, acks: int) -> int:
    """Check a series of kills; the number of acknowledged votes."""
    command = [*SCRIPT, "kills", url, str(kills), str(acks)]
    run = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=3000, check=False
    )
    assert run.returncode == 0, run.stderr[-2000:]
    found = json.loads(run.stdout)
    acknowledged, stored = found["acknowledged"], found["stored"]
    assert len(acknowledged) >= kills * acks
    assert set(acknowledged) - set(stored) == set(), "acknowledged, and lost"
    assert len(stored) == len(set(stored)), "stored twice"
    # Of each child's four threads, at most the vote it was at may be stored but not acknowledged.
    assert len(stored) <= len(acknowledged) + 4 * kills
    assert found["integrity"] == "ok"
    return len(acknowledged)


@pytest.mark.slow
def test_twenty_kills_lose_no_vote(memory_path: Path) -> None:
    killed(f"sqlite:///{memory_path / 'v.sqlite3'}", 20, 8)


def test_kills_lose_no_vote_on_postgresql(postgres_url: str) -> None:
    killed(postgres_url, 4, 8)


@pytest.mark.nightly
def test_two_hundred_kills_lose_none_of_ten_thousand_votes(memory_path: Path) -> None:
    assert killed(f"sqlite:///{memory_path / 'v.sqlite3'}", 200, 50) >= 10_000


@pytest.mark.nightly
def test_fifty_kills_lose_no_vote_on_postgresql(postgres_url: str) -> None:
    killed(postgres_url, 50, 40)


def syncs(memory_path: Path, votes: int, mode: str) -> list[int]:
    """For each acknowledged vote, how often its transaction reached the disk before that."""
    if shutil.which("strace") is None:
        missing("needs strace: apt-get install strace", "EMPO_REQUIRE_DATABASE")
    log = memory_path / "calls.txt"
    url = f"sqlite:///{memory_path / 'v.sqlite3'}"
    command = ["strace", "-f", "-y", "-e", "trace=fsync,fdatasync,write", "-o", str(log)]
    command += [*SCRIPT, "strace", url, str(votes), mode]
    run = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=3000, check=False
    )
    if "PTRACE" in run.stderr or "ptrace" in run.stderr:
        missing(f"strace may not trace here: {run.stderr[:200]}", "EMPO_REQUIRE_DATABASE")
    assert run.returncode == 0, run.stderr[-2000:]
    counts: list[int] = []
    since = 0
    for line in log.read_text("utf-8", errors="replace").splitlines():
        if re.search(r'write\(1<.*"ready', line):
            since = 0
        elif re.search(r"f(data)?sync\(\d+<.*/v\.sqlite3", line) and "= -1" not in line:
            since += 1
        elif re.search(r'write\(1<.*"ack', line):
            counts.append(since)
    assert len(counts) == votes
    return counts


@pytest.mark.parametrize(
    "votes", [20, pytest.param(1000, marks=pytest.mark.nightly)], ids=["few", "many"]
)
def test_every_vote_reaches_the_disk_before_it_is_acknowledged(
    memory_path: Path, votes: int
) -> None:
    assert min(syncs(memory_path, votes, "full")) >= 1


def test_the_count_finds_a_store_that_does_not_sync(memory_path: Path) -> None:
    assert syncs(memory_path, 5, "off") == [0] * 5
