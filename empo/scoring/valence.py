"""Valence of a text: VADER (Hutto & Gilbert 2014), which needs no download, and NRC VAD.

VADER's compound score is 0 both for neutral words and for no known word at all. Here a text without
a single lexicon word is *not measured* (None), so that a chart shows a gap instead of a false 0;
so is NRC VAD where the lexicon is absent or knows none of the words.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from empo.scoring.vad import Lexicon, read_lexicon
from empo.settings import settings
from empo.types import Valence

if TYPE_CHECKING:
    from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

# VADER's time grows with the square of the length: a book would take hours.
MAX_CHARACTERS = 4000
LEXICON_NAMES = ("nrc_vad_lexicon.txt", "nrc_vad_lexicon.txt.gz", "NRC-VAD-Lexicon.txt")


class ValenceMeter:
    """Measures valence with VADER, and with `lexicon` where there is one."""

    def __init__(self, lexicon: Lexicon | None = None) -> None:
        self.lexicon = lexicon

    @classmethod
    def from_settings(cls, path: Path | None = None) -> ValenceMeter:
        """With the lexicon at `path`, else at EMPO_VAD, else in the data folder, else without.

        Raises:
            DataError: the lexicon that was named is missing or wrong.
        """
        path = path or settings().vad or lexicon_in(settings().data_dir)
        return cls(_lexicon(path) if path else None)

    def __call__(self, text: str) -> Valence:
        return Valence(vader(text), self.lexicon.score(text) if self.lexicon else None)


def lexicon_in(folder: Path) -> Path | None:
    """The NRC VAD lexicon in `folder`; None where it has not been fetched."""
    paths = (folder / name for name in LEXICON_NAMES)
    return next((path for path in paths if path.is_file()), None)


@cache
def _lexicon(path: Path) -> Lexicon:
    return read_lexicon(path)


@cache
def _analyser() -> SentimentIntensityAnalyzer:
    from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

    return SentimentIntensityAnalyzer()


def vader(text: str) -> float | None:
    """VADER compound score of `text` in -1..1; None where no word of it is in the lexicon.

    Of a text longer than `MAX_CHARACTERS` the beginning is measured.
    """
    from vaderSentiment.vaderSentiment import SentiText

    analyser = _analyser()
    text = text[:MAX_CHARACTERS]
    known = any(word.lower() in analyser.lexicon for word in SentiText(text).words_and_emoticons)
    if not known and not any(character in analyser.emojis for character in text):
        return None
    return analyser.polarity_scores(text)["compound"]


def valence(text: str) -> Valence:
    """Every measure of valence that there is for `text`, with the settings' lexicon."""
    return ValenceMeter.from_settings()(text)
