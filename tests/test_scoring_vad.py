"""The NRC VAD lexicon: by hand on three words, then the real one where it is."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import pytest

from empo.errors import DataError
from empo.scoring.vad import Lexicon, read_lexicon

LINES = "happy\t1.000\t0.735\t0.772\ndog\t0.800\t0.400\t0.500\nsad\t0.225\t0.333\t0.149\n"


def test_means_over_known_words_by_hand(tmp_path: Path) -> None:
    (path := tmp_path / "vad.txt").write_text("Word\tValence\tArousal\tDominance\n" + LINES)
    lexicon = read_lexicon(path)
    assert len(lexicon) == 3
    vad = lexicon.score("My DOG is sad, sad!")
    assert vad is not None
    # Known: dog, sad, sad; unknown: my, is.
    assert vad.valence == pytest.approx((0.8 + 2 * 0.225) / 3)
    assert vad.arousal == pytest.approx((0.4 + 2 * 0.333) / 3)
    assert vad.dominance == pytest.approx((0.5 + 2 * 0.149) / 3)
    assert vad.unknown == pytest.approx(2 / 5)


@pytest.mark.parametrize("text", ["", "!!! 42", "Ich bin froh", "🙂"])
def test_no_known_word_is_not_measured(text: str) -> None:
    assert Lexicon({"happy": (1.0, 0.7, 0.8)}).score(text) is None


@pytest.mark.parametrize(
    "content, said",
    [
        ("happy 1 2 3\n", "line 1: not a word"),
        (LINES + "broken\t0.1\t0.2\n", "line 4: not a word"),
        ("happy\tyes\t0.1\t0.2\n", "line 1: not a word"),
        ("happy\t-0.5\t0.1\t0.2\n", "line 1: a value is outside 0..1"),
        ("\n", "holds no word"),
    ],
)
def test_a_wrong_line_is_named(tmp_path: Path, content: str, said: str) -> None:
    (path := tmp_path / "vad.txt").write_text(content)
    with pytest.raises(DataError, match=said):
        read_lexicon(path)


def test_a_missing_or_damaged_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read"):
        read_lexicon(tmp_path / "none.txt")
    (path := tmp_path / "vad.txt.gz").write_bytes(gzip.compress(LINES.encode())[:-12])
    with pytest.raises(DataError, match="cannot be read"):
        read_lexicon(path)


def test_the_real_lexicon(data_file: Callable[[str], Path]) -> None:
    lexicon = read_lexicon(data_file("nrc_vad_lexicon.txt.gz"))
    assert len(lexicon) == 19971
    good, bad = lexicon.score("What a wonderful, happy day"), lexicon.score("The funeral was awful")
    assert good is not None
    assert bad is not None
    assert good.valence > 0.8 > 0.3 > bad.valence
