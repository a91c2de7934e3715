"""The Compare tab's behaviour without a browser: turns on the echo engine, and what is around."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace

import pytest

from empo.conversation import Conversation, to_data
from empo.errors import StackError
from empo.models.echo import EchoEngine
from empo.models.engine import Engine, Row, Step
from empo.models.stacks import load_stack
from empo.settings import settings
from empo.types import Sampling
from empo.ui.compare_events import as_sampling
from empo.ui.control import Running
from empo.ui.handlers import Asked, Handlers, Screen
from empo.ui.services import EngineHolder, Services
from empo.ui.view import Cast
from empo.ui.waiting import Line

COLUMNS = ("base", "sft", "dpo")


def handlers(
    engine: Engine | None = None, limit: int = 4, opening: Conversation | None = None
) -> Handlers:
    stack = load_stack("nano")
    holder = EngineHolder(lambda report: engine or EchoEngine(stack))
    holder.load_here()
    services = Services(stack, holder, settings(), Line(limit), Running(), settings().data_dir)
    return Handlers(services, Cast(stack, {"sft": "ab12cd34"}), opening)


def asked(conversation: Conversation | None = None, **changes: object) -> Asked:
    plain = Asked(conversation, COLUMNS, Sampling(), "none", "me")
    return replace(plain, **changes)


def last(screens: Iterator[Screen]) -> Screen:
    *_, screen = screens
    return screen


def said(h: Handlers, *messages: str) -> Conversation:
    now: Conversation | None = None
    for message in messages:
        now = last(h.send(message, asked(now))).conversation
    assert now is not None
    return now


def texts(screen: Screen, turn: int = -1) -> list[str]:
    return [answer["text"] for answer in screen.view["turns"][turn]["answers"]]


def test_a_turn_streams_and_ends_with_the_conversation() -> None:
    h = handlers(EchoEngine(load_stack("nano"), delay=0.06))
    screens = list(h.send("I am so happy today, really", asked()))
    first, final = screens[0], screens[-1]
    assert (first.box, first.view["running"], texts(first)) == ("", True, ["", "", ""])
    assert final.conversation is not None and not final.view["running"]
    assert texts(final)[1] == "sft heard: I am so happy today, really"
    lengths = [len(texts(s)[0]) for s in screens]
    assert lengths == sorted(lengths) and len(set(lengths)) > 3
    answer = final.view["turns"][0]["answers"][1]
    assert answer["foot"] == "8 words · ended by itself"
    assert (answer["hash"], answer["colour"], answer["done"]) == ("ab12cd34", "#E69F00", True)
    assert "3 voices in one pass · seed 0" in final.view["turns"][0]["line"]
    assert "you, turn 1: +0." in (final.chart or "")


def test_updates_are_at_most_ten_a_second() -> None:
    stack = load_stack("nano")
    h = handlers(EchoEngine(stack, delay=0.01))
    message = "word " * 60
    sampling = Sampling(max_new_tokens=70)
    screens = list(h.send(message, asked(sampling=sampling)))
    reply = screens[-1].conversation.exchanges[0].answers[0].reply  # type: ignore[union-attr]
    assert reply is not None and len(screens) <= 10 * reply.seconds + 4


def test_stopping_one_column_leaves_the_others_and_stopping_all_ends_it() -> None:
    h = handlers(EchoEngine(load_stack("nano"), delay=0.05))
    running = h.services.running
    for count, screen in enumerate(h.send("one two three four five six", asked())):
        final = screen
        if count == 2:
            running.stop("me", 1)
    answers = final.view["turns"][0]["answers"]
    assert "stopped" in answers[1]["foot"] and "ended by itself" in answers[0]["foot"]
    assert len(answers[1]["text"]) < len(answers[0]["text"])
    cut = final.conversation.exchanges[0].answers[1].reply  # type: ignore[union-attr]
    assert cut is not None and cut.tokens >= 1 and 0 < cut.first_token_seconds <= cut.seconds

    for count, screen in enumerate(h.send("one two three four five six", asked())):
        final = screen
        if count == 2:
            running.stop("me")
    assert all("stopped" in a["foot"] for a in final.view["turns"][0]["answers"])
    assert len(h.services.line) == 0


def test_leaving_in_the_middle_stops_the_engine() -> None:
    engine = EchoEngine(load_stack("nano"), delay=0.06)
    screens = handlers(engine).send("one two three four five six seven eight", asked())
    for _ in range(3):
        next(screens)
    assert engine.waiting() == 1
    screens.close()  # what Gradio does when the page goes away
    assert engine.waiting() == 0


@pytest.mark.parametrize(
    ("text", "words"),
    [("  \n ", "The message is empty"), ("x" * 1_000_000, "at most 8,000 are taken")],
)
def test_a_wrong_message_is_one_sentence_and_changes_nothing(text: str, words: str) -> None:
    h = handlers()
    now = said(h, "hello")
    (screen,) = h.send(text, asked(now))
    assert words in screen.view["notice"] and screen.conversation is None
    assert len(screen.view["turns"]) == 1 and not screen.view["running"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"sampling": Sampling(temperature=9)}, "The setting temperature must be"),
        ({"columns": ("base", "nobody")}, "has no model “nobody”"),
        ({"columns": ("base",) * 5}, "between one and 4"),
        ({"prompt": "unknown"}, "There is no prompt “unknown”"),
    ],
)
def test_a_forged_setting_is_one_sentence(changes: dict[str, object], words: str) -> None:
    h = handlers()
    screen = last(h.send("hello", asked(**changes)))
    assert words in screen.view["notice"]
    assert len(h.services.line) == 0 and screen.box == "hello"


def test_a_failed_engine_is_said_and_the_message_kept() -> None:
    def load(report):  # type: ignore[no-untyped-def]
        raise StackError("The adapter sft is broken; train it again.")

    h = handlers()
    holder = EngineHolder(load)
    holder.load_here()
    h = Handlers(replace(h.services, holder=holder), h.cast, None)
    screen = last(h.send("hello", asked()))
    assert screen.view["notice"] == "The adapter sft is broken; train it again."
    assert screen.box == "hello"


def test_a_mistake_of_ours_does_not_hang_the_page(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(EchoEngine):
        def stream(
            self, rows: Sequence[Row], cancel: threading.Event | None = None
        ) -> Iterator[Step]:
            yield next(super().stream(rows, cancel))
            raise ValueError("a secret detail")

    h = handlers(Broken(load_stack("nano")))
    screen = last(h.send("hello there", asked()))
    assert "Something went wrong here" in screen.view["notice"]
    assert (screen.view["running"], screen.box) == (False, "hello there")
    assert "a secret detail" not in json.dumps(screen.view) and "a secret detail" in caplog.text
    assert len(h.services.line) == 0


def test_settings_from_sliders_are_numbers_of_their_kind() -> None:
    found = as_sampling(2, 1, 1, 60.0, 7)
    assert found == Sampling(2.0, 1.0, repetition_penalty=1.0, max_new_tokens=60, seed=7)
    kinds = [type(v) for v in (found.temperature, found.top_p, found.max_new_tokens)]
    assert kinds == [float, float, int]


def test_a_message_sent_while_the_models_load_is_answered_when_they_are() -> None:
    go = threading.Event()
    h = handlers()

    def load(report):  # type: ignore[no-untyped-def]
        report("Reading the base.", 0.4)
        go.wait(10)
        return EchoEngine(h.services.stack)

    holder = EngineHolder(load)
    holder.start()
    h = Handlers(replace(h.services, holder=holder), h.cast, None)
    notices = []
    for screen in h.send("hello", asked()):
        notices.append(screen.view["notice"])
        if any("Your message is answered right after" in n for n in notices):
            go.set()
    assert texts(screen)[0] == "base heard: hello"
    assert notices[-1] == ""


def test_who_waits_sees_the_place_and_a_full_line_refuses() -> None:
    h = handlers(EchoEngine(load_stack("nano"), delay=0.03), limit=2)
    mine = h.send("one two three four five six seven eight nine ten", asked())
    next(mine)
    second = h.send("hello", asked(session="second"))
    next(second)
    assert "you are number 2 in line" in next(second).view["notice"]
    (refused,) = h.send("hello", asked(session="third"))
    assert "try again in a minute" in refused.view["notice"] and refused.box == "hello"
    list(mine)
    assert texts(last(second))[0] == "base heard: hello"


def test_regenerate_takes_the_next_seed_and_keeps_both_versions() -> None:
    h = handlers()
    now = said(h, "one", "two")
    screen = last(h.again(asked(now)))
    assert screen.conversation is not None
    assert [e.sampling.seed for e in screen.conversation.exchanges] == [0, 0, 1]
    turn = screen.view["turns"][-1]
    assert (turn["at"], turn["of"], turn["back"], turn["on"]) == (2, 2, 2, None)
    third = last(h.again(asked(screen.conversation))).conversation
    assert third is not None and third.exchanges[-1].sampling.seed == 2
    back = h.version(2, asked(third))
    assert (back.view["turns"][-1]["at"], back.view["turns"][-1]["of"]) == (1, 3)
    (nothing,) = h.again(asked())
    assert "nothing to answer again" in nothing.view["notice"]


def test_edit_branches_undo_returns_the_message_and_new_is_empty() -> None:
    h = handlers()
    now = said(h, "one", "two")
    edited = last(h.edit(1, "uno", asked(now)))
    assert [t["message"] for t in edited.view["turns"]] == ["uno"]
    assert edited.view["turns"][0]["of"] == 2
    undone = h.undo(asked(now))
    assert (undone.box, len(undone.view["turns"])) == ("two", 1)
    new = h.new(asked(now))
    assert (new.conversation, new.box, new.view["turns"]) == (Conversation(), "", [])
    (lost,) = h.edit(77, "x", asked(now))
    assert "no longer part of this conversation" in lost.view["notice"]


def test_continue_from_a_reply_reaches_every_voice() -> None:
    seen: list[tuple[str, ...]] = []

    class Listening(EchoEngine):
        def stream(
            self, rows: Sequence[Row], cancel: threading.Event | None = None
        ) -> Iterator[Step]:
            seen.extend(tuple(turn.text for turn in row.messages) for row in rows)
            return super().stream(rows, cancel)

    h = handlers(Listening(load_stack("nano")))
    now = said(h, "one")
    followed = h.follow(1, 2, asked(now))
    assert followed.view["follow"] == "DPO"
    seen.clear()
    screen = last(h.send("two", asked(followed.conversation)))
    assert seen == [("one", "dpo heard: one", "two")] * 3
    assert screen.view["turns"][1]["follows"] == "DPO"
    assert "no reply to continue" in h.follow(1, 9, asked(now)).view["notice"]


def test_columns_can_change_between_turns() -> None:
    h = handlers()
    now = said(h, "one")
    screen = h.choose(["dpo", "dpo", "base", "sft"], asked(now))
    assert screen.columns == ("dpo", "dpo", "base", "sft")
    four = last(h.send("two", asked(now, columns=screen.columns)))
    assert [a["model"] for a in four.view["turns"][1]["answers"]] == list(screen.columns)
    for wrong in ([], ["nobody"], ["base"] * 5, "base", None, [["base"]]):
        assert h.choose(wrong, asked(now)).columns is None


def test_what_the_browser_kept_comes_back_and_nothing_forged() -> None:
    h = handlers()
    now = said(h, "one", "two")
    kept = json.loads(json.dumps({"conversation": to_data(now), "columns": ["dpo", "base"]}))
    screen = h.restore(kept, asked())
    assert (screen.conversation, screen.columns) == (now, ("dpo", "base"))
    kept["conversation"]["exchanges"][0]["answers"][0]["text"] = "x" * 40_000
    for forged in (kept, None, [], {"conversation": 3}, {**kept, "columns": ["nobody"]}):
        screen = h.restore(forged, asked())
        assert screen.conversation is None and screen.view["notice"]


def test_the_example_is_shown_until_something_is_said() -> None:
    opening = said(handlers(), "an old message")
    h = handlers(opening=opening)
    shown = h.show(None, COLUMNS)
    assert shown["example"] and shown["turns"][0]["message"] == "an old message"
    assert shown["keep"] is None
    screen = last(h.send("mine", asked()))
    assert not screen.view["example"] and len(screen.view["turns"]) == 1
    assert h.new(asked(None)).view["turns"] == []


def test_words_of_danger_bring_help_and_do_not_block() -> None:
    h = handlers()
    screen = last(h.send("I want to die", asked()))
    assert screen.view["care"] and texts(screen)[0] == "base heard: I want to die"
    assert not last(h.send("My dog died", asked())).view["care"]


def test_eight_visitors_at_once_get_their_own_answers() -> None:
    h = handlers(EchoEngine(load_stack("nano"), delay=0.005), limit=8)
    found: dict[int, list[str]] = {}

    def visit(number: int) -> None:
        now: Conversation | None = None
        for turn in range(3):
            ask = asked(now, session=f"s{number}")
            now = last(h.send(f"visitor {number} turn {turn}", ask)).conversation
        assert now is not None
        found[number] = [a.text for e in now.path() for a in e.answers]

    threads = [threading.Thread(target=visit, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    for number in range(8):
        assert found[number] == [
            f"{model} heard: visitor {number} turn {turn}" for turn in range(3) for model in COLUMNS
        ]
