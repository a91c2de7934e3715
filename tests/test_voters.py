"""empo/arena/voters.py: the server's secret, names of voters, and how often one may play."""

from __future__ import annotations

import hashlib
import hmac
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from empo.arena.voters import KEY_FILE, Caps, Voters, is_signed_in, server_key
from empo.errors import Busy, EmpoError


def test_the_secret_is_made_once_and_only_its_owner_can_read_it(tmp_path: Path) -> None:
    home = tmp_path / "new" / "home"
    key = server_key(home)
    assert len(key) == 32 and server_key(home) == key
    assert (home / KEY_FILE).stat().st_mode & 0o777 == 0o600
    assert [path.name for path in home.iterdir()] == [KEY_FILE]
    (home / KEY_FILE).chmod(0o644)
    assert server_key(home) == key
    assert (home / KEY_FILE).stat().st_mode & 0o777 == 0o600


def test_of_many_that_start_at_once_all_have_one_secret(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(lambda _: server_key(tmp_path), range(32)))) == 1
    assert [path.name for path in tmp_path.iterdir()] == [KEY_FILE]


@pytest.mark.parametrize("content", ["", "abc", "zz" * 32, "é"])
def test_a_damaged_secret_is_said_and_not_replaced(tmp_path: Path, content: str) -> None:
    (tmp_path / KEY_FILE).write_text(content, "utf-8")
    with pytest.raises(EmpoError, match=KEY_FILE):
        server_key(tmp_path)
    assert (tmp_path / KEY_FILE).read_text("utf-8") == content


def test_voters_are_keyed_hashes(tmp_path: Path) -> None:
    voters = Voters(tmp_path / "one")
    key = server_key(tmp_path / "one")
    found = hmac.new(key, b"anon\x00203.0.113.9", hashlib.sha256).hexdigest()[:32]
    assert voters.anonymous("203.0.113.9") == f"anon:{found}"
    names = {voters.anonymous("a"), voters.anonymous("b"), voters.signed_in("a")}
    assert len(names) == 3 and not any(name.endswith(":a") for name in names)
    assert Voters(tmp_path / "one").anonymous("a") == voters.anonymous("a")
    assert Voters(tmp_path / "two").anonymous("a") != voters.anonymous("a")
    assert is_signed_in(voters.signed_in("a")) and not is_signed_in(voters.anonymous("a"))
    assert voters.anonymous("\ud800").startswith("anon:")


def test_each_voter_has_their_own_cap_and_every_window_counts() -> None:
    caps = Caps(("2/minute", "3/day"))
    caps.open_battle("v"), caps.open_battle("v")
    with pytest.raises(Busy, match="2 battles within one minute"):
        caps.open_battle("v")
    for _ in range(2):
        caps.open_battle("w")
    few = Caps(("9/minute", "3/day"))
    for _ in range(3):
        few.open_battle("v")
    with pytest.raises(Busy, match="3 battles within one day"):
        few.open_battle("v")


def test_the_window_moves(monkeypatch: pytest.MonkeyPatch) -> None:
    caps = Caps(("2/minute",))
    start, mono = time.time(), time.monotonic()

    def at(seconds: float) -> None:
        monkeypatch.setattr(time, "time", lambda: start + seconds)
        monkeypatch.setattr(time, "monotonic", lambda: mono + seconds)

    at(0), caps.open_battle("v")
    at(50), caps.open_battle("v")
    at(59)
    with pytest.raises(Busy):
        caps.open_battle("v")
    at(61), caps.open_battle("v")  # the first is out of the window, the second is not
    with pytest.raises(Busy):
        caps.open_battle("v")


@pytest.mark.parametrize("jump", [3600, -3600, 365 * 86_400, -365 * 86_400])
def test_a_clock_that_is_set_locks_nobody_out(monkeypatch: pytest.MonkeyPatch, jump: int) -> None:
    caps = Caps(("1/day",))
    caps.open_battle("v")
    with pytest.raises(Busy):
        caps.open_battle("v")
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + jump)
    caps.open_battle("v")


def test_votes_of_a_day() -> None:
    caps = Caps(votes_a_day=2)
    caps.vote_again(1)
    with pytest.raises(Busy, match="come back tomorrow"):
        caps.vote_again(2)
