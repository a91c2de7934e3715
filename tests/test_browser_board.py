"""The leaderboard in a real browser, with 0, 3, 50 and 5,000 votes, on a page of its own.

Screenshots go to tests/screenshots.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import gradio as gr
import pytest
from axe_playwright_python.sync_playwright import Axe

from empo.models.inventory import choose_stack
from empo.ui.leaderboard import leaderboard
from empo.ui.theme import head, theme
from tests.board_votes import as_votes, rows, traps
from tests.browser import LAUNCH, PHONE, SHOTS, free_port

pytestmark = pytest.mark.browser


class Page:
    """A page with nothing but a leaderboard, and the votes behind it."""

    def __init__(self, browser: Any) -> None:
        self.browser, self.rows, self.turn = browser, [], 0
        self.trouble: list[str] = []
        with gr.Blocks(analytics_enabled=False) as self.app:
            leaderboard(lambda: as_votes(self.rows), lambda: self.turn, choose_stack("nano").models)
        port = free_port()
        self.address = f"http://127.0.0.1:{port}/"
        self.app.queue().launch(
            server_name="127.0.0.1",
            server_port=port,
            prevent_thread_lock=True,
            quiet=True,
            theme=theme(),
            head=head(),
            ssr_mode=False,
            share=False,
        )

    def show(self, found: list[dict[str, Any]], name: str, **context: Any) -> Any:
        """A fresh tab with these votes, once they are counted."""
        self.rows, self.turn = found, self.turn + 1
        tab = self.browser.new_context(**context).new_page()
        tab.set_default_timeout(60_000)
        tab.on("pageerror", lambda error: self.trouble.append(f"script: {error}"))
        tab.on("dialog", lambda dialog: (self.trouble.append("dialog"), dialog.dismiss()))
        tab.goto(self.address)
        tab.wait_for_selector("#board .quiet")
        SHOTS.mkdir(exist_ok=True)
        tab.screenshot(path=SHOTS / f"board-{name}.png", full_page=True)
        return tab


def serious(tab: Any) -> list[str]:
    """What axe finds wrong with the leaderboard, for whoever cannot see it well."""
    found = Axe().run(tab, context="#board").response["violations"]
    return [
        f"{fault['id']}: {node['target']} {node['failureSummary']}"
        for fault in found
        if fault["impact"] in ("serious", "critical")
        for node in fault["nodes"]
    ]


@pytest.fixture(scope="module")
def page(chromium: str) -> Iterator[Page]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=LAUNCH)
        made = Page(browser)
        yield made
        browser.close()
        made.app.close(verbose=False)
    assert made.trouble == []


def test_without_votes(page: Page) -> None:
    tab = page.show([], "0", viewport={"width": 1280, "height": 900})
    assert tab.inner_text("#board .verdict") == "No votes yet: the ranking begins with the first."
    assert "above: every vote is counted here" in tab.inner_text("#board .quiet")
    assert tab.locator("#board figure, #board-pool:visible").count() == 0
    tab.context.close()


def test_with_three_votes(page: Page) -> None:
    tab = page.show(rows(3, seed=2), "3", viewport={"width": 1280, "height": 900})
    assert "too few people" in tab.inner_text("#board .verdict")
    assert "will move much with the next votes" in tab.inner_text("#board .mind")
    assert "not known yet" in tab.inner_text("#board .ranking table")
    tab.context.close()


def test_with_fifty_votes(page: Page) -> None:
    tab = page.show(rows(50, seed=1), "50", viewport={"width": 1280, "height": 900})
    assert "cannot be told apart yet: about" in tab.inner_text("#board .verdict")
    assert tab.locator("#board .ranking svg circle").count() == 3
    assert "votes to go" in tab.inner_text("#board")
    tab.context.close()


def test_with_five_thousand_votes_and_the_switch(page: Page) -> None:
    screen = {"viewport": {"width": 1280, "height": 900}, "reduced_motion": "reduce"}
    tab = page.show(rows(5000, seed=1), "5000", **screen)
    assert tab.inner_text("#board .verdict").startswith("DPO leads:")
    picture = tab.locator("#board .ranking svg").bounding_box()
    table = tab.locator("#board .ranking table").bounding_box()
    assert picture["y"] < table["y"]  # first the picture, then the table
    titles = tab.locator("#board figure h3").all_inner_texts()
    assert len(titles) == 6 and len(set(titles)) == 6
    before = tab.inner_text("#board .ranking table")
    tab.click("#board-kind label:has-text('adjusted')")
    tab.wait_for_selector("#board h3:has-text('adjusted for length and side')")
    assert tab.inner_text("#board .ranking table") != before
    assert "With length and side taken out" in tab.inner_text("#board")
    assert serious(tab) == []
    tab.evaluate("document.body.classList.add('dark')")
    tab.screenshot(path=SHOTS / "board-dark.png", full_page=True)
    assert serious(tab) == []
    tab.context.close()


def test_on_a_phone(page: Page) -> None:
    tab = page.show(rows(50, seed=1), "phone", **PHONE)
    assert tab.evaluate("document.documentElement.scrollWidth") <= 390
    boxes = [figure.bounding_box() for figure in tab.locator("#board figure").all()]
    assert len({round(box["x"]) for box in boxes}) == 1
    assert serious(tab) == []
    tab.context.close()


def test_pools_are_chosen_never_mixed_by_themselves(page: Page) -> None:
    tab = page.show(traps()["two pools"], "pools", viewport={"width": 1280, "height": 900})
    assert "60 votes by" in tab.inner_text("#board") and not tab.locator("#board .mind").count()
    for choice, votes in (("nano, recorded", "25 votes by"), ("all pools", "85 votes by")):
        tab.click("#board-pool input")
        tab.click(f"[role=option]:has-text('{choice}')")
        tab.wait_for_selector(f"#board li:has-text('{votes}')")
    assert "2 pools of unlike votes are taken together" in tab.inner_text("#board .mind")
    tab.context.close()


def test_names_of_models_are_only_text(page: Page) -> None:
    tab = page.show(traps()["hostile names"], "names")
    assert "<img src=x onerror=alert(1)>" in tab.inner_text("#board .verdict")
    assert tab.locator("#board img").count() == 0
    tab.context.close()
