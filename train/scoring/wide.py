"""Fits the linear model beside the encoder: see `empo/scoring/wide.py` for what it is."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy.sparse import csr_matrix
from sklearn.linear_model import LogisticRegression
from tokenizers import Tokenizer

from empo.scoring.wide import LEVELS, features
from empo.types import MECHANISMS
from train.scoring.data import Pair

# In fewer replies a feature is chance.
SEEN = 2
# The inverse strength of the L2 penalty, by validation likelihood.
C = 16.0


def fit_wide(tokenizer: Tokenizer, pairs: Sequence[Pair], path: Path) -> None:
    """Fit the linear model to `pairs` and write it to `path`."""
    tokenizer.no_truncation()
    encodings = tokenizer.encode_batch([p.reply for p in pairs], add_special_tokens=False)
    counts = [features(encoding.ids) for encoding in encodings]
    seen = Counter(key for own in counts for key in own)
    keys = sorted(key for key, n in seen.items() if n >= SEEN)
    # Smoothed, as scikit-learn has it: ln((1 + n) / (1 + df)) + 1.
    idf = np.array([math.log((1 + len(pairs)) / (1 + seen[key])) + 1 for key in keys])
    rows = _rows(counts, {key: i for i, key in enumerate(keys)}, idf)
    weights, bias = [], []
    for i, _ in enumerate(MECHANISMS):
        labels = [pair.levels[i] for pair in pairs]
        model = LogisticRegression(C=C, max_iter=400).fit(rows, labels)
        assert list(model.classes_) == list(range(LEVELS))
        weights.append(model.coef_.T)
        bias.append(model.intercept_)
    _write(path, keys, idf, np.hstack(weights), np.hstack(bias))


def _rows(counts: Sequence[Counter], index: dict[int, int], idf: np.ndarray) -> csr_matrix:
    """TF-IDF rows of length 1."""
    data, columns, ends = [], [], [0]
    for own in counts:
        known = [(index[key], n) for key, n in own.items() if key in index]
        places = np.array([place for place, _ in known], np.int64)
        values = np.array([1 + math.log(n) for _, n in known]) * idf[places]
        data.append(values / max(np.linalg.norm(values), 1e-9))
        columns.append(places)
        ends.append(ends[-1] + len(known))
    shape = (len(counts), len(index))
    return csr_matrix((np.concatenate(data), np.concatenate(columns), ends), shape)


def _write(
    path: Path, keys: Sequence[int], idf: np.ndarray, weights: np.ndarray, bias: np.ndarray
) -> None:
    scales = np.abs(weights).max(0) / 127
    np.savez_compressed(
        path,
        keys=np.array(keys, np.uint32),
        idf=idf.astype(np.float16),
        weights=(weights / scales).round().astype(np.int8),
        scales=scales.astype(np.float32),
        bias=bias.astype(np.float32),
    )
