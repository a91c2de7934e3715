"""Fixtures for all tests: an own home, no hub, and data and browser that must be there in CI."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

# Before anything imports huggingface_hub or gradio: no test may reach out.
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

from empo.settings import settings

CHROMIUM = ("/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome")


def missing(what: str, variable: str) -> None:
    """Skip with a reason; where `CI` or `variable` is set, absence is a failure."""
    if any(os.environ.get(name, "") not in ("", "0", "false") for name in ("CI", variable)):
        pytest.fail(what)
    pytest.skip(what)


@pytest.fixture(autouse=True)
def own_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """State goes to a fresh folder; of the person's own settings only EMPO_DATA stays."""
    for name in [n for n in os.environ if n.startswith("EMPO_") and n != "EMPO_DATA"]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("EMPO_HOME", str(tmp_path_factory.getbasetemp() / "home"))
    settings.cache_clear()


@pytest.fixture
def no_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """As for a person who has fetched nothing: an empty data folder, which is returned."""
    folder = tmp_path / "no-data"
    folder.mkdir()
    monkeypatch.setenv("EMPO_DATA", str(folder))
    settings.cache_clear()
    return folder


@pytest.fixture(scope="session")
def data_file() -> Callable[[str], Path]:
    """`data_file("ed_test.jsonl.gz")`: that file in EMPO_DATA, or a skip (in CI: a failure)."""

    def find(name: str) -> Path:
        folder = os.environ.get("EMPO_DATA")
        if not folder:
            missing(f"needs {name}: EMPO_DATA is not set", "EMPO_REQUIRE_DATA")
        path = Path(str(folder)) / name
        if not path.exists():
            missing(f"needs {name}, which is not in EMPO_DATA ({folder})", "EMPO_REQUIRE_DATA")
        return path

    return find


@pytest.fixture(scope="session")
def data_folder(data_file: Callable[[str], Path]) -> Path:
    """The folder EMPO_DATA with EmpatheticDialogues in it, or a skip (in CI: a failure)."""
    return data_file("ed_test.jsonl.gz").parent


@pytest.fixture(scope="session")
def chromium() -> str:
    """The path of a Chromium, or a skip (in CI: a failure)."""
    for path in CHROMIUM:
        if Path(path).is_file():
            return path
    missing("needs Chromium: apt-get install chromium", "EMPO_REQUIRE_BROWSER")
    raise AssertionError("missing() always raises")
