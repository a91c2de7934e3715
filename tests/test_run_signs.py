"""What is said of a run's curves: signs of trouble, the verdict, the picture, the card."""

from __future__ import annotations

import xml.etree.ElementTree as Tree
from pathlib import Path
from typing import Any

import pytest

from empo.helped import FEWEST, judge
from empo.metrics.paired import difference, statistic
from empo.training.card import card
from empo.training.figure import figure, smooth, ticks
from empo.training.folder import append_line, make_folder
from empo.training.signs import signs
from tests.small_runs import small_spec


def curve(steps: int = 40, **columns: Any) -> list[dict[str, Any]]:
    """Rows whose columns are functions of the step's share of the whole."""
    return [
        {"step": n + 1, "seconds": n + 1.0, "loss": 0.6}
        | {name.replace("__", "/"): value(n / steps) for name, value in columns.items()}
        for n in range(steps)
    ]


def said(metrics: Any = (), samples: Any = ()) -> str:
    return " ".join(signs(metrics, samples, "dpo"))


def replies(*groups: list[str]) -> list[dict[str, Any]]:
    return [{"step": n, "reply": text} for n, group in enumerate(groups) for text in group]


def test_a_calm_run_has_none() -> None:
    calm = curve(
        rewards__accuracies=lambda t: 0.5 + 0.3 * t, ratios__chosen=lambda t: -4 * t,
        eval_loss=lambda t: 0.7 - 0.1 * t,
    )  # fmt: skip
    assert said(calm, replies(["I am so sorry."], ["That must hurt a lot."])) == ""
    assert said() == ""


def test_each_sign_has_its_sentence() -> None:
    assert "too easy" in said(curve(rewards__accuracies=lambda t: min(1.0, 0.5 + 20 * t)))
    assert "too easy" not in said(curve(rewards__accuracies=lambda t: 0.5 + 0.5 * t))
    assert "less likely" in said(curve(ratios__chosen=lambda t: -20 * t))
    assert "less likely" in said(curve(logps__chosen=lambda t: -30 - 20 * t))
    assert "begun to rise" in said(curve(eval_loss=lambda t: 0.6 + abs(t - 0.5)))
    assert "no number" in said([{"step": 1, "loss": None}])
    long = replies(["Oh no, sorry."], ["word " * 40])
    assert "grew from 3 to 40 words" in said(samples=long)
    again = replies(["Sorry to hear that."], ["so sorry for " * 4])
    assert "again and again" in said(samples=again)


def row(what: str, value: float, low: float, high: float, good: int, aim: bool) -> dict[str, Any]:
    ends = {"before": 0.5, "after": 0.5 + value, "difference": value, "low": low, "high": high}
    return {"what": what, **ends, "human": None, "good": good, "aim": aim}


@pytest.mark.parametrize(
    "rows, verdict, word",
    [
        ([("pair accuracy", 0.2, 0.1, 0.3, 1, True)], "better", "Better: pair accuracy 0.50"),
        ([("pair accuracy", 0.2, -0.1, 0.3, 1, True)], "unclear", "larger than chance"),
        ([("pair accuracy", -0.2, -0.3, -0.1, 1, True)], "worse", "Worse: pair accuracy"),
        ([("nats", -0.2, -0.3, -0.1, -1, True)], "better", "Better: nats"),
        ([("distance from the human level", -0.2, -0.3, -0.1, -1, False)], "better", "Better"),
        ([("distinct-2", 0.2, 0.1, 0.3, 1, False)], "unclear", "larger than chance"),
        ([("words", 9.0, 8.0, 10.0, 0, False)], "unclear", "larger than chance"),
        (
            [("pair accuracy", 0.2, 0.1, 0.3, 1, True), ("distinct-2", -0.2, -0.3, -0.1, 1, False)],
            "unclear",
            "better in pair accuracy .* but worse in distinct-2",
        ),
    ],
)
def test_the_verdict(rows: list[tuple[Any, ...]], verdict: str, word: str) -> None:
    import re

    found, sentence = judge([row(*one) for one in rows], FEWEST)
    assert found == verdict
    assert re.search(word, sentence)


def test_a_few_dialogues_give_no_verdict() -> None:
    found, sentence = judge([row("pair accuracy", 0.2, 0.1, 0.3, 1, True)], FEWEST - 1)
    assert found == "unclear" and "20 dialogues are needed for a verdict, 19 were" in sentence


def test_differences_are_paired() -> None:
    """Each item gains exactly 1, however the items differ: the interval has no width."""
    before = [float(n * n) for n in range(20)]
    found = difference(before, [value + 1 for value in before], [1.0] * 20)
    assert (found.value, found.low, found.high) == pytest.approx((1, 1, 1))
    assert found.before == pytest.approx(123.5)
    same = statistic(before, lambda drawn: (sum(drawn), sum(drawn) + 2))
    assert (same.value, same.low, same.high) == pytest.approx((2, 2, 2))
    wild = statistic(before, lambda drawn: (0.0, sum(drawn) / len(drawn)), seed=1)
    assert wild.low < wild.value < wild.high
    with pytest.raises(ValueError):
        difference([], [], [])


def test_the_picture_shows_what_was_logged() -> None:
    rows = curve(rewards__margins=lambda t: 2 * t, rewards__accuracies=lambda t: t)
    rows.append({"step": 40, "eval_loss": 0.5})
    tree = Tree.fromstring(figure("A <run>", rows))
    texts = [node.text for node in tree.iter("{http://www.w3.org/2000/svg}text")]
    assert {"A <run>", "Loss", "Margin", "Accuracy", "step 40"} <= set(texts)
    assert len(list(tree.iter("{http://www.w3.org/2000/svg}circle"))) == 1
    assert "margin from 0 to 1.95" in tree.attrib["aria-label"]
    assert Tree.fromstring(figure("empty", [])).attrib["aria-label"] == "empty: nothing logged yet"
    assert "prefers-color-scheme:dark" in Tree.tostring(tree, "unicode")
    assert smooth([(1, 0.0), (2, 3.0), (3, 6.0)], around=1) == [(1, 1.5), (2, 3.0), (3, 4.5)]


def test_ticks_are_round_and_hold_the_curve() -> None:
    assert ticks(0, 1) == [0, 0.25, 0.5, 0.75, 1]
    assert ticks(0.445, 1.46) == pytest.approx([0, 0.5, 1, 1.5])
    assert ticks(-0.06, 3.1) == [-1, 0, 1, 2, 3, 4]
    for value in (0.0, 0.7, -3e-7, 12345.678):
        marks = ticks(value, value)
        assert 3 <= len(marks) <= 4 and marks[0] <= value <= marks[-1] and marks[0] < marks[-1]


def test_the_card_says_what_was_asked_for_and_what_came_of_it(tmp_path: Path) -> None:
    spec = small_spec("some/base", "mine")
    folder = make_folder(spec, tmp_path)
    append_line(folder / "metrics.jsonl", {"step": 60, "seconds": 90.0, "loss": 0.42})
    verdict, sentence = judge([row("pair accuracy", 0.2, 0.1, 0.3, 1, True)], 100)
    table = [row("pair accuracy", 0.2, 0.1, 0.3, 1, True) | {"human": 0.9}]
    text = card(folder, spec, {"verdict": verdict, "sentence": sentence, "table": table})
    assert "base_model: some/base" in text and "60 steps and 1.5 minutes" in text
    assert "| pair accuracy | 0.500 | 0.700 | 0.200 (0.100 – 0.300) | 0.900 |" in text
    assert '"beta": 0.1' in text and sentence in text
    assert "It was not measured" in card(
        folder, spec, {"verdict": None, "sentence": "It was not measured."}
    )
