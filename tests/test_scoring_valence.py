"""Valence: VADER's figures, a gap where no word is known, the lexicon where there is one."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from empo.errors import DataError
from empo.scoring.valence import ValenceMeter, lexicon_in, vader, valence
from empo.settings import settings


def test_vader_by_hand() -> None:
    # "good" is 1.9 in VADER's lexicon; compound = s / sqrt(s^2 + 15) (vaderSentiment.normalize).
    assert vader("good") == pytest.approx(1.9 / (1.9**2 + 15) ** 0.5, abs=1e-4)
    # A preceding "not" multiplies by -0.74.
    s = -0.74 * 1.9
    assert vader("not good") == pytest.approx(s / (s**2 + 15) ** 0.5, abs=1e-4)


@pytest.mark.parametrize("text", ["", "The table has four legs.", "Моя собака", "…"])
def test_no_known_word_is_not_measured(text: str) -> None:
    assert vader(text) is None


def test_a_known_emoji_counts() -> None:
    assert vader("😀") is not None


def test_without_a_lexicon_vad_is_not_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EMPO_DATA", str(tmp_path))
    settings.cache_clear()
    assert valence("good").vad is None


def test_the_lexicon_comes_from_the_argument_the_setting_or_the_data_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (own := tmp_path / "own.txt").write_text("good\t0.9\t0.5\t0.6\n")
    (tmp_path / "nrc_vad_lexicon.txt").write_text("good\t0.7\t0.5\t0.6\n")
    monkeypatch.setenv("EMPO_DATA", str(tmp_path))
    settings.cache_clear()
    assert lexicon_in(tmp_path) == tmp_path / "nrc_vad_lexicon.txt"
    assert lexicon_in(tmp_path / "nowhere") is None
    assert ValenceMeter.from_settings()("good").vad.valence == 0.7
    assert ValenceMeter.from_settings(own)("good").vad.valence == 0.9
    monkeypatch.setenv("EMPO_VAD", str(own))
    settings.cache_clear()
    assert valence("good").vad.valence == 0.9
    with pytest.raises(DataError, match="cannot be read"):
        ValenceMeter.from_settings(tmp_path / "missing.txt")


def test_a_book_takes_no_longer_than_its_beginning() -> None:
    start = time.process_time()
    assert vader("so sorry " * 20000) == vader(("so sorry " * 20000)[:4000])
    assert time.process_time() - start < 5
