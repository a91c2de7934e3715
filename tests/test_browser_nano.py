"""The Compare tab in a real browser on the embedded models: the whole way from a tap to replies."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest

from tests.browser import PHONE, Watched

pytestmark = pytest.mark.browser


@pytest.fixture
def visit(watch: Callable[..., Watched], nano: str) -> Callable[..., Watched]:
    return partial(watch, nano)


def test_the_page_opens_on_a_finished_conversation(visit: Callable[..., Watched]) -> None:
    w = visit(viewport={"width": 1280, "height": 900})
    assert w.page.locator("#compare .example").is_visible()
    replies = [w.texts(turn) for turn in (0, 1)]
    assert all(len(row) == 3 and all(row) for row in replies)
    assert w.page.locator("#mood title").count() >= 4
    assert w.page.locator("#compare .go:visible, #compare .stop:visible").count() == 0
    w.page.wait_for_selector("#top .pill.ready")
    w.shot("opening")


def test_three_voices_stream_and_differ(visit: Callable[..., Watched]) -> None:
    w = visit(viewport={"width": 1280, "height": 900})
    w.page.click("#chips button[data-at] >> nth=1")
    w.answered(1)
    first = w.texts()
    assert all(first) and len(set(first)) == 3
    titles = w.page.evaluate(
        "[...document.querySelectorAll('#compare .reply .name')].map(n => n.title)"
    )
    assert titles[0] == "" and all(t.startswith("adapter ") for t in titles[1:])
    assert titles[1] != titles[2]
    w.page.click("#again")
    w.page.wait_for_function("document.querySelector('#compare .count')?.textContent === '2 of 2'")
    w.answered(1)
    assert w.texts() != first
    w.say("It hurts so much.")
    w.answered(2)
    w.shot("compare", full=False)


def test_stop_on_the_embedded_models(visit: Callable[..., Watched]) -> None:
    w = visit()
    w.page.click("#more .label-wrap")
    w.page.fill("#max-new-tokens input[type=number]", "400")
    w.page.press("#max-new-tokens input[type=number]", "Tab")
    w.page.fill("#temperature input[type=number]", "2")
    w.page.press("#temperature input[type=number]", "Tab")
    w.say("Tell me a very long story about everything that you know.")
    w.page.wait_for_selector("#stop:visible")
    w.page.wait_for_function(
        "[...document.querySelectorAll('#compare .reply .text')].some(n => n.textContent)"
    )
    w.page.click("#stop")
    w.answered(1)
    feet = [w.text(f"#compare .reply .foot >> nth={i}") for i in range(3)]
    assert any("stopped" in foot for foot in feet)


def test_eight_visitors_share_the_engine_without_mixing(visit: Callable[..., Watched]) -> None:
    messages = [
        "I won the race yesterday!",
        "My best friend moved away and I miss her every day.",
        "Someone scratched my new car.",
        "I have to give a speech tomorrow.",
    ]
    pages = [visit() for _ in range(8)]
    for number, page in enumerate(pages):
        page.say(messages[number % 4])
    for page in pages:
        page.answered(1)
    found = [page.texts() for page in pages]
    # The same words, settings and seed: the same replies, whoever else was being answered.
    assert found[:4] == found[4:]
    assert len({tuple(row) for row in found[:4]}) == 4


def test_the_phone(visit: Callable[..., Watched]) -> None:
    w = visit(**PHONE, device_scale_factor=2)
    w.page.tap("#chips button[data-at] >> nth=0")
    w.answered(1)
    w.page.wait_for_timeout(600)
    w.shot("phone-nano", full=False)
    boxes = [w.page.locator("#compare .reply").nth(i).bounding_box() for i in range(3)]
    assert boxes[2]["y"] + boxes[2]["height"] - boxes[0]["y"] <= 844
