"""Step 1 of the Train tab in a real browser: the five presets, an upload, filters, a phone.

Without data, so on the starter set, and on EmpatheticDialogues. Screenshots go to
tests/screenshots.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.browser import PATIENCE, PHONE, Watched, app

pytestmark = pytest.mark.browser
EVIL = "<img src=x onerror=window.hurt=1><script>window.hurt=1</script> ${window.hurt=1} {{hurt}}"


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The app as for somebody who has fetched nothing."""
    folder = tmp_path_factory.mktemp("bare")
    with app("--engine", "echo", log=folder / "log.txt", EMPO_DATA=str(folder)) as found:
        yield found


@pytest.fixture
def visit(watch: Callable[..., Watched]) -> Callable[..., Watched]:
    def opened(address: str, **context: Any) -> Watched:
        w = watch(address, **context)
        w.page.click("button[role=tab]:has-text('Train')")
        w.page.wait_for_selector("#pairs article")
        return w

    return opened


def origin(w: Watched, name: str) -> None:
    """Wait for a card of that origin."""
    w.page.wait_for_function(
        "name => document.querySelector('#pairs .origin')?.textContent === name", arg=name
    )


def place(w: Watched, text: str) -> None:
    w.page.wait_for_function(
        "text => document.querySelector('#pairs .leaf span')?.textContent.startsWith(text)",
        arg=text,
    )


def test_five_presets_filters_and_the_report(bare: str, visit: Callable[..., Watched]) -> None:
    w = visit(bare, viewport={"width": 1280, "height": 900})
    page = w.page
    assert page.is_checked("#pair-source input[value=starter]")
    for title, name in (
        ("Balanced", "balanced"),
        ("Hard", "hard"),
        ("Same situation", "same situation"),
        ("As in the paper", "as in the paper"),
    ):
        page.click(f"#pair-preset label:has-text('{title}')")
        origin(w, name)
    page.click("#pairs button[data-go=on]")
    place(w, "2 of")
    page.press("#pairs article", "ArrowRight")
    place(w, "3 of")
    page.fill("#pair-words input, #pair-words textarea", "orchard")
    place(w, "1 of")
    assert "orchard" in w.text("#pairs .said")
    page.fill("#pair-words input, #pair-words textarea", "")
    place(w, "1 of 96")
    page.click("#pair-preset label:has-text('A mix')")
    page.wait_for_selector("#pair-mix textarea, #pair-mix input")
    page.wait_for_selector("#preset-about:has-text('Some pairs of each kind')")
    page.click("#measure")
    page.wait_for_selector("#pair-report .figures svg")
    assert "not measured" in w.text("#pair-report")  # nothing to fit a classifier on
    w.shot("train-pairs")


def test_an_upload_is_shown_inert_and_a_bad_one_explained(
    bare: str, visit: Callable[..., Watched], tmp_path: Path
) -> None:
    w = visit(bare, viewport={"width": 1280, "height": 900})
    page = w.page
    good, bad = tmp_path / "good.jsonl", tmp_path / "bad.csv"
    row = {"prompt": EVIL, "chosen": f"Oh {EVIL}", "rejected": "Go.", "emotion": "sad"}
    good.write_text(json.dumps(row) + "\n", "utf-8")
    bad.write_text("prompt,chosen,rejected\nHi.,Hello.,Go.\nHi.,,Go.\n", "utf-8")
    page.click("#pair-source label:has-text('Your file')")
    page.set_input_files("#pair-file input[type=file]", str(bad))
    page.wait_for_selector("#train-notice p:has-text('bad.csv, row 2, field chosen')")
    page.set_input_files("#pair-file input[type=file]", str(good))
    place(w, "1 of 1")
    assert EVIL in w.text("#pairs .said") and EVIL in w.text("#pairs .chosen")
    assert page.evaluate("window.hurt") is None
    origin(w, "uploaded")
    w.shot("train-upload")


def test_where_the_data_are_missing_the_owner_sees_the_terms(
    bare: str, visit: Callable[..., Watched]
) -> None:
    w = visit(bare, viewport={"width": 1280, "height": 900})
    w.page.click("#pair-source label:has-text('EmpatheticDialogues')")
    w.page.wait_for_selector("#ed-terms:has-text('CC BY-NC 4.0')")
    w.page.click("#ed-get")
    w.page.wait_for_selector("#train-notice p:has-text('accept them first')")
    w.shot("train-get-ed")


def test_on_a_phone_nothing_sticks_out(bare: str, visit: Callable[..., Watched]) -> None:
    w = visit(bare, **PHONE)
    wide = w.page.evaluate("document.documentElement.scrollWidth")
    assert wide <= 390
    w.shot("train-phone")


@pytest.mark.nightly
def test_the_address_opens_the_tab_on_real_data(
    browser: Any, data_folder: Path, tmp_path: Path
) -> None:
    with app("--engine", "echo", log=tmp_path / "log.txt", EMPO_DATA=str(data_folder)) as address:
        context = browser.new_context(viewport={"width": 1280, "height": 900})
        page = context.new_page()
        page.set_default_timeout(PATIENCE)
        page.goto(f"{address}?tab=train")
        page.wait_for_selector("#pairs article")
        assert page.is_checked("#pair-source input[value=ed]")
        assert "of 19," in page.inner_text("#pairs .leaf")
        context.close()
