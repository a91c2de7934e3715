"""The linear model over words and word pairs: features by hand, agreement with scikit-learn."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from tokenizers import Tokenizer

from empo.scoring.card import ScorerError
from empo.scoring.scorer import EMBEDDED
from empo.scoring.wide import PAIR, Wide, features, log_softmax
from train.scoring.data import Pair
from train.scoring.wide import C, fit_wide

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


def test_features_by_hand() -> None:
    found = features([5, 7, 5, 7])
    assert found == {5: 2, 7: 2, 6 * PAIR + 7: 2, 8 * PAIR + 5: 1}
    assert features([]) == {}


def test_one_feature_by_hand(tmp_path: Path) -> None:
    weights = np.zeros((1, 9), np.int8)
    weights[0, 2] = 127
    arrays = {
        "keys": np.array([4], np.uint32),
        "idf": np.array([3.0], np.float16),
        "weights": weights,
        "scales": np.full(9, 2 / 127, np.float32),
        "bias": np.zeros(9, np.float32),
    }
    np.savez(tmp_path / "wide.npz", **arrays)
    wide = Wide(tmp_path / "wide.npz")
    # A single known feature has length 1: the third logit is 2, the others 0.
    total = math.log(2 + math.exp(2))
    assert wide([9, 4, 8])[0] == pytest.approx([-total, -total, 2 - total], abs=1e-6)
    assert wide([9, 8]) == pytest.approx(np.full((3, 3), -math.log(3)))
    assert wide([]) == pytest.approx(np.full((3, 3), -math.log(3)))
    assert np.exp(log_softmax(np.array([1.0, 2.0, 3.0]))).sum() == pytest.approx(1)


def test_it_agrees_with_scikit_learn(tmp_path: Path) -> None:
    tokenizer = Tokenizer.from_file(str(EMBEDDED / "tokenizer.json"))
    pairs = [Pair("", text, (level,) * 3, ((),) * 3) for text, level in REPLIES]
    fit_wide(tokenizer, pairs, tmp_path / "wide.npz")
    wide = Wide(tmp_path / "wide.npz")
    texts = [text for text, _ in REPLIES]
    # Every word here is one piece, so that words and pieces are the same features.
    vectorizer = TfidfVectorizer(
        ngram_range=(1, 2), min_df=2, sublinear_tf=True, token_pattern=r"\S+"
    )
    model = LogisticRegression(C=C, max_iter=400)
    model.fit(vectorizer.fit_transform(texts), [level for _, level in REPLIES])
    for text in [*texts, "so so so sorry he is old"]:
        ids = tokenizer.encode(text, add_special_tokens=False).ids
        assert len(ids) == len(text.split())
        expected = model.predict_log_proba(vectorizer.transform([text]))[0]
        # The shipped weights are 8-bit numbers.
        assert wide(ids)[0] == pytest.approx(expected, abs=0.05)


def test_another_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "wide.npz").write_bytes(b"PK nonsense")
    with pytest.raises(ScorerError, match=r"wide\.npz"):
        Wide(tmp_path / "wide.npz")
