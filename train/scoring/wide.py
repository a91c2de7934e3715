"""Fits the linear models beside the encoder: see `empo/scoring/wide.py` for what they are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_matrix
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from sklearn.preprocessing import StandardScaler

from empo.scoring.sentences import summaries
from empo.scoring.wide import LEVELS, Opinion, Rows, Text, Wide, features
from train.scoring.replies import Reply

# In fewer replies a feature is chance.
SEEN = 2
# The inverse strengths of the L2 penalties, and the weight of the summary beside the words, by
# five-fold cross-validation over EPITOME's training and validation pairs.
WORDS_C, SENTENCES_C, EVIDENCE_C, SUMMARY_C = 16.0, 4.0, 0.003, 0.3
SHARE = 0.7
FOLDS, INNER = 5, 4


class Table(NamedTuple):
    """The features that are known: `keys` (F) sorted, and their inverse document frequencies."""

    keys: np.ndarray
    idf: np.ndarray


class Fitted(NamedTuple):
    """All models; `evidence` (mechanisms, H + 1) is for the network, the bias last."""

    table: Table
    weights: np.ndarray
    bias: np.ndarray
    summary: np.ndarray
    evidence: np.ndarray


class Sentences(NamedTuple):
    """The sentences of many replies: `reply` (S) their numbers, features, states, marks."""

    reply: np.ndarray
    rows: csr_matrix
    states: np.ndarray
    marks: np.ndarray


def fit_wide(replies: Sequence[Reply]) -> Fitted:
    """The linear models of `replies`."""
    rows = features([reply.ids for reply in replies])
    table = _table(rows, len(replies))
    words = [
        LogisticRegression(C=WORDS_C, max_iter=400).fit(_matrix(rows, table, len(replies)), labels)
        for labels in np.array([reply.levels for reply in replies]).T
    ]
    assert all(list(model.classes_) == list(range(LEVELS)) for model in words)
    sentences = _sentences(replies, table)
    everyone = np.ones(len(sentences.reply), bool)
    spoken, heard = zip(*_taught(sentences, everyone), strict=True)
    weights = np.hstack([*(m.coef_.T for m in words), *(w[:-1, None] for w in spoken)])
    bias = np.concatenate([*(m.intercept_ for m in words), [w[-1] for w in spoken]])
    return Fitted(table, weights, bias, _summary(replies, sentences), np.stack(heard))


def write_wide(path: Path, fitted: Fitted) -> None:
    """Save the models as `empo.scoring.wide.Wide` reads them."""
    scales = np.maximum(np.abs(fitted.weights).max(0), 1e-9) / 127
    np.savez_compressed(
        path,
        keys=fitted.table.keys.astype(np.uint32),
        idf=fitted.table.idf.astype(np.float16),
        weights=(fitted.weights / scales).round().astype(np.int8),
        scales=scales.astype(np.float32),
        bias=fitted.bias.astype(np.float32),
        summary=fitted.summary.astype(np.float32),
        share=np.float32(SHARE),
    )


def opinions(path: Path, fitted: Fitted, replies: Sequence[Reply]) -> Iterator[Opinion]:
    """What the models in `path` say of `replies`, with `fitted`'s evidence."""
    wide = Wide(path)
    for reply in replies:
        means = reply.states @ fitted.evidence[:, :-1].T + fitted.evidence[:, -1]
        # A sentence's mean for each of its pieces; unread ones are the last.
        evidence = means[reply.owners]
        yield from wide([Text(reply.ids, reply.owners, evidence[~np.isnan(evidence[:, 0])])])


def cross_validated(replies: Sequence[Reply], seed: int = 0) -> np.ndarray:
    """Log-probabilities (N, mechanisms, 3) of each reply by models that have not seen it."""
    levels = np.array([reply.levels for reply in replies])
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=seed)
    found = np.zeros((*levels.shape, LEVELS))
    with TemporaryDirectory() as folder:
        path = Path(folder) / "wide.npz"
        for train, test in folds.split(levels, (levels > 0) @ [1, 2, 4]):
            fitted = fit_wide([replies[n] for n in train])
            write_wide(path, fitted)
            told = opinions(path, fitted, [replies[n] for n in test])
            found[test] = [opinion.levels for opinion in told]
    return found


def _table(rows: Rows, replies: int) -> Table:
    """The features in at least SEEN replies, with the smoothed frequencies of scikit-learn."""
    keys, seen = np.unique(rows.key, return_counts=True)
    idf = np.log((1 + replies) / (1 + seen)) + 1
    return Table(keys[seen >= SEEN], idf[seen >= SEEN])


def _matrix(rows: Rows, table: Table, texts: int) -> csr_matrix:
    """TF-IDF rows (texts, F) of length 1."""
    places = np.searchsorted(table.keys, rows.key)
    known = table.keys[np.minimum(places, len(table.keys) - 1)] == rows.key
    text, places = rows.text[known], places[known]
    values = (1 + np.log(rows.count[known])) * table.idf[places]
    norms = np.sqrt(np.bincount(text, values**2, texts))
    return csr_matrix((values / norms[text], (text, places)), (texts, len(table.keys)))


def _sentences(replies: Sequence[Reply], table: Table) -> Sentences:
    parts = [part for reply in replies for part in reply.sentences()]
    return Sentences(
        np.repeat(np.arange(len(replies)), [len(reply.marks) for reply in replies]),
        _matrix(features(parts), table, len(parts)),
        np.concatenate([reply.states for reply in replies]),
        np.concatenate([reply.marks for reply in replies]),
    )


def _taught(sentences: Sentences, chosen: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """For each mechanism, weights with the bias last: of the features (F + 1), of states (H + 1).

    Fitted to the `chosen` (S) sentences.
    """
    read = chosen & ~np.isnan(sentences.states[:, 0])
    scaler = StandardScaler().fit(sentences.states[read])
    states = scaler.transform(sentences.states[read])
    found = []
    for marks in sentences.marks.T:
        said = LogisticRegression(C=SENTENCES_C, max_iter=200, tol=1e-3)
        said.fit(sentences.rows[chosen], marks[chosen])
        seen = LogisticRegression(C=EVIDENCE_C, max_iter=100, tol=1e-3).fit(states, marks[read])
        weight = seen.coef_[0] / scaler.scale_
        start = seen.intercept_[0] - weight @ scaler.mean_
        found.append((np.append(said.coef_[0], said.intercept_), np.append(weight, start)))
    return found


def _summary(replies: Sequence[Reply], sentences: Sentences) -> np.ndarray:
    """The summary's weights (mechanisms, features + 1, 3), the bias last.

    Fitted to logits of sentences by models that have not seen their replies.
    """
    parts = np.random.default_rng(0).permutation(len(replies)) % INNER
    logits = np.zeros(sentences.marks.shape)
    for part in range(INNER):
        own = parts[sentences.reply] == part
        for i, (said, seen) in enumerate(_taught(sentences, ~own)):
            spoken = sentences.rows[own] @ said[:-1] + said[-1]
            heard = sentences.states[own] @ seen[:-1] + seen[-1]
            logits[own, i] = np.where(np.isnan(heard), spoken, (spoken + heard) / 2)
    lengths = np.concatenate([reply.lengths for reply in replies])
    told = summaries(logits, lengths, np.array([len(reply.lengths) for reply in replies]))
    scaler = StandardScaler().fit(told)
    found = []
    for labels in np.array([reply.levels for reply in replies]).T:
        model = LogisticRegression(C=SUMMARY_C, max_iter=500).fit(scaler.transform(told), labels)
        weight = model.coef_ / scaler.scale_
        found.append(np.vstack([weight.T, model.intercept_ - weight @ scaler.mean_]))
    return np.stack(found)
