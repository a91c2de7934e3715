"""The sweep without a browser: five places in one batch, a turn's rules, and what is drawn."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest

from empo.conversation import Conversation, to_data
from empo.models.echo import EchoEngine
from empo.models.engine import Row, Step
from empo.models.stacks import Stack, load_stack
from empo.types import Sampling, Valence
from empo.ui.handlers import Screen
from empo.ui.sweep import Sweeps
from empo.ui.sweep_chart import sweep_result
from tests.test_ui_handlers import asked, handlers, last, said
from tests.test_ui_live import LISTENER, answer, exchange, levels

PLACES = ["dial:0", "dial:0.25", "dial:0.5", "dial:0.75", "dial:1"]


class Listening(EchoEngine):
    """Keeps the batches that it was asked."""

    def __init__(self, stack: Stack, delay: float = 0.0) -> None:
        super().__init__(stack, delay)
        self.batches: list[Sequence[Row]] = []

    def stream(self, rows: Sequence[Row], cancel: threading.Event | None = None) -> Iterator[Step]:
        self.batches.append(rows)
        return super().stream(rows, cancel)


def sweeping(delay: float = 0.0, limit: int = 4) -> tuple[Sweeps, Listening]:
    engine = Listening(load_stack("nano"), delay)
    return Sweeps(handlers(engine, limit)), engine


def test_five_places_answer_in_one_batch_and_the_conversation_stays() -> None:
    sweeps, engine = sweeping()
    now = said(sweeps.handlers, "one")
    engine.batches.clear()
    sampling = Sampling(temperature=0.5, seed=3)
    screens = list(sweeps.run("two", False, asked(now, sampling=sampling)))
    (rows,) = engine.batches
    assert [row.model for row in rows] == PLACES
    assert [dict(row.adapters) for row in rows] == [
        {"sft": 1.0},
        {"sft": 0.75, "dpo": 0.25},
        {"sft": 0.5, "dpo": 0.5},
        {"sft": 0.25, "dpo": 0.75},
        {"dpo": 1.0},
    ]
    assert {row.sampling for row in rows} == {sampling}
    heard = {tuple(turn.text for turn in row.messages) for row in rows}
    assert heard == {("one", "base heard: one", "two")}
    assert screens[0].view["running"] and not screens[-1].view["running"]
    assert all((s.conversation, s.chart, s.box) == (None, None, None) for s in screens)
    assert [turn["message"] for turn in screens[-1].view["turns"]] == ["one"]
    html = drawn(screens[-1])
    assert "dial:0.25 heard: two" in html and "proves little" in html


def drawn(screen: Screen) -> str:
    assert screen.sweep is not None
    return screen.sweep["html"]


def test_an_empty_box_sweeps_the_last_message_again_and_nothing_at_all_is_refused() -> None:
    sweeps, engine = sweeping()
    now = said(sweeps.handlers, "one", "two")
    screen = last(sweeps.run("  ", False, asked(now)))
    assert [t.text for t in engine.batches[-1][0].messages] == ["one", "base heard: one", "two"]
    assert "“two”" in drawn(screen)
    for nothing in (None, Conversation()):
        (screen,) = sweeps.run(" \n", False, asked(nothing))
        assert "The message is empty" in screen.view["notice"]
        assert screen.sweep == {"notice": screen.view["notice"]}
    (screen,) = sweeps.run("x" * 9000, False, asked(now))
    assert "at most 8,000" in screen.view["notice"]


def test_beyond_goes_to_one_and_a_half() -> None:
    sweeps, engine = sweeping()
    last(sweeps.run("hello", True, asked()))
    weights = [dict(row.adapters) for row in engine.batches[0]]
    assert weights[2] == {"dpo": 1.0} and weights[-1] == {"sft": -0.5, "dpo": 1.5}


def test_stop_ends_it_and_what_was_said_stays() -> None:
    sweeps, _ = sweeping(delay=0.05)
    for count, screen in enumerate(sweeps.run("one two three four five six", False, asked())):
        final = screen
        if count == 2:
            sweeps.handlers.services.running.stop("me")
    assert drawn(final).count("stopped") == 5 and "six" not in drawn(final).split("</ol>")[0][300:]
    assert len(sweeps.handlers.services.line) == 0


def test_it_stands_in_line_and_one_visitor_runs_one_thing() -> None:
    sweeps, _ = sweeping(delay=0.03, limit=2)
    turn = sweeps.handlers.send("one two three four five six seven", asked())
    next(turn)
    (busy,) = sweeps.run("hello", False, asked())
    assert "still being answered" in busy.view["notice"]
    waiting = sweeps.run("hello", False, asked(session="second"))
    next(waiting)
    assert "number 2 in line" in next(waiting).view["notice"]
    (refused,) = sweeps.run("hello", False, asked(session="third"))
    assert "try again in a minute" in refused.view["notice"]
    list(turn)
    assert "dial:1 heard: hello" in drawn(last(waiting))


def test_without_a_dial_it_says_so() -> None:
    sweeps, _ = sweeping()
    handlers_ = sweeps.handlers
    models = tuple(m for m in handlers_.cast.stack.models if m.stage != "dpo")
    handlers_.cast = replace(handlers_.cast, stack=replace(handlers_.cast.stack, models=models))
    (screen,) = sweeps.run("hello", False, asked(columns=("base", "sft")))
    assert "needs a stack that has an SFT and a DPO adapter" in screen.view["notice"]
    assert screen.view["dial"] is None


def test_words_of_danger_show_where_help_is() -> None:
    sweeps, _ = sweeping()
    assert last(sweeps.run("I want to die", False, asked())).view["care"]


# ---- what is drawn


def swept(*given: Any) -> Any:
    answers = [
        replace(answer(f"Dial {n}", scores, text), model=name)
        for n, (name, scores, text) in enumerate(given)
    ]
    return exchange(*answers)


def test_the_pictures_and_the_table_hold_the_figures() -> None:
    first = ("dial:0", levels(0.5, 0, 2), "Oh no.")
    second = ("dial:1", levels(1.5, 0.25, 1), "I am sorry. Why?")
    html = sweep_result(swept(first, second), LISTENER)
    row = '<th scope="row">1</th><td>1.50</td><td>0.25</td><td>1.00</td><td>not measured</td>'
    assert row + "<td>4</td>" in html
    assert html.count("<title>warmth at") == 2 and "<title>words at 1: 4.00</title>" in html
    assert html.count("<title>valence at") == 0  # gaps, and no zeros
    listener = '<th scope="row">typical human listener</th><td>0.50</td><td>0.40</td><td>0.90</td>'
    assert listener in html
    assert "0 SFT" in html and "1 DPO" in html and "seed (0)" in html


def test_what_is_not_measured_says_so_and_a_running_sweep_has_no_picture() -> None:
    measured = swept(("dial:0", None, "a"), ("dial:1", None, "b"))
    html = sweep_result(measured)
    assert html.count("not measured</text>") == 2 and "NaN" not in html
    some = replace(measured.answers[0], valence=Valence(-0.5))
    html = sweep_result(replace(measured, answers=(some, measured.answers[1])))
    assert "valence at 0: −0.50" in html and html.count("not measured</text>") == 1
    running = replace(measured, answers=(replace(some, reply=None), measured.answers[1]))
    assert "<svg" not in sweep_result(running) and "<li>" in sweep_result(running)


def test_texts_are_inert() -> None:
    evil = "<img src=x onerror=alert(1)>"
    hurt = replace(swept(("dial:0", None, evil)), message=evil)
    assert "<img" not in sweep_result(hurt) and sweep_result(hurt).count("&lt;img") == 2


@pytest.mark.parametrize("kept", ["dial:0.35", "dial:1.5"])
def test_a_dialled_column_keeps_its_place_in_everything(kept: str) -> None:
    sweeps, engine = sweeping()
    h = sweeps.handlers
    chosen = h.choose(["base", kept], asked())
    assert chosen.columns == ("base", kept)
    ask = asked(columns=chosen.columns)
    now = last(h.send("hello", ask)).conversation
    again = last(h.again(asked(now, columns=chosen.columns))).conversation
    assert again is not None
    names = [[a.model for a in e.answers] for e in again.exchanges]
    assert names == [["base", kept]] * 2
    assert engine.batches[0][1].adapters == engine.batches[1][1].adapters
    followed = h.follow(2, 1, asked(again, columns=chosen.columns))
    assert followed.view["follow"] == f"Dial {kept.removeprefix('dial:')}"
    shared = h.shared(asked(again, columns=chosen.columns), "")
    assert shared.columns == ("base", kept)
    for kind in ("html", "markdown", "json"):
        _, text = h.download(kind, asked(again, columns=chosen.columns), None, "")  # type: ignore[arg-type]
        assert (kept if kind == "json" else f"Dial {kept.removeprefix('dial:')}") in text
    restored = h.restore({"conversation": to_data(again), "columns": ["base", kept]}, asked())
    assert restored.columns == ("base", kept)
