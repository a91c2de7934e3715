"""The scorer's figures on data it has not seen, each with a 95 % bootstrap interval and anchors.

Everything is measured on what is shipped: the scorer in its folder, through its public methods.
"""

from __future__ import annotations

import csv
import gzip
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from empo.scoring.embedded import EmbeddedScorer
from empo.scoring.rationale import spans
from empo.scoring.valence import ValenceMeter
from empo.types import MECHANISMS, Mechanism
from train.scoring.data import COLUMNS, Pair, read_emotions, read_epitome
from train.scoring.rationales import first_sentence, iou_f1, token_f1, whole_reply

DRAWS = 2000
RECORDED = "recorded_replies_dpo_d270.csv.gz"
# Accuracy and macro-F1 on the same 302 rows: always the most frequent level; TF-IDF and logistic
# regression; RoBERTa-base adapters of the EmPO authors.
ANCHORS: dict[Mechanism, dict[str, tuple[float, float]]] = {
    "emotional_reaction": {
        "majority": (0.666, 0.266),
        "tfidf": (0.778, 0.699),
        "roberta": (0.851, 0.824),
    },
    "interpretation": {
        "majority": (0.520, 0.228),
        "tfidf": (0.778, 0.529),
        "roberta": (0.825, 0.632),
    },
    "exploration": {
        "majority": (0.841, 0.305),
        "tfidf": (0.878, 0.656),
        "roberta": (0.937, 0.792),
    },
}
# TF-IDF and logistic regression, situations of ED's test split: top-1 and top-5.
EMOTION_ANCHOR = (0.45, 0.782)
Statistic = Callable[[np.ndarray], float]


def figures(folder: Path, data: Path) -> dict[str, Any]:
    """All figures of the scorer in `folder` on the test files in `data`, as plain values."""
    scorer = EmbeddedScorer(folder, ValenceMeter())
    found: dict[str, Any] = {
        "epitome_test": epitome(scorer, read_epitome(data, "test")),
        "ed_test": {},
    }
    texts = ("situations", "first_utterances")
    for name, rows in zip(texts, read_emotions(data, "test"), strict=True):
        guesses = scorer.score_emotions([row.text for row in rows])
        names = [scorer.card.emotions[row.emotion] for row in rows]
        found["ed_test"][name] = emotions(guesses, names)
    found["recorded"] = in_domain(scorer, data / RECORDED)
    return found


def epitome(scorer: EmbeddedScorer, pairs: Sequence[Pair]) -> dict[str, Any]:
    """Levels and rationales of `pairs`, per mechanism."""
    scores = scorer.score([(pair.post, pair.reply) for pair in pairs])
    found = {}
    for i, name in enumerate(MECHANISMS):
        true = np.array([pair.levels[i] for pair in pairs])
        own = [score.mechanism(name) for score in scores]
        given = np.array([score.level if score else 0 for score in own])
        chances = np.array([score.probabilities if score else (1, 0, 0) for score in own])
        found[name] = {
            **levels(true, given),
            "calibration_error": calibration_error(true, chances),
            "anchors": ANCHORS[name],
            "rationales": _rationales(scorer, pairs, i, [s.rationale if s else () for s in own]),
        }
    return found


def levels(true: np.ndarray, given: np.ndarray) -> dict[str, Any]:
    """Accuracy, macro-F1 and quadratic kappa with intervals; counts and recall per level."""
    return {
        "accuracy": interval(lambda i: float((true[i] == given[i]).mean()), len(true)),
        "macro_f1": interval(lambda i: macro_f1(true[i], given[i]), len(true)),
        "kappa": interval(lambda i: quadratic_kappa(true[i], given[i]), len(true)),
        "counts": [int((true == level).sum()) for level in range(3)],
        "recall": [
            float((given[true == level] == level).mean()) if (true == level).any() else None
            for level in range(3)
        ],
    }


def macro_f1(true: np.ndarray, given: np.ndarray) -> float:
    """The mean over levels 0..2 of F1; a level that is in neither array is left out."""
    scores = []
    for level in range(3):
        shared = ((true == level) & (given == level)).sum()
        total = (true == level).sum() + (given == level).sum()
        if total:
            scores.append(2 * shared / total)
    return float(np.mean(scores))


def quadratic_kappa(a: np.ndarray, b: np.ndarray) -> float:
    """Cohen's kappa with squared distances (Cohen 1968); 1 where both are one constant."""
    observed = ((a - b) ** 2).mean()
    expected = ((a[:, None] - np.arange(3)) ** 2).mean(0) @ (np.bincount(b, minlength=3) / len(b))
    return float(1 - observed / expected) if expected else 1.0


def calibration_error(true: np.ndarray, chances: np.ndarray, bins: int = 10) -> float:
    """Expected calibration error (Guo et al. 2017) of the likeliest level, equal-width bins."""
    best, right = chances.max(1), chances.argmax(1) == true
    place = np.minimum((best * bins).astype(int), bins - 1)
    gaps = (
        abs(right[place == b].mean() - best[place == b].mean()) * (place == b).mean()
        for b in range(bins)
        if (place == b).any()
    )
    return float(sum(gaps))


def interval(statistic: Statistic, n: int, seed: int = 0) -> list[float]:
    """[value, low, high]: `statistic` of all indices 0..n-1, and its 95 % bootstrap interval."""
    rng = np.random.default_rng(seed)
    draws = [statistic(rng.integers(0, n, n)) for _ in range(DRAWS)]
    low, high = np.quantile(draws, [0.025, 0.975])
    return [round(float(value), 4) for value in (statistic(np.arange(n)), low, high)]


def _rationales(
    scorer: EmbeddedScorer, pairs: Sequence[Pair], i: int, shipped: Sequence[tuple]
) -> dict[str, Any]:
    """Agreement on replies that have a true rationale.

    `shipped` shows none where the level is 0; `head` is the rationale head alone, which, as the
    baselines do, takes it as known that there is one.
    """
    chosen = [n for n, pair in enumerate(pairs) if pair.rationales[i]]
    texts = [pairs[n].reply for n in chosen]
    true = [pairs[n].rationales[i] for n in chosen]
    reading = scorer.card.mechanisms[MECHANISMS[i]].reading
    marks = scorer.marks([(pairs[n].post, pairs[n].reply) for n in chosen])
    ways = {
        "shipped": [shipped[n] for n in chosen],
        "head": [
            spans(text, offsets, own[:, i], reading)
            for text, (offsets, own) in zip(texts, marks, strict=True)
        ],
        "whole_reply": [whole_reply(text) for text in texts],
        "first_sentence": [first_sentence(text) for text in texts],
    }
    found: dict[str, Any] = {"replies": len(chosen)}
    for way, given in ways.items():
        rows = list(zip(texts, true, given, strict=True))
        single = np.array([token_f1(*row) for row in rows])
        found[way] = {
            "token_f1": interval(lambda k, single=single: float(single[k].mean()), len(rows)),
            "iou_f1": round(iou_f1(rows), 4),
        }
    return found


def emotions(guesses: Sequence[tuple], names: Sequence[str]) -> dict[str, Any]:
    """Top-1 and top-5 accuracy with intervals."""
    ranked = [[guess.name for guess in own] for own in guesses]
    first = np.array([own[:1] == [name] for own, name in zip(ranked, names, strict=True)])
    five = np.array([name in own for own, name in zip(ranked, names, strict=True)])
    return {
        "texts": len(names),
        "top_1": interval(lambda i: float(first[i].mean()), len(names)),
        "top_5": interval(lambda i: float(five[i].mean()), len(names)),
        "anchors": {"tfidf": EMOTION_ANCHOR},
    }


def in_domain(scorer: EmbeddedScorer, path: Path) -> dict[str, Any]:
    """Agreement with the levels that the original scorer gave the recorded replies."""
    csv.field_size_limit(sys.maxsize)
    with gzip.open(path, "rt", encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines, delimiter="~"))
    found: dict[str, Any] = {"rows": len(rows)}
    for who, text, prefix in (("model", "gens", "pred"), ("human", "gen_targets", "gt")):
        scores = scorer.score([(row["prevs"], row[text]) for row in rows])
        found[who] = {}
        for name in MECHANISMS:
            column = f"{prefix}_{COLUMNS[name]}_scores"
            stored = np.array([round(float(row[column])) for row in rows])
            own = [score.mechanism(name) for score in scores]
            given = np.array([score.level if score else 0 for score in own])
            found[who][name] = agreement(stored, given)
    return found


def agreement(stored: np.ndarray, given: np.ndarray) -> dict[str, Any]:
    """Quadratic kappa with its interval, the share of equal levels, and both means."""
    return {
        "kappa": interval(lambda i: quadratic_kappa(stored[i], given[i]), len(stored)),
        "agreement": round(float((stored == given).mean()), 4),
        "mean_stored": round(float(stored.mean()), 4),
        "mean_given": round(float(given.mean()), 4),
    }


def as_table(found: dict[str, Any]) -> str:
    """The figures as Markdown tables, as in the model card."""
    lines = ["| EPITOME test | accuracy | macro-F1 | quadratic kappa | recall 0 / 1 / 2 | ECE |"]
    lines.append("|---|---|---|---|---|---|")
    for name, own in found["epitome_test"].items():
        recall = " / ".join("–" if r is None else f"{r:.2f}" for r in own["recall"])
        three = " | ".join(_shown(own[key]) for key in ("accuracy", "macro_f1", "kappa"))
        lines.append(f"| {name} | {three} | {recall} | {own['calibration_error']:.3f} |")
        for anchor, (accuracy, f1) in own["anchors"].items():
            lines.append(f"| – {anchor} | {accuracy:.3f} | {f1:.3f} | | | |")
    lines += ["", "| Rationales | replies | way | token-F1 | IOU-F1 |", "|---|---|---|---|---|"]
    for name, own in found["epitome_test"].items():
        for way in ("shipped", "head", "whole_reply", "first_sentence"):
            score = own["rationales"][way]
            cells = (name, own["rationales"]["replies"], way.replace("_", " "))
            cells += (_shown(score["token_f1"]), f"{score['iou_f1']:.3f}")
            lines.append("| " + " | ".join(map(str, cells)) + " |")
    lines += ["", "| Emotions, ED test | texts | top-1 | top-5 |", "|---|---|---|---|"]
    for name, own in found["ed_test"].items():
        cells = (name.replace("_", " "), own["texts"], _shown(own["top_1"]), _shown(own["top_5"]))
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    lines.append(f"| – tfidf, situations | | {EMOTION_ANCHOR[0]:.3f} | {EMOTION_ANCHOR[1]:.3f} |")
    lines += ["", "| Recorded replies | who | kappa | agreement | mean stored | mean here |"]
    lines.append("|---|---|---|---|---|---|")
    for who in ("model", "human"):
        for name, own in found["recorded"][who].items():
            means = (own["agreement"], own["mean_stored"], own["mean_given"])
            cells = (name, who, _shown(own["kappa"]), *(f"{value:.3f}" for value in means))
            lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _shown(value: Sequence[float]) -> str:
    middle, low, high = value
    return f"{middle:.3f} ({low:.3f}–{high:.3f})"
