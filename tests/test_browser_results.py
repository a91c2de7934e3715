"""The Results tab in a real browser: the example, a picture's replies, an evaluation and its end.

On the engine without weights. Screenshots go to tests/screenshots.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from empo.training.folder import make_folder
from empo.training.process import take
from empo.training.status import LOCK, RunStatus, write_status
from tests.browser import PHONE, Watched, app
from tests.small_runs import small_spec

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("app") / "home"


@pytest.fixture(scope="module")
def address(home: Path) -> Iterator[str]:
    with app(
        "--engine",
        "echo",
        log=home.with_name("log.txt"),
        EMPO_HOME=str(home),
        EMPO_DATA=str(home / "none"),
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
    page.click("#results .heat button >> nth=0")
    page.wait_for_selector("#results .said")
    assert "My <b>dog</b> died." in w.text("#results [data-part=behind]")
    w.shot("results-own")


def report_is(page: Any, start: str) -> None:
    """Wait until the name of the report that is shown begins so."""
    page.wait_for_function(
        "start => document.querySelector('#results select[name=report] option:checked')"
        ".value.startsWith(start)",
        arg=start,
        timeout=240_000,
    )


@contextmanager
def a_run_at_work(home: Path) -> Iterator[None]:
    """Within the block a training run called busy is at work: this process holds its lock."""
    folder = make_folder(small_spec("no/base", "busy"), home / "runs")
    lock = take(folder / LOCK)
    assert lock is not None
    write_status(folder, RunStatus("busy", "dpo", "running", created=1.0))
    with lock:
        yield


def test_an_uploaded_file_waits_for_a_run_and_stands_beside_another_report(
    visit: Callable[..., Watched], home: Path, tmp_path: Path
) -> None:
    w = visit()
    page = w.page
    page.click("#results summary:has-text('Evaluate')")
    own = tmp_path / "own.txt"
    own.write_text("I failed my exam.\nWe bought a house!\n", "utf-8")
    page.set_input_files("#results input[type=file]", str(own))
    page.wait_for_function(
        "() => document.querySelector('#results textarea').value.includes('exam')"
    )
    page.uncheck("#results input[value=base]")
    page.uncheck("#results input[value=sft]")
    with a_run_at_work(home):
        page.click("#results [data-do=start]")
        page.wait_for_selector("#results .box:has-text('waits in line behind the training run')")
        assert w.serious() == []
        w.shot("results-line")
    # Nobody works on the run any more: the line moves on.
    report_is(page, "nano-dpo-situations")
    page.select_option("#results select[name=other]", "nano")
    page.wait_for_selector("#results .lead:has-text('A is the first report')")
    assert w.serious() == []
    w.shot("results-beside")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_on_a_phone_nothing_runs_out_of_the_page(
    visit: Callable[..., Watched], scheme: str
) -> None:
    w = visit(**PHONE, color_scheme=scheme)
    w.page.click("#results summary:has-text('Evaluate')")
    w.page.click("#results .heat button >> nth=0")
    w.page.wait_for_selector("#results [data-part=behind] h2")
    assert w.serious() == []
    wide = w.page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
    assert wide <= 0
    w.shot(f"results-phone-{scheme}")
