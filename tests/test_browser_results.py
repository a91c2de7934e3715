"""The Results tab in a real browser: the example, a picture's replies, an evaluation and its end.

On the engine without weights. Screenshots go to tests/screenshots.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.browser import PHONE, Watched, app

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder: Path = tmp_path_factory.mktemp("app")
    with app(
        "--engine",
        "echo",
        log=folder / "log.txt",
        EMPO_HOME=str(folder / "home"),
        EMPO_DATA=str(folder / "none"),
    ) as found:
        yield found


@pytest.fixture
def visit(watch: Callable[..., Watched], address: str) -> Callable[..., Watched]:
    def opened(**context: Any) -> Watched:
        w = watch(address, **context)
        w.page.click("button[role=tab]:has-text('Results')")
        w.page.wait_for_selector("#results .lead")
        return w

    return opened


def test_a_visitor_sees_the_example_and_an_own_evaluation(visit: Callable[..., Watched]) -> None:
    w = visit()
    page = w.page
    assert "(example)" in page.inner_text("#results select[name=report] option:checked")
    assert page.locator("#results .chart svg.plot:visible").count() >= 4
    page.click("#results .heat button >> nth=0")
    page.wait_for_selector("#results [data-part=behind] h2")
    assert "numbers only" in w.text("#results [data-part=behind]")
    page.select_option("#results select[name=metric]", "words")
    page.wait_for_function(
        "() => document.querySelector('#results select[name=metric]').value === 'words'"
    )
    assert w.serious() == []
    w.shot("results-example")
    # One's own situations, from writing them to reading the replies behind a cell.
    page.click("#results summary:has-text('Evaluate')")
    page.check("#results [value=situations]")
    page.fill("#results textarea", "My <b>dog</b> died.\nI won the race!")
    page.click("#results [data-do=start]")
    page.wait_for_function(
        "() => document.querySelector('#results select[name=report] option:checked')"
        ".textContent.startsWith('nano-')",
        timeout=240_000,
    )
    assert "is ready" in w.text("#results [data-part=status]")
    assert page.locator("#results .chart svg.plot").count() > 3
    w.shot("results-own")


def test_on_a_phone_nothing_runs_out_of_the_page(visit: Callable[..., Watched]) -> None:
    w = visit(**PHONE)
    wide = w.page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
    assert wide <= 0
    w.shot("results-phone")
