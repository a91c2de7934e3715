"""Spans read from token probabilities, worked out by hand."""

from __future__ import annotations

import re

import numpy as np
import pytest

from empo.scoring.rationale import Reading, spans

TEXT = "I am so sorry. How are you?"
OFFSETS = [m.span() for m in re.finditer(r"\w+|[^\w\s]", TEXT)]


def read(marks: list[float], **changes: float) -> list[str]:
    reading = Reading(**{"threshold": 0.5, "window": 0, "gap": 0, **changes})
    return [TEXT[a:b] for a, b in spans(TEXT, OFFSETS, np.array(marks), reading)]


def test_runs_above_the_threshold_become_spans_of_whole_words() -> None:
    #                 I   am  so  sorry .   How are you ?
    assert read([0.9, 0.9, 0.1, 0.5, 0.1, 0.0, 0.0, 0.7, 0.1]) == ["I am", "sorry.", "you?"]


def test_gaps_are_closed() -> None:
    marks = [0.9, 0.1, 0.9, 0.0, 0.0, 0.0, 0.9, 0.0, 0.0]
    assert read(marks) == ["I", "so", "are"]
    assert read(marks, gap=1) == ["I am so", "are"]
    assert read(marks, gap=3) == ["I am so sorry. How are"]


def test_the_window_averages_neighbours_and_fewer_at_the_ends() -> None:
    # Means of three (two at the ends): .5, .33, .33, .33, .33, 0, 0, 0, 0
    marks = [1.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0]
    assert read(marks, window=1) == ["I"]
    assert read(marks, window=1, threshold=0.33) == ["I am so sorry."]


@pytest.mark.parametrize("marks", [[0.0] * 9, [0.49] * 9])
def test_nothing_above_the_threshold_is_no_span(marks: list[float]) -> None:
    assert read(marks) == []


def test_pieces_of_one_word_are_one_span() -> None:
    text = "heartbroken, really"
    offsets = [(0, 5), (5, 11), (11, 12), (13, 19)]
    found = spans(text, offsets, np.array([0.9, 0.1, 0.9, 0.0]), Reading(0.5, 0, 0))
    assert found == ((0, 12),)
    assert spans("", [], np.array([]), Reading(0.5, 1, 1)) == ()
