"""Baselines for pair accuracy: scores for a reply that know nothing of language models.

Each takes contexts and replies, row by row, and gives one score a row: higher is more likely
chosen. What they reach says how much of a pair accuracy needs no understanding.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression

MIN_DOCUMENTS = 2


def length_scores(replies: Sequence[str]) -> list[float]:
    """White-space words: prefers the longer reply."""
    return [float(len(reply.split())) for reply in replies]


class Overlap:
    """Cosine of the TF-IDF vectors of reply and context (Salton & Buckley 1988).

    Document frequencies come from the texts it is fitted on; rare words are kept.
    """

    def __init__(self, texts: Sequence[str]) -> None:
        from sklearn.feature_extraction.text import TfidfVectorizer

        self.vectors: TfidfVectorizer = TfidfVectorizer(sublinear_tf=True).fit(texts)

    def scores(self, contexts: Sequence[str], replies: Sequence[str]) -> list[float]:
        """In 0..1; vectors have length 1, so the cosine is their product."""
        left, right = self.vectors.transform(contexts), self.vectors.transform(replies)
        return [float(value) for value in left.multiply(right).sum(axis=1).A1]


class EmotionFit:
    """How typical a reply is of an emotion: log P(emotion | reply) of a linear classifier.

    TF-IDF of words and word pairs, multinomial logistic regression. It is told the dialogue's
    emotion, which no language model here is.
    """

    def __init__(self, replies: Sequence[str], emotions: Sequence[str]) -> None:
        from sklearn.feature_extraction.text import TfidfVectorizer
        from sklearn.linear_model import LogisticRegression

        self.vectors: TfidfVectorizer = TfidfVectorizer(
            ngram_range=(1, 2), min_df=MIN_DOCUMENTS, sublinear_tf=True
        )
        features = self.vectors.fit_transform(replies)
        self.model: LogisticRegression = LogisticRegression(max_iter=100, tol=1e-3)
        self.model.fit(features, emotions)

    def scores(self, replies: Sequence[str], emotions: Sequence[str]) -> list[float]:
        """log P(emotion | reply), row by row; an emotion never trained on scores −inf."""
        logs = self.model.predict_log_proba(self.vectors.transform(replies))
        column = {name: i for i, name in enumerate(self.model.classes_)}
        return [
            float(row[column[emotion]]) if emotion in column else float("-inf")
            for row, emotion in zip(logs, emotions, strict=True)
        ]
