"""The linear models over words and sentences: by hand, and against scikit-learn."""

from __future__ import annotations

import math
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from tokenizers import Tokenizer

from empo.scoring.card import ScorerError
from empo.scoring.scorer import EMBEDDED
from empo.scoring.sentences import owners
from empo.scoring.wide import (
    BEGIN,
    FINISH,
    PAIR,
    SKIP,
    WORDS,
    Text,
    Wide,
    blended,
    features,
    log_softmax,
)
from train.scoring.replies import Reply
from train.scoring.wide import WORDS_C, cross_validated, fit_wide, opinions, write_wide

REPLIES = [
    ("I am so sorry for you", 2),
    ("so sorry for your loss", 2),
    ("I am sorry", 1),
    ("that is sad for you", 1),
    ("how old is he", 0),
    ("how are you", 0),
    ("what is that", 0),
    ("you are old", 0),
]


def made(texts: list[tuple[str, int]], size: int = 4) -> list[Reply]:
    """Replies whose sentences show every mechanism where "sorry" is in them."""
    tokenizer = Tokenizer.from_file(str(EMBEDDED / "tokenizer.json"))
    rng = np.random.default_rng(0)
    found = []
    for text, level in texts:
        encoding = tokenizer.encode(text, add_special_tokens=False)
        own = np.array(owners(text, encoding.offsets))
        sorry = np.array(encoding.ids) == tokenizer.token_to_id("sorry")
        marks = np.array([sorry[own == k].any() for k in range(own.max() + 1)])
        states = rng.normal(size=(len(marks), size)).astype(np.float32)
        states[:, 0] += 3 * marks
        three = np.repeat(marks[:, None], 3, 1)
        found.append(Reply(np.array(encoding.ids), own, (level,) * 3, three, states))
    return found


def test_features_by_hand() -> None:
    text, key, count = features([np.array([5, 7, 5]), np.array([], np.int64)])
    assert text.tolist() == [0] * 7 + [1]
    assert dict(zip(key[:7].tolist(), count[:7].tolist(), strict=True)) == {
        5: 2,
        7: 1,
        (BEGIN + 1) * PAIR + 5: 1,
        6 * PAIR + 7: 1,
        8 * PAIR + 5: 1,
        6 * PAIR + FINISH: 1,
        SKIP + 6 * PAIR + 5: 1,
    }
    # Nothing between the edges is a feature, too.
    assert key[7] == (BEGIN + 1) * PAIR + FINISH


def test_one_feature_by_hand(tmp_path: Path) -> None:
    weights = np.zeros((1, WORDS + 3), np.int8)
    weights[0, 2] = weights[0, WORDS] = 127
    summary = np.zeros((3, 25, 3), np.float32)
    # The highest logit of the first mechanism speaks for its level 2.
    summary[0, 0, 2] = 1
    arrays = {
        "keys": np.array([4], np.uint32),
        "idf": np.array([3.0], np.float16),
        "weights": weights,
        "scales": np.full(WORDS + 3, 2 / 127, np.float32),
        "bias": np.zeros(WORDS + 3, np.float32),
        "summary": summary,
        "share": np.float32(0),
    }
    np.savez(tmp_path / "wide.npz", **arrays)
    wide = Wide(tmp_path / "wide.npz")

    def text(ids: list[int], owners: list[int]) -> Text:
        return Text(np.array(ids, np.int64), np.array(owners, np.int64), np.zeros((0, 3)))

    # A single known feature has length 1: the third logit is 2, the others 0.
    total = math.log(2 + math.exp(2))
    found, unknown, empty = wide([text([9, 4, 8], [0, 0, 1]), text([9, 8], [0, 0]), text([], [])])
    assert found.levels[0] == pytest.approx([-total, -total, 2 - total], abs=1e-6)
    assert found.levels[1] == pytest.approx([-math.log(3)] * 3)
    assert found.sentences == pytest.approx(np.array([[2, 0, 0], [0, 0, 0]]), abs=1e-6)
    assert unknown.levels == pytest.approx(np.full((3, 3), -math.log(3)))
    assert unknown.sentences == pytest.approx(np.zeros((1, 3)))
    assert empty.levels == pytest.approx(np.full((3, 3), -math.log(3)))
    assert empty.sentences.shape == (0, 3)
    assert wide([]) == []
    # The summary alone: its logit is 2 as well.
    np.savez(tmp_path / "wide.npz", **{**arrays, "share": np.float32(1)})
    found, _ = Wide(tmp_path / "wide.npz")([text([9, 4, 8], [0, 0, 1]), text([], [])])
    assert found.levels[0] == pytest.approx([-total, -total, 2 - total], abs=1e-6)
    assert np.exp(log_softmax(np.array([1.0, 2.0, 3.0]))).sum() == pytest.approx(1)


def test_evidence_is_averaged_over_the_pieces_that_were_read() -> None:
    logits = np.array([[1.0], [2.0], [3.0], [8.0]])
    # Two pieces of the first sentence were read, one of two of the second, none of the third; the
    # only one of the second reply's sentence.
    first = Text(np.arange(5), np.array([0, 0, 1, 1, 2]), np.array([[1.0], [4.0], [6.0]]))
    second = Text(np.arange(1), np.array([0]), np.array([[2.0]]))
    found = blended(logits, [first, second], np.array([3, 1]))
    assert found == pytest.approx(np.array([[1.75], [4.0], [3.0], [5.0]]))


def test_the_words_agree_with_scikit_learn(tmp_path: Path) -> None:
    replies = made(REPLIES)
    fitted = fit_wide(replies)
    # Every word here is one piece, so that words and pieces are the same features.
    words = [(["<", *text.split(), ">"]) for text, _ in REPLIES]

    def analyser(edged: list[str]) -> list[str]:
        own = edged[1:-1]
        pairs = [f"{a} {b}" for a, b in pairwise(edged)]
        return own + pairs + [f"{a} _ {b}" for a, b in zip(own, own[2:], strict=False)]

    vectorizer = TfidfVectorizer(analyzer=analyser, min_df=2, sublinear_tf=True)
    rows = vectorizer.fit_transform(words)
    model = LogisticRegression(C=WORDS_C, max_iter=400).fit(rows, [n for _, n in REPLIES])
    assert len(fitted.table.keys) == rows.shape[1]
    assert np.sort(fitted.weights[:, 2]) == pytest.approx(np.sort(model.coef_[2]), abs=1e-3)
    assert fitted.bias[:3] == pytest.approx(model.intercept_, abs=1e-3)


def test_sentences_are_taught_by_their_marks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("train.scoring.wide.FOLDS", 2)
    monkeypatch.setattr("train.scoring.wide.INNER", 2)
    replies = made([(f"{a}. {b}? ok", n) for a, n in REPLIES for b, _ in REPLIES[4:]])
    fitted = fit_wide(replies)
    write_wide(tmp_path / "wide.npz", fitted)
    told = list(opinions(tmp_path / "wide.npz", fitted, replies))
    marks = np.concatenate([reply.marks for reply in replies])
    logits = np.concatenate([opinion.sentences for opinion in told])
    assert logits[marks].min() > logits[~marks].max() + 1
    assert np.exp([opinion.levels for opinion in told]).sum(2) == pytest.approx(1)
    found = cross_validated(replies)
    right = (found.argmax(-1) == [reply.levels for reply in replies]).mean()
    # The commonest level is half of them.
    assert right > 0.8


def test_another_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "wide.npz").write_bytes(b"PK nonsense")
    with pytest.raises(ScorerError, match=r"wide\.npz"):
        Wide(tmp_path / "wide.npz")
