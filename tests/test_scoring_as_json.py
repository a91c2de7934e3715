"""Scores as JSON: exactly the documented keys, null for what was not measured."""

from __future__ import annotations

import json

from empo.scoring.as_json import scores_json
from empo.types import EmotionGuess, MechanismScore, Scores, Vad, Valence


def test_a_full_score() -> None:
    reaction = MechanismScore(2, (0.1, 0.2, 0.7), ((0, 5), (9, 12)))
    scores = Scores(
        reaction,
        None,
        MechanismScore(0, (0.9, 0.1, 0.0)),
        Valence(0.5, Vad(0.9, 0.4, 0.6, 0.25)),
        (EmotionGuess("sad", 0.75), EmotionGuess("lonely", 0.125)),
    )
    assert json.loads(json.dumps(scores_json(scores))) == {
        "emotional_reaction": {
            "level": 2,
            "probabilities": [0.1, 0.2, 0.7],
            "rationale": [[0, 5], [9, 12]],
        },
        "interpretation": None,
        "exploration": {"level": 0, "probabilities": [0.9, 0.1, 0.0], "rationale": []},
        "valence": {
            "vader": 0.5,
            "vad": {"valence": 0.9, "arousal": 0.4, "dominance": 0.6, "unknown": 0.25},
        },
        "emotion": [
            {"name": "sad", "probability": 0.75},
            {"name": "lonely", "probability": 0.125},
        ],
    }
    # .2 + 2 * .7
    assert abs(reaction.expected - 1.6) < 1e-9


def test_nothing_measured_is_null_and_out_of_scope_is_said() -> None:
    found = scores_json(Scores(out_of_scope=True))
    assert found == {
        "emotional_reaction": None,
        "interpretation": None,
        "exploration": None,
        "valence": {"vader": None, "vad": None},
        "emotion": [],
        "out_of_scope": True,
    }
