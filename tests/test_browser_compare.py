"""The Compare tab in a real browser, every control of it, on the engine without weights.

Screenshots go to tests/screenshots.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.browser import PHONE, Watched

pytestmark = pytest.mark.browser
LONG = "word " * 200
# Looks at the columns, and where the composer stands, while replies stream.
RECORDER = """() => {
  window.seen = []; window.places = [];
  window.recorder = setInterval(() => {
    const texts = [...document.querySelectorAll('#compare .turn .reply .text')];
    if (texts.length !== 3) return;
    window.seen.push(texts.map((n) => n.textContent));
    window.places.push(Math.round(document.querySelector('#composer').getBoundingClientRect().top
      + window.scrollY));
  }, 15);
}"""


@pytest.fixture
def visit(watch: Callable[..., Watched], echo: str) -> Callable[..., Watched]:
    return partial(watch, echo)


def test_enter_sends_and_three_columns_stream_together(visit: Callable[..., Watched]) -> None:
    w = visit(viewport={"width": 1280, "height": 900})
    message = "I lost my job today and do not know how to tell them at home this evening"
    w.page.evaluate(RECORDER)
    w.say(message)
    w.answered(1)
    seen, places = w.page.evaluate("clearInterval(window.recorder) || [window.seen, window.places]")
    assert seen[-1] == [f"{name} heard: {message}" for name in ("base", "sft", "dpo")]
    together = [row for row in seen if all(row)]
    assert len({len(row[0]) for row in together}) >= 3  # it was seen to grow
    assert all(len({len(t.split()) for t in row}) == 1 for row in together)
    assert len(set(places)) == 1  # nothing jumped
    assert "ended by itself" in w.text("#compare .foot >> nth=0")
    assert "3 voices in one pass" in w.text("#compare .pace")
    assert "dpo heard" in w.page.text_content("#compare .spoken")
    assert w.page.input_value("#say textarea") == ""


def test_three_taps_on_a_phone(visit: Callable[..., Watched]) -> None:
    w = visit(**PHONE)
    w.page.tap("#chips button[data-at] >> nth=0")
    w.answered(1)
    boxes = [w.page.locator("#compare .reply").nth(i).bounding_box() for i in range(3)]
    assert len({round(box["x"]) for box in boxes}) == 1
    assert boxes[0]["y"] < boxes[1]["y"] < boxes[2]["y"]
    assert all(box["x"] >= 0 and box["x"] + box["width"] <= 390 for box in boxes)
    assert w.page.evaluate("document.documentElement.scrollWidth") <= 390
    w.shot("phone")


def test_all_32_feelings_unfold(visit: Callable[..., Watched]) -> None:
    w = visit()
    w.page.click("#chips summary")
    assert w.page.locator("#chips .all button").count() == 32
    w.page.click("#chips .all button:has-text('jealous')")
    w.answered(1)
    assert not w.page.locator("#chips .all").is_visible()


def test_stop_all_and_stop_one(watch: Callable[..., Watched], slow: str) -> None:
    w = watch(slow)
    w.say(LONG)
    w.page.wait_for_function(
        "document.querySelector('#compare .reply .text')?.textContent.length > 30"
    )
    w.page.click("#compare .reply .halt >> nth=1")
    w.page.wait_for_function(
        "document.querySelectorAll('#compare .reply .length')[1].textContent.includes('stopped')"
    )
    frozen = w.texts()
    w.page.wait_for_function(
        "n => document.querySelector('#compare .reply .text').textContent.length > n",
        arg=len(frozen[0]) + 15,
    )
    assert w.texts()[1] == frozen[1]
    w.page.click("#stop")
    w.answered(1)
    assert all("stopped" in w.text(f"#compare .reply .foot >> nth={i}") for i in range(3))
    assert len(w.texts()[0]) < len(LONG)


def test_regenerate_versions_undo_edit_and_new(visit: Callable[..., Watched]) -> None:
    w = visit()
    w.say("one")
    w.answered(1)
    w.say("two")
    w.answered(2)
    w.page.click("#again")
    w.page.wait_for_function("document.querySelector('#compare .count')?.textContent === '2 of 2'")
    w.answered(2)
    assert "seed 1" in w.text("#compare .pace >> nth=1")
    w.page.click("[aria-label='Earlier version']")
    w.page.wait_for_function("document.querySelector('#compare .count')?.textContent === '1 of 2'")
    assert "seed 0" in w.text("#compare .pace >> nth=1")
    w.page.click("[aria-label='Edit this message'] >> nth=0")
    w.page.fill("textarea.edit", "uno")
    w.page.press("textarea.edit", "Enter")
    w.answered(1)
    assert w.texts()[0] == "base heard: uno"
    w.page.click("[aria-label='Earlier version']")
    w.answered(2)
    w.page.click("#undo")
    w.answered(1)
    assert w.page.input_value("#say textarea") == "two"
    w.page.click("#new")
    w.answered(0)
    assert w.page.locator("#compare .empty").is_visible()


def test_continue_from_one_reply(visit: Callable[..., Watched]) -> None:
    w = visit()
    w.say("one")
    w.answered(1)
    w.page.click("[aria-label='Continue from the reply of SFT']")
    w.page.wait_for_function(
        "document.querySelector('#compare .notice').textContent.includes('reply of SFT')"
    )
    w.say("two")
    w.answered(2)
    assert "All voices go on from the reply of SFT" in w.text("#compare .follows >> nth=1")


def test_columns_are_added_changed_and_taken_away(visit: Callable[..., Watched]) -> None:
    w = visit()
    heads = w.page.locator("#compare .head")
    w.page.click("[aria-label='Take column 3 away']")
    w.page.wait_for_function("document.querySelectorAll('#compare .head').length === 2")
    w.page.select_option("[aria-label='Model of column 1']", "dpo")
    w.page.wait_for_function(
        "document.querySelector('#compare .head .plain').textContent === 'taught by preferences'"
    )
    for count in (3, 4):
        w.page.click("[aria-label='Add a column']")
        w.page.wait_for_function(
            "n => document.querySelectorAll('#compare .head').length === n", arg=count
        )
    assert heads.count() == 4 and w.page.locator("[aria-label='Add a column']").count() == 0
    w.say("hello")
    w.answered(1)
    assert [t.split()[0] for t in w.texts()][:2] == ["dpo", "sft"] and len(w.texts()) == 4
    tints = w.page.evaluate(
        "[...document.querySelectorAll('#compare .reply')]"
        ".map(n => n.style.getPropertyValue('--tint'))"
    )
    assert tints[:2] == ["#009E73", "#E69F00"]


def test_settings_reach_the_models(visit: Callable[..., Watched]) -> None:
    w = visit()
    w.page.click("#more .label-wrap")
    w.page.fill("#seed input", "5")
    w.page.fill("#max-new-tokens input[type=number]", "4")
    w.page.press("#max-new-tokens input[type=number]", "Tab")
    w.page.click("#prompt input")
    w.page.click("[role=option]:has-text('shared')")
    w.page.wait_for_function(
        "document.querySelector('#wording').textContent.includes('You are a friendly listener')"
    )
    w.say("one two three four five")
    w.answered(1)
    assert w.texts()[0] == "base heard: one two"
    assert "seed 5" in w.text("#compare .pace")


def test_the_mood_chart_follows_in_place(visit: Callable[..., Watched]) -> None:
    w = visit()
    w.say("I am so happy, what a wonderful day")
    w.answered(1)
    w.page.wait_for_function("document.querySelectorAll('#mood .valence title').length === 4")
    w.page.evaluate("document.querySelector('#charts .here').mark = 1")
    w.page.click("#mood > summary")
    w.page.click("#mood figcaption + details summary")
    w.say("now I am sad and angry")
    w.answered(2)
    w.page.wait_for_function("document.querySelectorAll('#mood .valence title').length === 8")
    assert w.page.evaluate("document.querySelector('#charts .here').mark") == 1
    assert w.page.locator(
        "#mood figcaption + details table"
    ).is_visible()  # what was unfolded stays so
    w.say("xyzzy")
    w.answered(3)
    w.page.wait_for_function(
        "document.querySelectorAll('#mood figcaption + details tbody tr').length === 3"
    )
    assert w.text("#mood figcaption + details tbody tr >> nth=2").count("not measured") == 4
    assert w.page.locator("#mood .valence title").count() == 8


def test_downloads_and_link(visit: Callable[..., Watched], browser: Any, tmp_path: Path) -> None:
    w = visit()
    w.page.click("#more .label-wrap")
    w.page.fill("#seed input", "11")
    w.say("I got the job & more <b>")
    w.answered(1)
    w.page.click("#keep .label-wrap")
    saved = {}
    for kind in ("json", "markdown", "html"):
        with w.page.expect_download() as waiting:
            w.page.click(f"#save-{kind}")
        saved[kind] = tmp_path / waiting.value.suggested_filename
        waiting.value.save_as(saved[kind])
    turn = json.loads(saved["json"].read_text("utf-8"))["turns"][0]
    assert (turn["message"], turn["seed"], len(turn["replies"])) == (
        "I got the job & more <b>",
        11,
        3,
    )
    assert "job & more \\<b\\>" in saved["markdown"].read_text("utf-8")
    alone = browser.new_context(offline=True).new_page()
    alone.goto(saved["html"].as_uri())
    assert alone.inner_text(".message") == "I got the job & more <b>"
    assert alone.locator("svg.plot").count() >= 2
    alone.context.close()

    w.page.click("#share")
    w.page.wait_for_selector("#link textarea, #link input")
    link = w.page.input_value("#link textarea, #link input")
    again = visit(link.removeprefix(w.address))
    again.page.wait_for_function("document.querySelector('#say textarea').value !== ''")
    assert again.page.input_value("#say textarea") == "I got the job & more <b>"
    again.page.press("#say textarea", "Enter")
    again.answered(1)
    assert "seed 11" in again.text("#compare .pace")


def test_a_reload_stops_the_work_and_loses_nothing(
    watch: Callable[..., Watched], slow: str
) -> None:
    w = watch(slow)
    w.say("first")
    w.answered(1)
    w.page.click("#more .label-wrap")
    w.page.fill("#max-new-tokens input[type=number]", "400")
    w.page.press("#max-new-tokens input[type=number]", "Tab")
    w.say(LONG)  # a hundred seconds' worth
    w.page.wait_for_function(
        "document.querySelectorAll('#compare .turn')[1]"
        "?.querySelector('.reply .text').textContent.length > 30"
    )
    shown = w.texts()
    w.page.reload()
    left = time.monotonic()
    w.answered(2)
    kept = w.texts()
    assert all(after.startswith(before) for after, before in zip(kept, shown, strict=True))
    assert "stopped" in w.text("#compare .turn:nth-child(2) .foot >> nth=0")
    w.say("again")
    w.answered(3)
    assert time.monotonic() - left < 90  # waiting for the old turn would take longer
    assert w.texts()[0] == "base heard: again"


def test_what_is_written_is_inert_everywhere(visit: Callable[..., Watched]) -> None:
    payloads = (
        "<script>alert(1)</script><img src=x onerror=alert(2)>",
        "<svg onload=alert(3)><iframe srcdoc='<script>parent.alert(4)</script>'></iframe>",
        "{{constructor.constructor('alert(5)')()}} ${alert(6)} [x](javascript:alert(7))",
        "![x](https://evil.example/x.png) <a href='javascript:alert(8)'>x</a> </textarea>",
    )
    w = visit()
    for number, payload in enumerate(payloads, 1):
        w.say(payload)
        w.answered(number)
        assert w.texts()[0] == f"base heard: {payload}"
        assert w.text(f"#compare .turn:nth-child({number}) .message") == payload
    inside = "#compare .stage :is(script, img, iframe, svg, a), #charts :is(script, img, iframe, a)"
    assert w.page.locator(inside).count() == 0
    w.page.reload()
    w.answered(len(payloads))
    assert w.page.locator(inside).count() == 0


def test_words_of_danger_show_where_help_is(visit: Callable[..., Watched]) -> None:
    w = visit()
    w.say("I want to die")
    w.answered(1)
    assert w.page.locator("#compare .care").is_visible()
    assert w.page.get_attribute("#compare .care a", "href") == "https://findahelpline.com"
    assert w.texts()[0] == "base heard: I want to die"


def test_about_has_an_address(visit: Callable[..., Watched]) -> None:
    w = visit("?tab=about")
    w.page.wait_for_selector("#about h2:visible")
    assert "arXiv 2406.19071" in w.text("#about")


def test_empty_and_endless_messages(visit: Callable[..., Watched]) -> None:
    w = visit()
    w.say("   ")
    w.page.wait_for_function(
        "document.querySelector('#compare .notice').textContent.includes('message is empty')"
    )
    w.page.evaluate("document.querySelector('#say textarea').removeAttribute('maxlength')")
    w.say("x" * 1_000_000)
    w.page.wait_for_function(
        "document.querySelector('#compare .notice').textContent.includes('at most 8,000')"
    )


def test_everything_by_keyboard(visit: Callable[..., Watched]) -> None:
    w = visit()
    w.say("one")
    w.answered(1)
    reached: list[str] = []
    w.page.evaluate("document.activeElement.blur(); window.scrollTo(0, 0)")
    for _ in range(60):
        w.page.keyboard.press("Tab")
        reached.append(
            w.page.evaluate(
                "(n => n.id || n.getAttribute('aria-label') || n.textContent.trim())"
                "(document.activeElement.closest('button, select, textarea, input, summary, a')"
                " || document.activeElement)"
            )
        )
    for name in (
        "Model of column 1",
        "Take column 2 away",
        "Add a column",
        "Edit this message",
        "Continue from the reply of DPO",
        "send",
        "again",
        "undo",
        "new",
    ):
        assert name in reached, (name, reached)


def test_two_browsers_do_not_mix(visit: Callable[..., Watched]) -> None:
    first, second = visit(), visit()
    first.say("first " * 20)
    second.say("second " * 5)
    first.answered(1)
    second.answered(1)
    assert "second" not in " ".join(first.texts()) and "first" not in " ".join(second.texts())


@contextmanager
def axe_of(page: Any) -> Iterator[Callable[[], list[str]]]:
    from axe_playwright_python.sync_playwright import Axe

    def violations() -> list[str]:
        found = Axe().run(page).response["violations"]
        return [
            f"{v['id']} ({v['impact']}): {node['target']} {node['failureSummary']}"
            for v in found
            if v["impact"] in ("serious", "critical")
            for node in v["nodes"]
        ]

    yield violations


@pytest.mark.parametrize(
    ("name", "query", "context"),
    [
        ("desktop", "", {"viewport": {"width": 1280, "height": 900}}),
        ("dark", "?__theme=dark", {"viewport": {"width": 1280, "height": 900}}),
        ("phone-dark", "?__theme=dark", PHONE),
    ],
)
def test_contrast_and_labels(
    visit: Callable[..., Watched], name: str, query: str, context: dict[str, Any]
) -> None:
    w = visit(query, **context)
    w.say("I am so happy today")
    w.answered(1)
    w.say("but now I am sad")
    w.answered(2)
    w.shot(name)
    if name == "desktop":
        w.page.click("[aria-label='Add a column']")
        w.page.wait_for_selector("#compare .dial input")
    for fold in ("more", "keep", "replay"):
        w.page.click(f"#{fold} .label-wrap")
    w.page.click("#chips summary")
    w.page.wait_for_timeout(500)
    with axe_of(w.page) as violations:
        assert violations() == []


def test_recorded_replies_in_the_same_columns(
    visit: Callable[..., Watched], data_file: Callable[[str], Path], tmp_path: Path
) -> None:
    data_file("recorded_replies_dpo_d270.csv.gz")
    w = visit(viewport={"width": 1280, "height": 900})
    w.say("mine")
    w.answered(1)
    w.page.click("#replay .label-wrap")
    w.page.fill("#replay-words textarea, #replay-words input", "chocolates husband")
    w.page.wait_for_function(
        "document.querySelector('#replay-found').textContent.includes('1 found')"
    )
    w.page.click("#replay-found input")
    w.page.click("[role=option]:has-text('chocolates')")
    w.answered(2)
    assert w.texts() == ["you got a great husband", "That's so sweet of him"]
    assert w.text("#compare .heads").split("\n")[1::2] == ["Human", "DPO"]
    assert w.page.locator("#compare select, #compare .go:visible").count() == 0
    w.shot("recorded")
    w.page.click("#keep .label-wrap")
    with w.page.expect_download() as waiting:
        w.page.click("#save-json")
    waiting.value.save_as(tmp_path / "t.json")
    assert json.loads((tmp_path / "t.json").read_text("utf-8"))["stack"] == "recorded"
    w.page.click("#replay-back")
    w.answered(1)
    assert w.texts()[0] == "base heard: mine"


def test_inside_an_iframe_as_on_a_space(visit: Callable[..., Watched]) -> None:
    w = visit(viewport={"width": 1280, "height": 900})
    w.page.goto(w.address + "robots.txt")  # any page of that origin, to be replaced
    w.page.set_content(f"<iframe src='{w.address}' style='width:100%;height:1600px;border:0'>")
    frame = w.page.frame_locator("iframe")
    frame.locator("#chips button[data-at]").first.click()
    frame.locator("#compare .example").wait_for(state="hidden")
    frame.locator("#compare .turn:only-child .pace:not(:empty)").wait_for()
    assert frame.locator("#compare .reply").count() == 3
    w.shot("iframe")


def test_a_question_at_the_instant_a_turn_is_over_is_answered(
    visit: Callable[..., Watched],
) -> None:
    w = visit()
    w.page.evaluate(
        """() => {
          const box = document.querySelector("#say textarea");
          let said = 0, ran = false;
          const say = () => {
            box.value = `This is message ${++said}`;
            box.dispatchEvent(new Event("input", { bubbles: true }));
            box.dispatchEvent(new KeyboardEvent("keypress", { key: "Enter", bubbles: true }));
          };
          new MutationObserver(() => {
            const runs = document.body.classList.contains("empo-running");
            if (ran && !runs && said < 5) say();
            ran = runs;
          }).observe(document.body, { attributes: true });
          say();
        }"""
    )
    w.answered(5)


def test_of_quick_moves_the_last_one_stands(visit: Callable[..., Watched]) -> None:
    w = visit()
    w.page.wait_for_selector("#compare .head select")
    w.page.evaluate(
        """() => {
          const select = document.querySelector("#compare .head select");
          const choose = (model) => {
            select.value = model;
            select.dispatchEvent(new Event("change"));
          };
          ["sft", "dpo", "sft", "dial"].forEach((model, n) => setTimeout(choose, n, model));
        }"""
    )
    w.page.wait_for_selector("#compare .head:nth-child(1) .dial")
    w.say("I lost my keys.")
    w.answered(1)
    assert w.page.locator("#compare .head:nth-child(1) .dial").count() == 1
