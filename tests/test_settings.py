"""empo/settings.py: variables, defaults, wrong values."""

from __future__ import annotations

from pathlib import Path

import pytest

from empo.errors import UsageError
from empo.settings import ASSETS, ROOT, Settings, settings

OWN = ("SPACE_ID", "SPACE_HOST", "SPACES_ZERO_GPU")


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in ("EMPO_HOME", "EMPO_DATA", "EMPO_HOST", "EMPO_DATABASE_URL", *OWN):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


def test_defaults(bare: pytest.MonkeyPatch) -> None:
    found = Settings()
    assert found.home == Path.home() / ".empo"
    assert found.data_dir == Path.home() / ".empo" / "data"
    assert (found.host, found.port, found.stack) == ("127.0.0.1", 7860, "auto")
    assert found.quantisation is None
    assert not found.zero_gpu and found.space_id is None


def test_home_relocates_all_state_and_data_can_lie_elsewhere(bare: pytest.MonkeyPatch) -> None:
    bare.setenv("EMPO_HOME", "/srv/empo")
    assert Settings().data_dir == Path("/srv/empo/data")
    bare.setenv("EMPO_DATA", "/mnt/ed")
    assert (Settings().home, Settings().data_dir) == (Path("/srv/empo"), Path("/mnt/ed"))


def test_votes_are_kept_at_home_unless_told_otherwise(bare: pytest.MonkeyPatch) -> None:
    bare.setenv("EMPO_HOME", "/srv/empo")
    assert Settings().votes_url == "sqlite:////srv/empo/arena.sqlite3"
    bare.setenv("EMPO_DATABASE_URL", "postgresql://empo@db/votes")
    assert Settings().votes_url == "postgresql://empo@db/votes"


def test_a_space_listens_for_its_proxy_unless_told_otherwise(bare: pytest.MonkeyPatch) -> None:
    bare.setenv("SPACE_ID", "someone/empo")
    assert (Settings().host, Settings().space_id) == ("0.0.0.0", "someone/empo")
    bare.setenv("EMPO_HOST", "127.0.0.2")
    assert Settings().host == "127.0.0.2"


def test_variables_are_read_once(bare: pytest.MonkeyPatch) -> None:
    bare.setenv("EMPO_PORT", "9000")
    bare.setenv("EMPO_STACK", "zephyr-7b")
    bare.setenv("SPACES_ZERO_GPU", "true")
    settings.cache_clear()
    assert (settings().port, settings().stack, settings().zero_gpu) == (9000, "zephyr-7b", True)
    bare.setenv("EMPO_PORT", "9001")
    assert settings().port == 9000


@pytest.mark.parametrize(
    "name, value",
    [("EMPO_PORT", "seven"), ("EMPO_PORT", "70000"), ("EMPO_QUANTISATION", "fp8")],
)
def test_a_wrong_value_names_the_variable(bare: pytest.MonkeyPatch, name: str, value: str) -> None:
    bare.setenv(name, value)
    settings.cache_clear()
    with pytest.raises(UsageError, match=f"The variable {name} is wrong"):
        settings()


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(Exception, match="frozen"):
        settings().port = 1  # type: ignore[misc]


def test_the_project_s_own_folders_are_there() -> None:
    assert ASSETS == ROOT / "assets"
    assert (ASSETS / "stacks").is_dir()
