"""The report on a set of pairs: means worked by hand, the page that stands alone, the table."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

import pytest

from empo.metrics.paired import clustered_mean, wins
from empo.pairs.page import html_page, markdown, summary
from empo.pairs.report import MIN_OTHERS, Baselines, draw, report
from empo.types import Dialogue, MechanismScore, PreferencePair, Scores, Turn, Valence

NOBODY = Baselines(())


def pair(at: int, chosen: str, rejected: str, **more: Any) -> PreferencePair:
    facts = {"emotion": "sad", "opposite": "joyful", "origin": "paper"} | more
    return PreferencePair(
        (Turn("user", "My dog died."),),
        chosen,
        rejected,
        **facts,
        dialogue_id=f"d{at}",
        rejected_id=f"r{at % 2}",
    )


PAIRS = (
    pair(1, "one two three", "one"),
    pair(1, "one", "one two"),
    pair(2, "one", "two"),
    pair(3, "a b c d", "a", emotion="angry", opposite="afraid"),
)


class Levels:
    """Scores by the number of words: the mechanism's level is words − 1, at most 2."""

    name, listener = "words", None

    def score(self, pairs: Sequence[tuple[str, str]]) -> list[Scores]:
        return [self._scores(reply) for _, reply in pairs]

    def _scores(self, reply: str) -> Scores:
        level = min(2, len(reply.split()) - 1)
        found = MechanismScore(level, (1.0, 0.0, 0.0))
        return Scores(found, found, None, Valence(None if level == 0 else 0.5))

    def score_emotions(self, texts: Sequence[str]) -> list[tuple[Any, ...]]:
        return [() for _ in texts]


def test_a_clustered_mean_counts_values_and_draws_clusters() -> None:
    found = clustered_mean([1.0, 0.0, None, 1.0], ["a", "a", "b", "c"])
    assert found is not None and found.value == pytest.approx(2 / 3) and found.count == 3
    # Of the two clusters with a value, one has mean a half, the other 1.
    assert found.low == pytest.approx(0.5) and found.high == pytest.approx(1.0)
    assert clustered_mean([None], ["a"]) is None


def test_wins_halve_a_tie() -> None:
    assert wins([2, 1, 1], [1, 2, 1]) == [1.0, 0.0, 0.5]


def test_counts_and_means_by_hand() -> None:
    found = report(PAIRS, NOBODY, Levels(), {"strategy": "paper"})
    assert (found["pairs"], found["prompts"], found["rejected_replies"]) == (4, 3, 4)
    assert found["opposites"] == {"sad": {"joyful": 3}, "angry": {"afraid": 1}}
    assert found["flips"] == 0.75 and found["origins"] == {"paper": 4}
    assert found["words"]["chosen"] == 9 / 4 and found["words"]["rejected"] == 5 / 4
    assert found["words"]["difference"]["value"] == 1.0
    # Longer, shorter, equal, longer: 2.5 of 4.
    assert found["tells"]["length"]["value"] == 0.625
    assert found["tells"]["overlap"] is None and found["tells"]["emotion"] is None
    assert found["emotional_reaction"]["levels"] == {"chosen": [2, 0, 2], "rejected": [3, 1, 0]}
    assert found["emotional_reaction"]["difference"]["value"] == 0.75
    # Valence is measured on both sides nowhere.
    assert found["valence"]["chosen"] == 0.5 and found["valence"]["difference"] is None
    assert found["exploration"]["chosen"] is None
    json.dumps(found, allow_nan=False)


def test_baselines_are_fitted_on_other_dialogues() -> None:
    def dialogue(at: int) -> Dialogue:
        emotion, reply = (("sad", "so sad for you"), ("joyful", "so glad for you"))[at % 2]
        turns = (Turn("user", f"story {at}"), Turn("assistant", reply))
        return Dialogue(str(at), turns, emotion)

    few = Baselines([dialogue(at) for at in range(MIN_OTHERS - 1)])
    assert few.emotion is None
    fitted = Baselines([dialogue(at) for at in range(MIN_OTHERS)])
    pairs = [pair(1, "sad", "glad"), pair(2, "sad story", "glad", emotion=None, opposite=None)]
    tells = report(pairs, fitted)["tells"]
    assert tells["emotion"]["value"] == 1.0 and tells["emotion"]["count"] == 1
    assert tells["overlap"]["count"] == 2


def test_a_sample_is_seeded_and_keeps_the_order() -> None:
    many = [pair(at, "a", "b c") for at in range(50)]
    drawn = draw(many, 10, 3)
    assert len(drawn) == 10 and drawn == draw(many, 10, 3) != draw(many, 10, 4)
    places = [many.index(one) for one in drawn]
    assert places == sorted(places) and draw(many, 99, 0) == many
    found = report(many, NOBODY, sample=10, seed=3)
    assert (found["pairs"], found["sample"], found["seed"]) == (50, 10, 3)
    assert found["valence"] is None and found["exploration"] is None


def test_the_page_stands_alone_and_escapes() -> None:
    found = report(PAIRS, NOBODY, Levels(), {"source": "<img src=x onerror=alert(1)>"})
    page = html_page([found, report(PAIRS[:1], NOBODY, None, {"strategy": "b"})])
    assert "<script" not in page and "<img" not in page and "&lt;img" in page
    assert not re.findall(r"<[^>]+(?:src|href)=|url\(|@import|https?://", page)
    assert page.count("<svg") >= 6 and "not measured" in page and "4 pairs" in page
    assert "62 % (" in page  # length alone


def test_the_table_and_the_sentence() -> None:
    found = report(PAIRS, NOBODY, Levels(), {"strategy": "paper"})
    head, rule, row = markdown([found]).splitlines()
    assert head.startswith("| pairs | how many | flip polarity | n |") and set(rule) <= set("| -")
    assert row.startswith("| paper | 4 | 75 % | 4 |") and "not measured" in row
    assert summary(found) == (
        "4 pairs of 3 prompts and 4 rejected replies; 75 % flip from pleasant to unpleasant or "
        "back."
    )


def test_one_pair_is_one_pair() -> None:
    one = [pair(1, "a", "b", emotion=None, opposite=None)]
    assert summary(report(one, NOBODY)) == "1 pair of 1 prompt and 1 rejected reply."


def test_no_pair_is_no_report() -> None:
    with pytest.raises(ValueError, match="no pair"):
        report([], NOBODY)
