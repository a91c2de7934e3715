"""Scores as JSON values, the same wherever they are written: command line, export, reports."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from empo.types import MECHANISMS, MechanismScore, Scores, Valence


def scores_json(scores: Scores) -> dict[str, Any]:
    """`scores` as plain values; `null` is *not measured*, spans are characters of the reply."""
    written: dict[str, Any] = {name: _mechanism_json(scores.mechanism(name)) for name in MECHANISMS}
    written["valence"] = valence_json(scores.valence or Valence())
    written["emotion"] = [asdict(guess) for guess in scores.emotion]
    if scores.out_of_scope:
        written["out_of_scope"] = True
    return written


def valence_json(valence: Valence) -> dict[str, Any]:
    """`{"vader": …, "vad": {"valence", "arousal", "dominance", "unknown"}}`, each may be null."""
    return asdict(valence)


def _mechanism_json(score: MechanismScore | None) -> dict[str, Any] | None:
    if score is None:
        return None
    return {
        "level": score.level,
        "probabilities": list(score.probabilities),
        "rationale": [list(span) for span in score.rationale],
    }
