"""Which differences between systems, and between systems and baselines, chance does not explain.

For every metric that has one number a reply: the mean difference over the dialogues that both
answered, its 95 % interval (the same draws of dialogues for all), the p-value of a paired sign-flip
test, and that p-value after Holm's correction over all comparisons of the same metric.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations, groupby
from typing import Any

import numpy as np

from empo.evaluation.baselines import MATCHED
from empo.evaluation.measure import OTHER_ENCODER, Columns
from empo.evaluation.summary import mean
from empo.metrics.significance import holm, sign_flip

COMPARED = (
    *(f"diff_epitome.{key}" for key in ("ip", "ex", "er", "mean")),
    *(f"level.{key}" for key in ("ip", "ex", "er")),
    "self_bleu_4",
    *(f"vad.{kind}_{axis}" for kind in ("diff_max", "mean_abs") for axis in "vad"),
    "nidf",
    "vader",
    "words",
    "repetition",
    "bertscore_f1",
    OTHER_ENCODER,
    "perplexity",
    "pair_accuracy",
)


def compare(
    systems: dict[str, Columns],
    others: dict[str, Columns],
    drawn: np.ndarray,
    seed: int,
) -> list[dict[str, Any]]:
    """Each pair of `systems`, and each system with each of the baselines `others` (its own only,
    where a baseline is matched to one system).

    Perplexity is compared by the mean −log p a token of each dialogue.
    """
    pairs = [(a, b, systems[a], systems[b]) for a, b in combinations(systems, 2)]
    pairs += [
        (a, b, systems[a], others[b])
        for a in systems
        for b in others
        if not b.startswith(MATCHED) or b == MATCHED + a
    ]
    rows: list[dict[str, Any]] = []
    differences: list[np.ndarray] = []
    for metric in COMPARED:
        for a, b, first, second in pairs:
            left, right = _column(first, metric), _column(second, metric)
            if left is None or right is None or np.isnan(left - right).all():
                continue
            rows.append({"a": a, "b": b, "metric": metric})
            differences.append(left - right)
    if not rows:
        return []
    # All at once: flipping signs takes longer than adding up what they are flipped of.
    values = sign_flip(np.stack(differences, 1), seed).tolist()
    adjusted = _by_metric(rows, values)
    for row, apart, p, corrected in zip(rows, differences, values, adjusted, strict=True):
        row["difference"] = mean(apart, drawn)
        row["p"], row["p_holm"] = p, corrected
    return rows


def _by_metric(rows: Sequence[dict[str, Any]], values: Sequence[float]) -> list[float]:
    """The p-values after Holm's correction over the comparisons of the same metric."""
    found: list[float] = []
    for _, group in groupby(zip(rows, values, strict=True), key=lambda pair: pair[0]["metric"]):
        found += holm([value for _, value in group])
    return found


def _column(columns: Columns, metric: str) -> np.ndarray | None:
    if metric != "perplexity":
        return columns.get(metric)
    nats, tokens = columns.get("perplexity.nats"), columns.get("perplexity.tokens")
    if nats is None or tokens is None:
        return None
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(tokens > 0, nats / tokens, np.nan)
