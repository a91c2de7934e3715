"""Each metric against numbers worked by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from empo.metrics.baselines import EmotionFit, Overlap, length_scores
from empo.metrics.bootstrap import draws, mean_interval, ratio_interval
from empo.metrics.distinct import distinct, distinct_interval, mean_words, repetitive
from empo.metrics.pair_accuracy import pair_accuracy
from empo.metrics.perplexity import perplexity


def test_perplexity_weighs_tokens() -> None:
    """4 tokens at ln 2 and 1 token at ln 32: (4 ln 2 + 5 ln 2) / 5 = 1.8 ln 2, so 2 ** 1.8."""
    result = perplexity([4 * math.log(2), math.log(32)], [4, 1])
    assert result.nats == pytest.approx(1.8 * math.log(2))
    assert result.value == pytest.approx(2**1.8)
    assert result.tokens == 5
    assert 2.0 <= result.low <= result.value <= result.high <= 32.0 + 1e-9


def test_perplexity_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="no token"):
        perplexity([], [])


def test_pair_accuracy_counts_ties_half() -> None:
    """Won, lost, tied, won: 2.5 of 4."""
    result = pair_accuracy([1.0, 0.0, 3.0, 5.0], [0.0, 1.0, 3.0, 4.0])
    assert result.value == 0.625
    assert result.pairs == 4
    assert result.low < 0.625 < result.high


def test_pair_accuracy_needs_as_many_of_both() -> None:
    with pytest.raises(ValueError):
        pair_accuracy([1.0, 2.0], [1.0])
    with pytest.raises(ValueError, match="no pair"):
        pair_accuracy([], [])


def test_interval_of_a_share_is_near_the_normal_one() -> None:
    """400 of 1,000: 0.4 ± 1.96 · √(0.4 · 0.6 / 1000) = 0.4 ± 0.0304."""
    low, high = ratio_interval([1.0] * 400 + [0.0] * 600, [1.0] * 1000)
    assert low == pytest.approx(0.3696, abs=0.004)
    assert high == pytest.approx(0.4304, abs=0.004)
    assert (low, high) == ratio_interval([1.0] * 400 + [0.0] * 600, [1.0] * 1000)


def test_interval_of_equal_clusters_is_a_point_and_of_none_is_nan() -> None:
    assert ratio_interval([2.0, 4.0], [1.0, 2.0]) == (2.0, 2.0)
    assert all(math.isnan(edge) for edge in ratio_interval([], []))


def test_distinct_two_over_the_corpus() -> None:
    """ "i am sad" and "i am here": bigrams (i am) twice, (am sad), (am here): 3 of 4."""
    assert distinct(["I am sad", "i am here"], 2) == 0.75
    assert distinct(["one"], 2) is None


def test_distinct_interval_holds_the_value() -> None:
    """ "a b", "a c", "b d", "e f" by word pairs: all different, whichever is left out."""
    texts = ["a b", "a c", "b d", "e f"]
    assert distinct_interval(texts, 2) == (1.0, 1.0)
    # 6 of 8 words; without one reply after the other 6, 5, 5, 4 of 6: the mean is 5/6.
    error = math.sqrt(3 / 4 * 2 * (1 / 6) ** 2)
    assert distinct_interval(texts, 1) == pytest.approx((0.75 - 1.96 * error, 1.0))
    assert distinct_interval(["one reply"], 1) is None
    assert distinct_interval(["a", "b"], 3) is None


def test_shared_draws_give_the_interval_of_a_mean() -> None:
    """As the ratio with denominators 1, and a missing value is left out."""
    drawn = draws(1000, 0)
    assert drawn.sum(1).tolist() == [1000.0] * len(drawn)
    values = np.array([1.0] * 400 + [0.0] * 600)
    low, high = mean_interval(values, drawn)
    assert low == pytest.approx(0.3696, abs=0.004) and high == pytest.approx(0.4304, abs=0.004)
    values[400:] = np.nan
    assert mean_interval(values, drawn) == (1.0, 1.0)
    assert mean_interval(values * np.nan, drawn) is None


def test_mean_words_and_repetition() -> None:
    assert mean_words(["a b c", "d"]) == 2.0
    assert mean_words([]) is None
    assert repetitive(["a b c a b c", "a b c d"]) == 0.5
    assert repetitive([]) is None


def test_length_scores() -> None:
    assert length_scores(["a b", "c"]) == [2.0, 1.0]


def test_overlap_is_a_cosine() -> None:
    """The same words: 1; no word in common: 0; of two equally rare words one shared: 1/2."""
    overlap = Overlap(["dog cat", "dog bird", "cat bird"])
    same, apart, half = overlap.scores(
        ["dog cat", "dog cat", "dog cat"], ["cat dog", "bird", "dog bird"]
    )
    assert same == pytest.approx(1.0)
    assert apart == 0.0
    assert half == pytest.approx(0.5)


def test_emotion_fit_prefers_the_typical_reply() -> None:
    fit = EmotionFit(["so sorry"] * 3 + ["that is great"] * 3, ["sad"] * 3 + ["joyful"] * 3)
    sorry, great = fit.scores(["so sorry", "that is great"], ["sad", "sad"])
    assert sorry > great
    assert math.exp(sorry) + math.exp(fit.scores(["so sorry"], ["joyful"])[0]) == pytest.approx(1)
    assert fit.scores(["so sorry"], ["proud"]) == [-math.inf]
