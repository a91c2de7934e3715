"""Raw requests to the page: fifty launches at once, and every function from somebody who may not.

The counterpart with single acts is in test_trainer.py.
"""

from __future__ import annotations

import json
import subprocess
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from empo import runs
from empo.settings import settings
from empo.training import queue
from empo.training.folder import runs_home
from empo.training.process import Identity
from tests.trainer_page import Page, asked_for, snapshot
from tests.trainer_runs import made

LAUNCHES = 50


@pytest.fixture(autouse=True)
def own_runs(own_home: None, no_data: Path, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("EMPO_HOME", str(tmp_path / "home"))
    settings.cache_clear()


@pytest.fixture
def page() -> Iterator[Page]:
    found = Page()
    yield found
    found.page.close(verbose=False)


@pytest.fixture
def sleepers(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Processes that sleep in place of trainers; the runs for which one was started."""
    started: list[str] = []
    before = list(queue._children)

    def command(folder: Any, kind: str) -> list[str]:
        started.append(folder.name)
        return ["sleep", "600"]

    monkeypatch.setattr(queue, "command", command)
    yield started
    for child in [child for child in queue._children if child not in before]:
        child.kill()
        child.wait()


def test_of_fifty_launches_at_once_one_runs_and_three_wait(page: Page, sleepers: list[str]) -> None:
    (start,) = page.numbers["start"]
    owner = page.owner()
    with ThreadPoolExecutor(LAUNCHES) as pool:
        told = list(
            pool.map(lambda _: page.ask(start, asked_for("many"), None, owner), range(LAUNCHES))
        )
    refused = [text for text in told if "3 runs are waiting already" in text]
    assert len(refused) == LAUNCHES - 1 - queue.QUEUE
    for text in refused:
        (note,) = [
            v
            for v in json.loads(text.removeprefix("data: "))["output"]["data"]
            if isinstance(v, str)
        ]
        assert note == (
            "<p>3 runs are waiting already, evaluations included; wait for one to start, or stop "
            "one.</p>"
        )
    states = Counter(status.state for status in runs.runs())
    assert states == {"running": 1, "queued": queue.QUEUE} and len(sleepers) == 1
    names = {"many", "many-2", "many-3", "many-4"}
    assert {path.name for path in runs_home().iterdir()} == {*names, ".pairs", ".queue.lock"}
    assert all(runs.run(name).spec.limit == 500 for name in names)
    assert [p for p in runs_home().rglob("*") if p.name.endswith((".part", ".deleted"))] == []


def test_no_function_of_the_page_changes_a_run_for_a_visitor(
    page: Page, sleepers: list[str]
) -> None:
    """Every function there is, with every act: whoever adds one need not think of this test."""
    child = subprocess.Popen(["sleep", "600"], start_new_session=True)
    try:
        made("busy", "running", process=Identity.of(child.pid))
        made("still", "stopped")
        made("done", "finished")
        before = snapshot(), snapshot(settings().data_dir)
        acts = [("stop", "busy"), ("end", "busy"), ("resume", "still"), ("delete", "done")]
        visitor = {"origin": page.address}
        asked = [
            (number, [None] * len(fn.inputs), {"kind": kind, "run": name, "do": "start"})
            for number, fn in page.page.fns.items()
            if fn.fn is not None
            for kind, name in (acts if number in page.numbers["act"] else acts[:1])
        ]
        asked += [(n, asked_for("stolen"), None) for n in page.numbers["start"]]
        assert len(asked) > 40
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda one: page.ask(*one, visitor), asked))
        assert (snapshot(), snapshot(settings().data_dir)) == before
        assert child.poll() is None and sleepers == []
        assert not (settings().home / "reports").exists()
    finally:
        child.kill()
        child.wait()
