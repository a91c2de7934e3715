"""Replies in sentences, and their summary, by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from empo.scoring.rationale import marked
from empo.scoring.sentences import NOTHING, owners, summaries


def test_a_sentence_ends_behind_its_marks() -> None:
    text = "So sorry... Why?\nok"
    offsets = [(0, 2), (3, 8), (8, 9), (9, 10), (10, 11), (12, 15), (15, 16), (17, 19)]
    assert owners(text, offsets) == [0, 0, 0, 0, 0, 1, 1, 2]
    assert owners("", []) == []
    # Lines without a piece have no number.
    assert owners("a.\n\n.\nb", [(0, 1), (1, 2), (6, 7)]) == [0, 0, 1]


def test_long_runs_of_marks_take_no_time() -> None:
    text = "." * 4000 + "\n" * 4000
    assert owners(text, [(i, i + 1) for i in range(8000)]) == [0] * 8000


def test_the_summary_by_hand() -> None:
    # Odds 3, 1 and 1/3: chances 3/4, 1/2, 1/4; lengths 4, 2, 4: 3 + 1 + 1 pieces are expected.
    logits = np.log([1, 3, 1 / 3, 3])[:, None]
    # Three sentences, none, one.
    found = summaries(logits, np.array([2, 4, 4, 4]), np.array([3, 0, 1]))
    expected = [math.log(3), 0, math.log(13 / 3), 0.5, math.log(6), math.log(2.5), 0, -math.log(3)]
    assert found[0] == pytest.approx(expected)
    assert found[1, [0, 1, 2, 6, 7]] == pytest.approx(np.array([0, -2, 0, 0, 0]) + NOTHING)
    assert found[2, [0, 1, 6, 7]] == pytest.approx(math.log(3) - np.array([0, 2, 0, 0]))
    # A second mechanism stands behind the first, whatever its neighbour says.
    two = summaries(np.hstack([logits * 0, logits]), np.array([2, 4, 4, 4]), np.array([3, 0, 1]))
    assert two.shape == (3, 16)
    assert two[:, 8:] == pytest.approx(found)


def test_marks_are_the_mean_of_a_piece_and_its_sentence() -> None:
    pieces = np.array([[2.0, 0.0], [0.0, 0.0], [-2.0, 4.0]])
    sentences = np.array([[1.0, -1.0], [5.0, 0.0], [9.0, 9.0]])
    found = marked(pieces, sentences, [0, 0, 1, 2], [0.5, 1.0])
    logits = [[1.5, -1.0], [0.5, -1.0], [1.5, 0.0]]
    assert found == pytest.approx(1 / (1 + np.exp(-np.array(logits))))
    assert marked(np.zeros((0, 2)), np.zeros((0, 2)), [], [0.5, 0.5]).shape == (0, 2)
