"""Fixtures for all tests: an own home, no hub, and data and browser that must be there in CI."""

from __future__ import annotations

import os
import secrets
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

# Before anything imports huggingface_hub or gradio: no test may reach out.
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

from empo.settings import settings
from tests.browser import LAUNCH, Watched, app

# Read before the person's own settings are taken away from the tests.
POSTGRES = os.environ.get("EMPO_TEST_DATABASE_URL", "")
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


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=chromium, args=LAUNCH)
        yield running
        running.close()


@pytest.fixture
def watch(browser: Any) -> Iterator[Callable[..., Watched]]:
    """`watch(address, query, **context)`: a page that must be untroubled when the test ends."""
    pages: list[Watched] = []

    def opened(*place: str, kind: type[Watched] = Watched, **context: Any) -> Watched:
        pages.append(kind(browser, *place, **context))
        return pages[-1]

    yield opened
    for page in pages:
        page.close()


@pytest.fixture(scope="module")
def echo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the app on the engine without weights."""
    with app("--engine", "echo", log=tmp_path_factory.mktemp("app") / "log.txt") as found:
        yield found


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """As `echo`, with replies that take long enough to be stopped on any machine."""
    with app("--engine", "slow-echo", log=tmp_path_factory.mktemp("app") / "log.txt") as found:
        yield found


@pytest.fixture(scope="module")
def nano(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the app on the embedded models."""
    with app("--stack", "nano", log=tmp_path_factory.mktemp("app") / "log.txt") as found:
        yield found


@pytest.fixture
def memory_path() -> Iterator[Path]:
    """A folder in memory where there is one: a thousand syncs to a slow disk take minutes."""
    shared = Path("/dev/shm")
    place = shared if shared.is_dir() and os.access(shared, os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=place) as folder:
        yield Path(folder)


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, memory_path: Path) -> Iterator[str]:
    """An empty database of each kind; without a PostgreSQL that half is a skip (in CI: a failure).

    EMPO_TEST_DATABASE_URL names a server on which databases may be made.
    """
    if request.param == "sqlite":
        yield f"sqlite:///{memory_path / 'votes.sqlite3'}"
    else:
        yield from new_postgres()


@pytest.fixture
def postgres_url() -> Iterator[str]:
    yield from new_postgres()


def new_postgres() -> Iterator[str]:
    """A new database of the test server, dropped afterwards."""
    if not POSTGRES:
        missing("needs a PostgreSQL: set EMPO_TEST_DATABASE_URL", "EMPO_REQUIRE_DATABASE")
    from sqlalchemy import create_engine, text
    from sqlalchemy.engine import make_url

    url = make_url(POSTGRES).set(drivername="postgresql+psycopg")
    name = f"test_{secrets.token_hex(6)}"
    server = create_engine(url, isolation_level="AUTOCOMMIT")
    with server.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name} TEMPLATE template0"))
    try:
        yield url.set(database=name).render_as_string(hide_password=False)
    finally:
        with server.connect() as connection:
            connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
        server.dispose()
