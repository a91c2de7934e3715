"""The page's small parts: line, control, colours, care, holder, charts."""

from __future__ import annotations

import re
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from empo.conversation import Answer, Exchange
from empo.danger import points_to_danger
from empo.errors import Busy, EmpoError, StackError
from empo.models.echo import EchoEngine
from empo.models.stacks import load_stack
from empo.scoring.valence import vader
from empo.settings import settings
from empo.types import Reply, Vad, Valence
from empo.ui.charts import AROUSAL, _y, arousal_series, mood_chart, mood_series
from empo.ui.colours import colours
from empo.ui.control import Running
from empo.ui.services import EngineHolder
from empo.ui.turns import measured
from empo.ui.waiting import Line


def test_a_place_in_line_moves_up_as_others_leave() -> None:
    line = Line(3)
    with line.place() as second_after:
        assert second_after.ahead == 0
        entered, leave = threading.Event(), threading.Event()
        seen: list[int] = []

        def later() -> None:
            with line.place() as place:
                seen.append(place.ahead)
                entered.set()
                place.wait(5)
                seen.append(place.ahead)
                leave.wait(5)

        thread = threading.Thread(target=later)
        thread.start()
        assert entered.wait(5)
    time.sleep(0.05)
    leave.set()
    thread.join(5)
    assert seen == [1, 0]
    assert len(line) == 0


def test_a_full_line_refuses_at_once_with_a_sentence() -> None:
    line = Line(1)
    with line.place(), pytest.raises(Busy, match="try again in a minute"), line.place():
        pass
    with line.place() as place:  # the refused one left nothing behind
        assert place.ahead == 0


def test_a_session_has_one_turn_at_a_time_and_only_its_own_is_stopped() -> None:
    running = Running()
    with running.turn("a") as mine, running.turn("b") as other:
        with pytest.raises(Busy, match="stop it first"), running.turn("a"):
            pass
        running.stop("a", column=1)
        running.stop("b")
        running.stop("nobody")
        assert (mine.stopped, mine.cancel.is_set(), other.cancel.is_set()) == ({1}, False, True)
    assert mine.cancel.is_set()
    with running.turn("a"):
        pass


def test_colours_follow_the_stage_and_never_repeat_while_there_are_some() -> None:
    found = colours(
        [("base", "base"), ("sft", "sft"), ("dpo", "dpo"), ("mine", "dpo"), ("kto", "kto")]
    )
    assert list(found.values()) == ["#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9"]


@pytest.mark.parametrize(
    "text",
    [
        "I want to die",
        "sometimes I think about SUICIDE",
        "i dont want to live anymore",
        "I don’t want to wake up",
        "everyone would be better off without me",
        "I have been cutting myself again",
        "my husband hits me",
        "I'm going to kill myself",
    ],
)
def test_words_of_danger(text: str) -> None:
    assert points_to_danger(text)


@pytest.mark.parametrize(
    "text",
    [
        "My dog died last week",
        "I was dying to see you",
        "I could kill for a coffee",
        "She took my lunch, I hate my life sometimes",
        "The new game is killer",
        "I cut my hair myself",
    ],
)
def test_ordinary_words(text: str) -> None:
    assert not points_to_danger(text)


def test_the_holder_loads_once_and_says_how_far_it_is() -> None:
    calls, go = [], threading.Event()
    engine = EchoEngine(load_stack("nano"))

    def load(report):  # type: ignore[no-untyped-def]
        calls.append(1)
        report("Reading the base.", 0.5)
        go.wait(5)
        return engine

    holder = EngineHolder(load)
    holder.start()
    holder.start()
    while holder.status.share == 0:
        time.sleep(0.01)
    assert (holder.status.state, holder.status.text) == ("loading", "Reading the base.")
    with pytest.raises(EmpoError, match="still being loaded"):
        _ = holder.engine
    go.set()
    assert holder.wait(5)
    assert (holder.status.state, holder.engine, calls) == ("ready", engine, [1])


def test_a_failed_load_is_its_one_sentence() -> None:
    def load(report):  # type: ignore[no-untyped-def]
        raise StackError("No weights in x; fetch them.")

    holder = EngineHolder(load)
    holder.load_here()
    assert holder.status.text == "No weights in x; fetch them."
    with pytest.raises(StackError, match="No weights in x"):
        _ = holder.engine


def exchange(number: int, user: float | None, *values: float | None, hurt: str = "") -> Exchange:
    answers = tuple(
        Answer(
            f"m{i}",
            f"M{i}{hurt}",
            "",
            "base",
            "text",
            Reply(f"m{i}", "text", 1, 1, 0.1, "end"),
            valence=Valence(value),
        )
        for i, value in enumerate(values)
    )
    return Exchange(number, number - 1 or None, "hi", answers, valence=Valence(user))


def test_the_mood_lines_have_gaps_and_no_zeros() -> None:
    path = [exchange(1, 0.5, -1.0, None), exchange(2, None, 0.25), exchange(3, -0.5, 0.0, 1.0)]
    you, first, second = mood_series(path, {"m0": "#0072B2", "m1": "#E69F00"})
    assert you.values == (0.5, None, -0.5)
    assert (first.values, first.colour) == ((-1.0, 0.25, 0.0), "#0072B2")
    assert second.values == (None, None, 1.0)


def test_the_mood_chart_draws_each_measured_value_once() -> None:
    path = [exchange(1, 0.5, -1.0, None), exchange(2, None, 0.25)]
    chart = mood_chart(path, {"m0": "#0072B2"})
    titles = re.findall(r"<title>(.*?)</title>", chart)
    assert titles == ["you, turn 1: +0.50", "M0, turn 1: −1.00", "M0, turn 2: +0.25"]
    assert chart.count("not measured</td>") == 3  # you at 2, M1 at 1 and 2
    # One segment joins M0's two values; −1 lies at the bottom line, 0.25 above the middle.
    assert f'y1="{_y(-1.0):.1f}"' in chart and _y(0.25) < _y(0) < _y(-1)
    assert len(re.findall(r'stroke-width="2.5"', chart)) == 1


def test_a_chart_without_values_says_so_and_a_recorded_one_names_its_speaker() -> None:
    empty = mood_chart([exchange(1, None, None)], {}, who="speaker")
    assert "nothing measured yet" in empty and "speaker</li>" in empty
    assert "nothing measured yet" not in mood_chart([exchange(1, None, 0.0)], {})


def test_names_in_a_chart_are_escaped() -> None:
    chart = mood_chart([exchange(1, 0.1, 0.2, hurt="<img src=x onerror=alert(1)>")], {})
    assert "<img" not in chart and "&lt;img" in chart


def test_an_empty_chart_says_what_to_do() -> None:
    assert "Say something" in mood_chart([], {})


def test_arousal_is_drawn_where_the_lexicon_was_there() -> None:
    path = [exchange(1, 0.1, 0.2), exchange(2, 0.3, None)]
    assert "Arousal" not in mood_chart(path, {})
    vad = Vad(0.2, 0.75, 0.5, 0.6)
    first = replace(path[0], valence=Valence(0.1, vad))
    (you, model) = arousal_series([first, path[1]], {}, "speaker")
    assert (you.name, you.values, you.notes) == (
        "speaker",
        (0.75, None),
        ("60 % of the words unknown", ""),
    )
    assert model.values == (None, None)
    chart = mood_chart([first, path[1]], {})
    assert chart.count("<h4>Arousal") == 1
    assert "you, turn 1: 0.75, 60 % of the words unknown" in chart
    assert "<td>0.75</td><td>0.20</td><td>60 %</td>" in chart
    # Calm is 0, excited 1: three quarters up between the axis' ends.
    assert _y(0.75, AROUSAL) == _y(0.5)


def test_a_lexicon_that_cannot_be_read_leaves_vader(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "lexicon.txt"
    broken.write_text("good\tone\ttwo")
    monkeypatch.setenv("EMPO_VAD", str(broken))
    settings.cache_clear()
    assert measured("good") == Valence(vader("good"))
