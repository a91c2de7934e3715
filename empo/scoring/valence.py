"""Valence of a text: VADER (Hutto & Gilbert 2014), which needs no download.

VADER's compound score is 0 both for neutral words and for no known word at all. Here a text without
a single lexicon word is *not measured* (None), so that a chart shows a gap instead of a false 0.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from empo.types import Valence

if TYPE_CHECKING:
    from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer


@cache
def _analyser() -> SentimentIntensityAnalyzer:
    from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

    return SentimentIntensityAnalyzer()


def vader(text: str) -> float | None:
    """VADER compound score of `text` in -1..1; None where no word of it is in the lexicon."""
    from vaderSentiment.vaderSentiment import SentiText

    analyser = _analyser()
    known = any(word.lower() in analyser.lexicon for word in SentiText(text).words_and_emoticons)
    if not known and not any(character in analyser.emojis for character in text):
        return None
    return analyser.polarity_scores(text)["compound"]


def valence(text: str) -> Valence:
    """Every measure of valence that there is for `text`."""
    return Valence(vader=vader(text))
