"""Step 3 of the Train tab on HF Jobs: who sees it, who may start, and the price that is accepted.

Functions are called as the page calls them, with requests that came through the gate or did not.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import gradio as gr
import pytest
from starlette.requests import Request

from empo import runs
from empo.jobs import launch as jobs
from empo.jobs import watch as job_watch
from empo.settings import Settings, settings
from empo.training.elsewhere import read_job
from empo.training.folder import run_folder, run_folders
from empo.ui.app import build, services_for
from empo.ui.jobs_panel import CHEAPEST, JobsEvents
from empo.ui.owner import PLACE, Gate
from empo.ui.pair_desk import OWN
from empo.ui.run_desk import first_form
from tests.hub_stand_in import TOKEN, Hub, stand_in, wind_up
from tests.small_runs import wait
from tests.trainer_runs import made

HOST = b"127.0.0.1:7999"


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    import huggingface_hub.constants as constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(job_watch, "PAUSE", 0.1)
    monkeypatch.setattr(jobs, "pack", lambda spec, target: target.write_bytes(b"a project"))
    with stand_in(tmp_path / "jobs") as found:
        for name, value in (
            ("HF_ENDPOINT", found.url),
            ("HF_TOKEN", TOKEN),
            ("EMPO_HOME", str(tmp_path / "home")),
            ("EMPO_DATA", str(tmp_path / "none")),
        ):
            monkeypatch.setenv(name, value)
        settings.cache_clear()
        yield found
        wind_up()


class Panel:
    """The panel of a whole page, and requests of its owner and of somebody else."""

    def __init__(self, **config: Any) -> None:
        page = build(services_for("nano", None, "echo", Settings(space_id=None, **config)))
        functions = [getattr(fn.fn, "__self__", None) for fn in page.fns.values()]
        self.events = next(one for one in functions if isinstance(one, JobsEvents))
        self.page, self.panel = page, self.events.panel
        gate = Gate(Settings(space_id=None, ask_token=True), "127.0.0.1", 7999)
        cookie = f"{gate.owner_cookie}={gate.claim(str(gate.token))}"
        self.owner, self.guest = _request(gate, cookie), _request(gate, "")

    def form(self, name: str) -> list[Any]:
        form = replace(first_form("dpo", "nano"), name=name, limit=20)
        fields = [getattr(form, field) for field in form.__dataclass_fields__]
        return [*fields, OWN, "paper", 1, 0, "", None]

    def said(self, updates: dict[Any, Any]) -> str:
        return str(updates[self.panel.price])


def _request(gate: Gate, cookie: str) -> gr.Request:
    head = [(b"host", HOST), (b"origin", b"http://" + HOST), (b"cookie", cookie.encode())]
    scope = {"type": "http", "method": "POST", "path": "/", "headers": head, "query_string": b""}
    scope |= {"client": ("127.0.0.1", 1), "server": ("127.0.0.1", 7999), "scheme": "http"}
    return gr.Request(Request(scope | {PLACE: gate}))


@pytest.fixture(scope="module")
def panel() -> Panel:
    return Panel()


def test_only_the_owner_sees_it(panel: Panel, hub: Hub) -> None:
    for request, there in ((panel.owner, True), (panel.guest, False)):
        updates = panel.events.open(request)
        assert updates[panel.panel.box].visible is there
        assert "ZeroGPU" not in updates[panel.panel.about]
    assert not panel.panel.box.visible  # and nobody before that is known
    assert not hub.requests


def test_on_zerogpu_it_is_open_and_says_why(hub: Hub) -> None:
    zero = Panel(SPACES_ZERO_GPU=True)
    updates = zero.events.open(zero.owner)
    assert updates[zero.panel.box].open and "cannot run on ZeroGPU" in updates[zero.panel.about]
    updates = zero.events.cost(zero.owner, "", CHEAPEST, "1h", *zero.form("mine"))
    amount = updates[zero.panel.offered]
    updates = zero.events.start(zero.owner, "", True, amount, CHEAPEST, "1h", *zero.form("mine"))
    wait(lambda: hub.jobs, "the job")


def test_a_visitor_learns_and_starts_nothing(panel: Panel, hub: Hub) -> None:
    made("still", "stopped")
    form = panel.form("mine")
    for request in (panel.guest, None):
        for updates in (
            panel.events.cost(request, "", "l4x1", "1h", *form),
            panel.events.start(request, "", True, 99.0, "l4x1", "1h", *form),
            panel.events.resume(request, "still", True, 99.0, "l4x1", "1h"),
        ):
            assert "owner" in panel.said(updates) or "running app" in panel.said(updates)
            assert not updates.get(panel.panel.offered)
    assert not hub.requests and [folder.name for folder in run_folders()] == ["still"]


def test_the_price_is_shown_accepted_and_kept_to(panel: Panel, hub: Hub) -> None:
    form, events = panel.form("mine"), panel.events
    updates = events.cost(panel.owner, "", "l4x1", "2h", *form)
    amount = updates[panel.panel.offered]
    assert amount == pytest.approx(1.8) and "$1.80 at most" in panel.said(updates)
    assert updates[panel.panel.go].visible and not updates[panel.panel.again].visible
    for accept, offered, limit, said in (
        (False, amount, "2h", "accept that price first"),
        ("yes", amount, "2h", "accept that price first"),
        (True, None, "2h", "accept that price first"),
        (True, amount, "4h", "may cost $3.60"),
        (True, amount, "soon", "write 30m, 1h or 2d"),
        (True, amount, ["2h"], "Choose a machine and a time limit"),
    ):
        told = panel.said(events.start(panel.owner, "", accept, offered, "l4x1", limit, *form))
        assert said in told
    assert not hub.jobs and not hub.repos
    updates = events.start(panel.owner, "", True, amount, "l4x1", "2h", *form)
    assert updates[panel.panel.offered] is None
    job = wait(lambda: list(hub.jobs.values()), "the job")[0]
    assert (job.spec["flavor"], job.spec["timeoutSeconds"]) == ("l4x1", 7200)
    repo = wait(lambda: read_job(run_folder("mine")), "the job's record").repo
    assert [p for p in hub.files(repo) if p.startswith("home/runs/.pairs/")]
    shown = json.dumps([str(value) for value in updates.values()])
    assert "HF Jobs, l4x1, at most $1.80" in shown and TOKEN not in shown


def test_a_stopped_job_is_taken_up_again_there_and_only_there(panel: Panel, hub: Hub) -> None:
    events, form = panel.events, panel.form("mine")
    amount = events.cost(panel.owner, "", "l4x1", "1h", *form)[panel.panel.offered]
    events.start(panel.owner, "", True, amount, "l4x1", "1h", *form)
    wait(lambda: read_job(run_folder("mine")).id, "the job")  # type: ignore[union-attr]
    runs.stop("mine")
    wait(lambda: runs.runs() and runs.run("mine").status.state == "stopped", "the end")
    made("local", "stopped")
    updates = events.cost(panel.owner, "local", "cpu-basic", "1h", *form)
    assert not updates[panel.panel.again].visible
    told = events.resume(panel.owner, "local", True, 1.0, "cpu-basic", "1h")
    assert "Open a run on HF Jobs" in panel.said(told)
    updates = events.cost(panel.owner, "mine", "cpu-basic", "1h", *form)
    assert updates[panel.panel.again].visible and updates[panel.panel.again].value == (
        "Resume mine there"
    )
    amount = updates[panel.panel.offered]
    events.resume(panel.owner, "mine", True, amount, "cpu-basic", "1h")
    wait(lambda: len(hub.jobs) == 2, "the second job")


def test_without_a_token_the_page_says_what_is_missing(
    panel: Panel, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HF_TOKEN")
    monkeypatch.setattr("huggingface_hub.get_token", lambda: None)
    settings.cache_clear()
    updates = panel.events.cost(panel.owner, "", "l4x1", "1h", *panel.form("mine"))
    assert "settings/tokens" in panel.said(updates) and "HF_TOKEN" in panel.said(updates)
    assert not hub.requests


def test_the_page_holds_no_token_and_asks_nobody_by_itself(panel: Panel, hub: Hub) -> None:
    page = panel.page
    assert TOKEN not in json.dumps(page.config, default=str) and not hub.requests
