"""Measures of texts: tokens, self-BLEU, NIDF, VAD differences; worked by hand and against NLTK."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from empo.data.dialogues import load_split
from empo.metrics import tokens as tokenising
from empo.metrics import vad, vader
from empo.metrics.nidf import Nidf, document_frequencies
from empo.metrics.self_bleu import self_bleu
from empo.metrics.tokens import lower_tokens, tokens
from empo.metrics.words import words


def test_tokens_are_nltk_s() -> None:
    assert tokens("I'm sorry. Don't cry!") == ["I", "'m", "sorry", ".", "Do", "n't", "cry", "!"]
    assert lower_tokens("Ito's dog (12)") == ("ito", "'s", "dog", "(", "12", ")")
    assert tokens("I cannot, we're gonna") == ["I", "can", "not", ",", "we", "'re", "gon", "na"]
    assert tokens("") == []


def test_the_short_way_gives_what_nltk_gives(data_folder: Path) -> None:
    """Every sentence of three hundred real dialogues, as written, lower-cased and in capitals."""
    texts = [turn.text for d in load_split(data_folder, "valid")[::9] for turn in d.turns]
    texts += [text.lower() for text in texts] + [text.upper() for text in texts[:300]]
    sentences = [s for text in texts for s in tokenising._sentences().tokenize(text)]
    short = [s for s in sentences if tokenising._PLAIN.fullmatch(s) and not tokenising._odd(s)]
    assert len(short) > len(sentences) / 2
    for sentence in short[::3]:
        assert tokenising.words(sentence) == tokenising._words().tokenize(sentence)


def test_one_sentence_is_told_without_punkt_as_punkt_tells_it(data_folder: Path) -> None:
    texts = [turn.text for d in load_split(data_folder, "valid")[::5] for turn in d.turns]
    texts += ["a!!", "a.b", " a", "a ", "a\nb", "Mr. X", "a .", "a\u2028b", "a\xa0!", "?", "a…"]
    whole = [text for text in texts if tokenising._ONE.fullmatch(text)]
    assert len(whole) > len(texts) / 4
    for text in texts:
        assert tokenising.sentences(text) == tokenising._sentences().tokenize(text)


def test_self_bleu_worked_by_hand() -> None:
    """ "a b c d" beside "a b c e": 3/4 words, 2/3 pairs, 1/2 triples, no four (0.1/1)."""
    found = self_bleu([["a", "b", "c", "d"], ["a", "b", "c", "e"]])
    expected = (3 / 4 * 2 / 3 * 1 / 2 * 0.1) ** 0.25
    assert found == pytest.approx([expected, expected])


def test_self_bleu_clips_and_penalises() -> None:
    """ "a a" against "a": one of two counts; "a" is shorter than its only reference: e^(1 − 2)."""
    twice, once = self_bleu([["a", "a"], ["a"]])
    assert twice == pytest.approx((1 / 2 * 0.1 * 0.1 * 0.1) ** 0.25)
    assert once == pytest.approx(math.exp(-1) * (1 * 0.1**3) ** 0.25)
    assert self_bleu([["x"], ["y", "y"], []]) == [0.0, 0.0, None]
    assert self_bleu([["alone"]]) == [None]


def test_self_bleu_is_nltk_s_sentence_bleu(data_folder: Path) -> None:
    from nltk.translate.bleu_score import SmoothingFunction, sentence_bleu

    texts = [d.turns[1].text for d in load_split(data_folder, "valid")[:60]]
    replies = [list(lower_tokens(text)) for text in texts]
    smooth = SmoothingFunction().method1
    for i, found in enumerate(self_bleu(replies)):
        others = replies[:i] + replies[i + 1 :]
        expected = sentence_bleu(others, replies[i], smoothing_function=smooth)
        assert found == pytest.approx(expected)


def test_nidf_worked_by_hand() -> None:
    """Of three utterances "I" is in all, "am" in two, "sad" in one; "who" in none."""
    frequencies = document_frequencies(["I am sad", "I am I", "I"])
    assert frequencies == {"I": 3, "am": 2, "sad": 1}
    nidf = Nidf(frequencies)
    assert nidf("I I I") == 0.0
    assert nidf("sad") == nidf("who") == 1.0
    assert nidf("I am sad") == pytest.approx((0 + math.log(3 / 2) / math.log(3) + 1) / 3)
    assert nidf(" ") is None
    with pytest.raises(ValueError, match="equally frequent"):
        Nidf({"a": 2, "b": 2})


LEXICON = {"happy": (0.9, 0.6, 0.7), "sad": (0.2, 0.3, 0.2), "calm": (0.8, 0.1, 0.5)}


def test_vad_with_unknown_words_as_zero_and_without() -> None:
    found = vad.differences(("i", "am", "sad"), ("so", "happy", "calm", "!"), LEXICON.get)
    assert found["diff_max_v"] == pytest.approx(0.2 - 0.9)
    assert found["mean_abs_v"] == pytest.approx(0.7)
    assert found["diff_max_a"] == pytest.approx(0.3 - 0.6)
    assert found["diff_mean_v"] == pytest.approx(0.2 / 3 - 1.7 / 4)
    assert found["known_diff_mean_v"] == pytest.approx(0.2 - 0.85)
    assert found["known_v"] == pytest.approx(0.85) and found["known_share"] == 0.5


def test_vad_of_unknown_words_is_zero_as_published_and_not_measured_else() -> None:
    found = vad.differences(("sad",), ("hm",), LEXICON.get)
    assert found["diff_max_v"] == pytest.approx(0.2)
    assert found["known_diff_max_v"] is None and found["known_v"] is None
    assert found["known_share"] == 0.0
    assert vad.differences((), (), LEXICON.get)["known_share"] is None


def test_intensity_is_the_difference_of_the_largest() -> None:
    lexicon = {"furious": 0.9, "annoyed": 0.4}
    assert vad.intensity(("so", "furious"), ("annoyed",), lexicon) == pytest.approx(
        {"diff_max_intensity": 0.5, "known_diff_max_intensity": 0.5}
    )
    assert vad.intensity(("furious",), ("hm",), lexicon) == {
        "diff_max_intensity": 0.9,
        "known_diff_max_intensity": None,
    }


def test_vader_and_words() -> None:
    assert vader.as_published(None) == 0.0 and vader.as_published(-0.3) == -0.3
    assert words(" two  words\n") == 2


def test_the_intensity_lexicon_is_read_strictly(tmp_path: Path) -> None:
    from empo.data.intensity import find_intensity, read_intensity
    from empo.errors import DataError

    path = tmp_path / "intensity.txt"
    path.write_text("word\temotion\tscore\nOutraged\tanger\t0.964\noutraged\tjoy\t0.1\n", "utf-8")
    assert find_intensity(tmp_path) == path and find_intensity(tmp_path / "no") is None
    assert read_intensity(path) == {"outraged": 0.1}
    path.write_text("outraged anger 9\nx\n", "utf-8")
    with pytest.raises(DataError, match="line 2"):
        read_intensity(path)


def test_bertscore_is_the_cosine_of_the_best_match() -> None:
    """Two tokens a text, their vectors by hand: recall and precision of the greedy match."""
    import numpy as np

    from empo.metrics.bertscore import bertscore

    vectors = {
        "a": [[1, 0]],
        "both": [[1, 0], [0, 1]],
        "half": [[1, 1]],
        "": [],
    }

    def encode(texts: list[str]) -> list[np.ndarray]:
        marker = [[9.0, 9.0]]
        return [np.array([*marker, *vectors[t], *marker], np.float32) for t in texts]

    found = bertscore(encode, ["a", "a", "half", "", "both"], ["a", "both", "a", "a", "half"])
    root = 1 / math.sqrt(2)
    assert found == pytest.approx([1.0, 2 * 0.5 / 1.5, root, 0.0, root], abs=1e-5)


def test_bertscore_by_the_embedded_encoder_pairs_each_reply_with_its_own_human() -> None:
    """Replies of different lengths: torchmetrics itself would mix up a longer list."""
    from empo.metrics.bertscore import bertscore
    from empo.scoring.vectors import TokenVectors

    encode = TokenVectors()
    replies = [
        "Oh no, I am so sorry to hear that.",
        "Great!",
        "How did your dog die, if I may ask?",
    ]
    together = bertscore(encode, replies, [replies[0], "Great news!", replies[2]])
    assert together[0] == pytest.approx(1.0, abs=1e-5)
    assert together[2] == pytest.approx(1.0, abs=1e-5)
    assert together[1] == pytest.approx(bertscore(encode, ["Great!"], ["Great news!"])[0], abs=1e-4)
    apart = bertscore(encode, replies[:1], ["The table is made of wood."])[0]
    assert apart < together[1] < 1.0
    shape = encode(["Great!"])[0].shape
    assert shape[0] == 4 and shape[1] > 100
    long = encode(["so " * 500])[0]
    assert len(long) == 128


def test_encoder_of_a_damaged_file_is_refused(tmp_path: Path) -> None:
    from empo.scoring.card import ScorerError
    from empo.scoring.scorer import EMBEDDED
    from empo.scoring.vectors import TokenVectors

    (tmp_path / "tokenizer.json").write_bytes((EMBEDDED / "tokenizer.json").read_bytes())
    with pytest.raises(ScorerError, match=r"scorer\.onnx cannot be read"):
        TokenVectors(tmp_path)
    (tmp_path / "scorer.onnx").write_bytes(b"nothing")
    with pytest.raises(ScorerError, match="encoder is not known"):
        TokenVectors(tmp_path)
