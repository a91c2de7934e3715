"""A run in a real browser: started, refreshed, stopped, resumed, finished, compared; and watched.

The run is tiny: nano, a dozen steps on the starter set. Screenshots go to tests/screenshots.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from empo.settings import settings
from tests.browser import PHONE, Watched, app
from tests.trainer_runs import EVIL, made

pytestmark = [pytest.mark.browser, pytest.mark.slow]
PATIENCE = 300_000  # milliseconds; pages share a busy machine
DESKTOP = {"viewport": {"width": 1280, "height": 900}}
SETTINGS = "valid=2\nevaluations=2\nsamples=1\nmeasure=2\ncheckpoint_every=1"


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, str]]:
    """The address of the app for somebody without data, and what only its terminal says."""
    monkeypatch.setenv("EMPO_HOME", str(tmp_path / "home"))
    settings.cache_clear()
    made("an-evil-run", "finished", said=EVIL)
    log = tmp_path / "log.txt"
    variables = {"EMPO_DATA": str(tmp_path), "EMPO_ASK_TOKEN": "1", "OMP_NUM_THREADS": "1"}
    with app("--engine", "echo", log=log, **variables) as address:
        token = re.search(r"\?(token=\S+)", log.read_text())
        assert token
        yield address, token[1]


def visit(browser: Any, address: str, query: str, **context: Any) -> Watched:
    w = Watched(browser, address, query, **context)
    w.page.set_default_timeout(PATIENCE)
    trainer(w)
    return w


def trainer(w: Watched) -> None:
    w.page.click("button[role=tab]:has-text('Train')")
    w.page.wait_for_selector("#run-list li")


def state(w: Watched, name: str) -> None:
    w.page.wait_for_selector(f"#run-view .state.{name}")


def step(w: Watched, at_least: int) -> None:
    w.page.wait_for_function(
        "n => +(/step (\\d+)/.exec(document.querySelector('#run-view .pace')?.textContent)"
        " || [])[1] >= n",
        arg=at_least,
    )


def ask(w: Watched) -> None:
    """Step 2, filled for a run of sixteen steps."""
    page = w.page
    page.click("#steps button[role=tab]:has-text('Recipe')")
    page.wait_for_selector("#recipe-note p")
    page.fill("#recipe-name input, #recipe-name textarea", "tiny")
    page.fill("#recipe-limit input", "32")
    page.click("#recipe-more button")
    page.fill("#recipe-more input >> nth=0", "2")
    page.fill("#recipe-lines textarea", SETTINGS)


def test_a_run_from_launch_to_comparison_and_a_visitor_who_watches(
    browser: Any, place: tuple[str, str]
) -> None:
    address, token = place
    w = visit(browser, address, f"?{token}", **DESKTOP)
    guest = visit(browser, address, "", **PHONE)
    page = w.page
    ask(w)
    page.wait_for_selector("#recipe-note p:has-text('16 steps')")
    page.click("#recipe-start")
    step(w, 2)
    # Whoever watches sees it come without doing anything.
    guest.page.wait_for_selector("#run-list button[data-name=tiny]")
    page.wait_for_selector("#run-view .panels figure:not(.first) polyline")
    assert "half of the processor" in w.text("#run-view [data-part=head]")
    assert "run=tiny" in page.url
    page.reload()  # in the middle: everything is on the disk, and the run is open again
    page.wait_for_selector("#run-view h2:has-text('tiny'):visible")
    step(w, 3)
    page.click("#run-view button[data-do=stop]")
    state(w, "stopped")
    watched(guest)
    page.click("#run-view button[data-do=resume]")
    state(w, "finished")
    page.wait_for_selector("#run-view .verdict")
    assert w.text("#run-view .verdict").strip() != ""
    assert page.locator("#run-view .samples dt").count() >= 3  # before, at the end, a human
    inert(w)
    w.shot("trainer-run")
    page.click("#run-list button[data-name=tiny]")
    page.wait_for_selector("#run-view h2:has-text('tiny')")
    page.click("#run-view button[data-do=compare]")
    page.wait_for_selector("#compare .head option[value=tiny]:checked", state="attached")
    w.say("My dog died.")
    w.answered(1)
    assert w.texts()[-1] == "tiny heard: My dog died."
    assert "run=" not in page.url and "tab=" not in page.url
    newcomer = Watched(browser, address, "", **DESKTOP)  # to a page made before the run was there
    newcomer.page.set_default_timeout(PATIENCE)
    newcomer.page.wait_for_selector("#compare .head option[value=tiny]", state="attached")
    newcomer.close()
    for one in (w, guest):
        one.close()


def watched(guest: Watched) -> None:
    """Without the token: lists, curves, a recipe to take along; nothing to press."""
    page = guest.page
    page.click("#run-list button[data-name=tiny]")
    page.wait_for_selector("#run-view .panels figure:not(.first) polyline")
    buttons = page.locator("#run-view .acts button").all_inner_texts()
    assert buttons == ["Duplicate"]
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    guest.shot("trainer-phone")
    page.click("#steps button[role=tab]:has-text('Recipe')")
    page.wait_for_selector("#recipe-note h3:has-text('Train this on your own Space')")
    assert page.locator("#recipe-start:visible").count() == 0
    assert "CPU basic" in guest.text("#recipe-note")


def inert(w: Watched) -> None:
    """A run whose samples, log and sentence are markup, laid beside another."""
    page = w.page
    page.click("#run-list button[data-name=an-evil-run]")
    page.wait_for_selector("#run-view h2:has-text('an-evil-run')")
    assert EVIL in w.text("#run-view .samples") and EVIL in w.text("#run-view .verdict")
    page.click("#run-view summary:has-text('printed')")
    assert EVIL in w.text("#run-view [data-part=log]")
    page.check("#run-list input[data-with=tiny]")
    page.wait_for_selector("#run-view [data-part=differences] th:has-text('tiny')")
    assert page.locator("#run-view .legend li").count() == 2
    assert page.evaluate("window.hurt") is None
    w.shot("trainer-two")
    page.uncheck("#run-list input[data-with=tiny]")
    page.wait_for_function("!document.querySelector('#run-view .legend')")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_for_whoever_cannot_see_it_well(browser: Any, place: tuple[str, str], theme: str) -> None:
    """All three steps, with the folds open and two runs compared, before axe."""
    made("another-run", "stopped", changes=("beta=0.3",))
    w = visit(browser, place[0], f"?{place[1]}&__theme={theme}", **DESKTOP)
    page = w.page
    page.wait_for_selector("#run-view h2:visible, #pairs article:visible")
    page.click("#steps button[role=tab]:has-text('Pairs')")
    page.wait_for_selector("#pairs article:visible")
    assert w.serious() == []
    page.click("#steps button[role=tab]:has-text('Recipe')")
    page.wait_for_selector("#recipe-note p")
    page.click("#recipe-more button")
    page.wait_for_selector("#recipe-lines textarea:visible")
    assert w.serious() == []
    page.click("#run-list button[data-name=an-evil-run]")
    page.wait_for_selector("#run-view h2:has-text('an-evil-run'):visible")
    page.check("#run-list input[data-with=another-run]")
    page.wait_for_selector("#run-view [data-part=differences] th:has-text('another-run')")
    for fold in page.query_selector_all("#run-view summary"):
        fold.click()
    assert w.serious() == []
    w.shot(f"trainer-{theme}")
    w.close()
