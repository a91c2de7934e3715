"""Live empathy in a real browser: gauges, highlights, the sentence and charts, over three turns.

On the engine without weights and on the embedded models, both with the embedded scorer.
Screenshots go to tests/screenshots.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.browser import PHONE, Watched

pytestmark = pytest.mark.browser
WARM = "I am so sorry that your grandmother died, I feel sad for you. How are you feeling now?"
TURNS = (WARM, "The sky is blue and the table is made of wood.", "Why did she say that to you?")
EVIL = (
    "I am so sorry <script>window.hurt=1</script><img src=x onerror=window.hurt=1> to hear that, "
    "I wish you all the best </span><svg onload=window.hurt=1> my friend"
)


def words(w: Watched, turn: int = -1) -> list[str]:
    """The words of the gauges of a turn, three for each reply."""
    return w.page.evaluate(
        "at => [...[...document.querySelectorAll('#compare .turn')].at(at)"
        ".querySelectorAll('.gauge .word')].map(n => n.textContent)",
        turn,
    )


def bars(w: Watched) -> list[str]:
    return w.page.evaluate(
        "[...document.querySelectorAll('#charts .here > .chart rect')]"
        ".map(n => n.getAttribute('width'))"
    )


def converse(w: Watched, turns: tuple[str, ...]) -> list[tuple[list[str], list[str], str]]:
    """Say `turns`; after each: gauges' words, widths of the bars, and the sentence."""
    seen = []
    for number, message in enumerate(turns, 1):
        w.say(message)
        w.answered(number)
        seen.append((words(w), bars(w), w.text("#charts .differs")))
    return seen


def test_three_turns_move_gauges_bars_wheel_and_mood(
    echo: str, watch: Callable[..., Watched]
) -> None:
    w = watch(echo, viewport={"width": 1280, "height": 900})
    first, second, third = converse(w, TURNS)
    # The replies repeat the message: warm and curious, neither, curious.
    assert first[0][0] in ("weak", "strong") and first[0][2] == "strong"
    assert second[0][0] == "none" and second[0][2] == "none"
    assert third[0][2] == "strong"
    assert len({tuple(seen[1]) for seen in (first, second, third)}) == 3
    assert all("about as warm" in seen[2] for seen in (first, second, third))
    assert words(w, 0) == first[0]  # earlier turns keep theirs
    assert not w.page.locator("#mood figure").is_visible()
    w.page.click("#wheel > summary")
    w.page.click("#mood > summary")
    assert w.page.locator("#wheel circle[r='8']").count() == 1
    assert w.page.locator("#wheel circle[r='5']").count() == 2
    w.say("My neighbour stole my bicycle and I am furious!")
    w.answered(4)
    assert w.page.locator("#wheel circle[r='5']").count() == 3
    assert w.page.locator("#wheel figure").is_visible()  # what was unfolded stays so
    assert w.page.locator("#mood figure").is_visible()


def test_nothing_moves_when_the_gauges_fill(echo: str, watch: Callable[..., Watched]) -> None:
    w = watch(echo, viewport={"width": 1280, "height": 900})
    w.page.evaluate(
        """() => { window.tops = new Set(); window.recorder = setInterval(() => {
          const turn = document.querySelector('#compare .turn .gauges');
          if (turn && document.querySelector('#compare .example').hidden)
            window.tops.add(Math.round(turn.getBoundingClientRect().top + window.scrollY));
        }, 15); }"""
    )
    w.say(WARM)
    w.answered(1)
    w.page.wait_for_timeout(300)
    assert len(w.page.evaluate("clearInterval(window.recorder) || [...window.tops]")) == 1


def test_the_words_behind_a_level_light_up(echo: str, watch: Callable[..., Watched]) -> None:
    w = watch(echo, viewport={"width": 1280, "height": 900})
    w.say(WARM)
    w.answered(1)
    span = w.page.locator("#compare .turn .text .w0 >> nth=0")
    ground = "n => getComputedStyle(n).backgroundColor"
    line = "n => getComputedStyle(n).textDecorationStyle + getComputedStyle(n).textDecorationLine"
    assert span.evaluate(ground) == "rgba(0, 0, 0, 0)"
    w.page.click("button.why")
    assert span.evaluate(ground) != "rgba(0, 0, 0, 0)"
    assert span.evaluate(line) == "solidunderline"
    asked = w.page.locator("#compare .turn .text .w2 >> nth=0")
    assert asked.evaluate(line) == "dottedunderline"
    warm = w.page.locator("#compare .turn .text .w0").all_text_contents()
    assert any("sorry" in words for words in warm)
    assert w.page.locator(".whyline .key").is_visible()
    w.shot("live-why")
    assert w.texts()[0] == f"base heard: {WARM}"
    w.page.click("button.why")
    assert span.evaluate(ground) == "rgba(0, 0, 0, 0)"


def test_a_reply_full_of_html_is_inert(echo: str, watch: Callable[..., Watched]) -> None:
    w = watch(echo)
    w.say(EVIL)
    w.answered(1)
    w.page.click("button.why")
    assert w.texts()[0] == f"base heard: {EVIL}"
    inside = "#compare .stage :is(script, img, svg, a), #charts :is(script, img, a)"
    assert w.page.locator(inside).count() == 0
    assert w.page.locator("#compare .text .w").count() > 0
    assert w.page.evaluate("window.hurt") is None


def test_what_is_not_english_is_not_measured(echo: str, watch: Callable[..., Watched]) -> None:
    w = watch(echo)
    w.say("Сегодня мне очень грустно, потому что мой брат уехал далеко и надолго")
    w.answered(1)
    assert set(words(w)) == {"not measured"}
    assert "not look English" in w.text("#charts .differs")
    assert bars(w) == []


def wait_text(w: Watched, selector: str, text: str) -> None:
    w.page.wait_for_function(
        "([s, t]) => document.querySelector(s)?.textContent === t", arg=[selector, text]
    )


def test_the_dial_by_keyboard_keeps_its_place_and_the_sweep_draws(
    echo: str, watch: Callable[..., Watched]
) -> None:
    w = watch(echo, viewport={"width": 1280, "height": 900})
    w.page.select_option("[aria-label='Model of column 3']", "dial")
    w.page.wait_for_selector("#compare .dial input")
    w.page.focus("#compare .dial input")
    for _ in range(3):
        w.page.keyboard.press("ArrowLeft")
    wait_text(w, "#compare .dial output", "0.35")
    assert "0.65 SFT + 0.35 DPO" in w.text("#compare .head >> nth=2")
    assert w.page.evaluate("document.activeElement.type") == "range"  # one can go on
    w.page.wait_for_timeout(600)  # the slider rests: its place goes to the server
    w.say(WARM)
    w.answered(1)
    assert w.texts()[2] == f"dial:0.35 heard: {WARM}"
    assert "Dial 0.35" in w.text("#charts figure >> nth=0")
    w.page.click("#again")
    w.page.wait_for_function("document.querySelector('#compare .count')?.textContent === '2 of 2'")
    w.answered(1)
    assert w.texts()[2].startswith("dial:0.35")

    w.page.click("#more .label-wrap")
    w.page.click("#sweep .begin")
    w.page.wait_for_selector("#sweep svg.plot")
    w.answered(1)  # the conversation is as it was
    heard = w.page.locator("#sweep .texts .text").all_text_contents()
    assert heard == [f"dial:{t} heard: {WARM}" for t in ("0", "0.25", "0.5", "0.75", "1")]
    w.page.click("#sweep summary")
    assert w.page.locator("#sweep tbody tr").count() == 6  # five places and the human listener
    w.shot("live-dial")
    w.page.check("#sweep .beyond")
    assert w.page.get_attribute("#compare .dial input", "max") == "1.5"
    w.page.fill("#say textarea", EVIL)
    w.page.click("#sweep .begin")
    w.page.wait_for_function(
        "document.querySelector('#sweep .swept')?.textContent.includes('script')"
        " && document.querySelector('#sweep svg.plot')"
    )
    assert "dial:1.5 heard" in w.page.locator("#sweep .texts .text").last.text_content()
    assert w.page.locator("#sweep :is(script, img, a)").count() == 0
    assert w.page.evaluate("window.hurt") is None
    w.page.reload()
    w.answered(1)
    wait_text(w, "#compare .dial output", "0.35")


def test_the_dial_on_a_phone_from_a_link(echo: str, watch: Callable[..., Watched]) -> None:
    w = watch(echo, **PHONE)
    w.open("?models=base,dial:1.3&__theme=dark&say=hello")
    w.page.wait_for_selector("#compare .dial input")
    wait_text(w, "#compare .dial output", "1.3")
    box = w.page.locator("#compare .dial input").bounding_box()
    assert box["width"] > 150 and box["height"] >= 24
    w.page.wait_for_function("document.querySelector('#say textarea').value === 'hello'")
    w.page.tap("#send")
    w.answered(1)
    assert w.texts() == ["base heard: hello", "dial:1.3 heard: hello"]
    w.page.tap("#more .label-wrap")
    w.page.tap("#sweep .begin")
    w.page.wait_for_selector("#sweep svg.plot")
    assert w.page.evaluate("document.documentElement.scrollWidth") <= 390
    w.shot("live-phone-dial")


def test_three_turns_on_the_embedded_models(nano: str, watch: Callable[..., Watched]) -> None:
    w = watch(nano, viewport={"width": 1280, "height": 900})
    assert w.page.locator("#compare .gauge").count() == 18
    assert "not measured" not in words(w)  # the example carries its scores
    assert w.text("#charts .differs")
    w.shot("live-opening")
    seen = converse(
        w, ("My dog died last night.", "She was with me for twelve years.", "I feel so lonely now.")
    )
    assert all(len(gauges) == 9 and len(widths) == 9 for gauges, widths, _ in seen)
    assert "not measured" not in {word for gauges, _, _ in seen for word in gauges}
    assert len({tuple(widths) for _, widths, _ in seen}) == 3
    assert all(said.endswith(".") for _, _, said in seen)
    w.page.click("button.why")
    w.page.click("#wheel > summary")
    w.shot("live-nano")


def test_the_phone_and_the_dark(nano: str, watch: Callable[..., Watched]) -> None:
    w = watch(nano, **PHONE, device_scale_factor=2, color_scheme="dark")
    w.page.tap("#chips button[data-at] >> nth=0")
    w.answered(1)
    w.page.tap("button.why")
    assert w.page.evaluate("document.documentElement.scrollWidth") <= 390
    w.shot("live-phone-dark")
