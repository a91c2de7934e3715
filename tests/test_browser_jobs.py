"""HF Jobs from the page, in a real browser: the price, the run, its end; the token nowhere.

The Hub is a stand-in on this machine. Screenshots go to tests/screenshots.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from empo.settings import settings
from empo.training.elsewhere import read_job
from empo.training.folder import RunFolder
from tests.browser import LAUNCH, Watched, app
from tests.hub_stand_in import TOKEN, Hub, stand_in
from tests.small_runs import wait

pytestmark = [pytest.mark.browser, pytest.mark.slow]
PATIENCE = 300_000  # milliseconds; pages share a busy machine
DESKTOP = {"viewport": {"width": 1280, "height": 900}}


def finish(hub: Hub, folder: RunFolder) -> None:
    """What a job sends when all went well."""
    job = read_job(folder)
    assert job is not None
    told = {"state": "finished", "step": 4, "steps": 4, "seconds": 8.0, "sentence": "It finished."}
    rows = [{"step": n, "loss": 0.7 / n, "rewards/margins": 0.1 * n} for n in range(1, 5)]
    result = {"verdict": "unclear", "sentence": "It cannot be told whether it helped.", "table": []}
    files = {"status.json": told, "result.json": result, "model.json": {}}
    sent = {f"run/{name}": json.dumps(value).encode() for name, value in files.items()}
    sent["run/metrics.jsonl"] = "".join(json.dumps(row) + "\n" for row in rows).encode()
    hub.commit(job.repo, sent)
    found = hub.jobs[job.id]
    found.lines += ["<b>installed</b>", f"token {TOKEN}"]
    found.stage = "COMPLETED"


def test_a_run_on_hf_jobs_from_its_price_to_its_verdict(chromium: str, tmp_path: Path) -> None:
    from playwright.sync_api import sync_playwright

    log = tmp_path / "log.txt"
    settings.cache_clear()
    with stand_in(tmp_path / "jobs") as hub, sync_playwright() as playwright:
        own = {"EMPO_HOME": str(tmp_path / "home"), "EMPO_DATA": str(tmp_path / "none")}
        own |= {"HF_ENDPOINT": hub.url, "HF_TOKEN": TOKEN, "HF_HUB_OFFLINE": "0"}
        with app("--engine", "echo", log=log, **own) as address:
            browser = playwright.chromium.launch(executable_path=chromium, args=LAUNCH)
            w = Watched(browser, address, **DESKTOP)
            through(w, hub, RunFolder(tmp_path / "home" / "runs" / "nano-dpo"))
            assert TOKEN not in w.page.content()
            w.close()
            browser.close()
    assert TOKEN not in log.read_text()
    for path in (tmp_path / "home").rglob("*"):
        assert not path.is_file() or TOKEN.encode() not in path.read_bytes(), path


def through(w: Watched, hub: Hub, folder: RunFolder) -> None:
    page: Any = w.page
    page.set_default_timeout(PATIENCE)
    page.click("button[role=tab]:has-text('Train')")
    page.wait_for_selector("#recipe-note p, #run-list p", state="attached")
    page.click("#steps button[role=tab]:has-text('Run')")
    page.click("#jobs > button")
    page.wait_for_selector("#jobs-ask:visible")
    assert page.locator("#jobs-go:visible").count() == 0
    page.click("#jobs-ask")
    page.wait_for_selector("#jobs-price p:has-text('at most')")
    assert "CPU Basic" in w.text("#jobs-price") and not hub.jobs
    page.click("#jobs-go")
    page.wait_for_selector("#jobs-price p:has-text('accept that price first')")
    page.click("#jobs-ask")
    page.wait_for_selector("#jobs-price p:has-text('cpu-basic')")
    page.check("#jobs-accept input")
    w.shot("jobs-price")
    page.click("#jobs-go")
    page.wait_for_selector("#run-view .pace:has-text('waiting for a machine')")
    assert "HF Jobs, cpu-basic" in w.text("#run-view [data-part=head]")
    wait(lambda: hub.jobs and (read_job(folder) or 0) and read_job(folder).id, "the job")  # type: ignore[union-attr]
    finish(hub, folder)
    page.wait_for_selector("#run-view .state.finished")
    page.wait_for_selector("#run-view .verdict:has-text('cannot be told')")
    page.click("#run-view summary:has-text('printed')")
    assert "<b>installed</b>" in w.text("#run-view [data-part=log]")
    w.shot("jobs-finished")
