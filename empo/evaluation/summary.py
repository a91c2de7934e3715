"""From columns to the numbers of a report: value, 95 % interval, and over how many replies.

A number is `{"value", "low", "high", "n"}`; what was not measured has value None and says why.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from empo.data.replies import MECHANISM_KEYS
from empo.evaluation.measure import (
    INTENSITY_PARTS,
    OTHER_ENCODER,
    VAD_PARTS,
    Columns,
)
from empo.metrics.bootstrap import mean_interval, quantiles
from empo.metrics.distinct import distinct, distinct_interval
from empo.metrics.kappa import cells, quadratic_kappa

Number = dict[str, Any]
Metrics = dict[str, Any]
ORDERS = (1, 2, 3)
WHY = "No reply gives a value."
PARTS: dict[str, tuple[str, ...]] = {
    "diff_epitome": (*MECHANISM_KEYS, "mean"),
    "level": MECHANISM_KEYS,
    "vad": (*VAD_PARTS, *INTENSITY_PARTS),
}
SINGLE: dict[str, tuple[str, ...]] = {
    "self_bleu_4": ("self_bleu_4",),
    "nidf": ("nidf",),
    "vader": ("vader", "vader_measured"),
    "words": ("words",),
    "repetition": ("repetition",),
    "bertscore_f1": ("bertscore_f1", OTHER_ENCODER),
    "pair_accuracy": ("pair_accuracy",),
}
"""Metric → the keys that it fills, each from the column of the same name."""


def number(value: float, edges: tuple[float, float] | None, n: int) -> Number:
    """A measured number, with what its interval is where there is one."""
    low, high = edges or (None, None)
    return {"value": value, "low": low, "high": high, "n": n}


def missing(why: str) -> Number:
    """A number that was not measured, and why."""
    return {"value": None, "low": None, "high": None, "n": 0, "why": why}


def mean(values: np.ndarray | None, drawn: np.ndarray, why: str = WHY) -> Number:
    """The mean of a column, nan left out."""
    if values is None or np.isnan(values).all():
        return missing(why)
    known = values[~np.isnan(values)]
    return number(float(known.mean()), mean_interval(values, drawn), len(known))


def summarise(
    columns: Columns,
    replies: Sequence[str | None],
    human_levels: np.ndarray,
    metrics: Sequence[str],
    drawn: np.ndarray,
    why: Mapping[str, str],
    without: Mapping[str, str] | None = None,
) -> Metrics:
    """The METRICS of one system.

    `why` gives reasons by metric, or by metric.part; `without` are metrics that mean nothing for
    this system, and why.
    """
    found: Metrics = {}
    if without:
        why = {**why, **without}
        columns = {k: v for k, v in columns.items() if k.split(".")[0] not in without}
    for metric in metrics:
        reason = why.get(metric, WHY)
        if metric in PARTS:
            found[metric] = {
                part: mean(
                    columns.get(f"{metric}.{part}"), drawn, why.get(f"{metric}.{part}", reason)
                )
                for part in PARTS[metric]
            }
        elif metric == "kappa":
            found[metric] = _kappa(
                {} if metric in (without or ()) else columns, human_levels, drawn, reason
            )
        elif metric == "distinct":
            found[metric] = _distinct(replies, why.get(metric, "No reply has so many words."))
        elif metric == "perplexity":
            found[metric] = _perplexity(columns, drawn, reason)
        else:
            for key in SINGLE[metric]:
                # The embedded encoder's figure has a key only where it was measured.
                if key == metric or key in columns or key == "vader_measured":
                    found[key] = mean(columns.get(key), drawn, reason)
    return found


def _kappa(columns: Columns, human: np.ndarray, drawn: np.ndarray, why: str) -> Metrics:
    found: Metrics = {}
    for i, key in enumerate(MECHANISM_KEYS):
        levels = columns.get(f"level.{key}")
        if levels is None or np.isnan(levels + human[:, i]).all():
            found[key] = missing(why)
            continue
        own = cells(levels, human[:, i])
        value = float(quadratic_kappa(own.sum(0)))
        if math.isnan(value):
            found[key] = missing("One of both lists of levels is constant.")
        else:
            edges = quantiles(quadratic_kappa(drawn @ own))
            found[key] = number(value, edges, int(own.sum()))
    return found


def _distinct(replies: Sequence[str | None], why: str) -> Metrics:
    texts = [reply for reply in replies if reply is not None]
    found: Metrics = {}
    for n in ORDERS:
        value = distinct(texts, n)
        found[str(n)] = (
            missing(why)
            if value is None
            else number(value, distinct_interval(texts, n), len(texts))
        )
    return found


def _perplexity(columns: Columns, drawn: np.ndarray, why: str) -> Number:
    nats, tokens = columns.get("perplexity.nats"), columns.get("perplexity.tokens")
    if nats is None or tokens is None or not tokens.sum():
        return missing(why)
    with np.errstate(invalid="ignore"):
        edges = quantiles(np.exp((drawn @ nats) / (drawn @ tokens)))
    return number(math.exp(nats.sum() / tokens.sum()), edges, int((tokens > 0).sum()))
