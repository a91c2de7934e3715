"""What a set of preference pairs teaches: a report as a plain dictionary that JSON can hold.

Counts are of the whole set; what costs time is measured on a sample drawn by the seed, with its
size `sample` beside it. Baselines say how often something that knows nothing of empathy would pick
the human's reply: length alone, a TF-IDF classifier that is told the emotion, word overlap with the
prompt. At 50 % it gains nothing; the further from it, the more of the set can be learnt without any
empathy. What is fitted is fitted on dialogues of another split. Intervals are 95 %, by dialogue.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

from empo.data.opposites import flips
from empo.data.preferences import last_exchange
from empo.metrics.baselines import EmotionFit, Overlap, length_scores
from empo.metrics.paired import clustered_mean, wins
from empo.scoring.scorer import Scorer
from empo.types import MECHANISMS, Dialogue, PreferencePair, Scores

SAMPLE = 500
MIN_OTHERS = 320  # dialogues that a classifier of 32 emotions needs at least
Progress = Callable[[str, float], None]
Rows = Sequence[PreferencePair]


class Baselines:
    """What is fitted once, on dialogues that the pairs are not made of."""

    def __init__(self, others: Sequence[Dialogue]) -> None:
        self.fitted_on = len(others)
        self.overlap: Overlap | None = None
        self.emotion: EmotionFit | None = None
        if len(others) >= MIN_OTHERS:
            self.overlap = Overlap([turn.text for d in others for turn in d.turns])
            replies = [last_exchange(dialogue)[1] for dialogue in others]
            self.emotion = EmotionFit(replies, [str(dialogue.emotion) for dialogue in others])


def report(
    pairs: Rows,
    baselines: Baselines,
    scorer: Scorer | None = None,
    about: dict[str, Any] | None = None,
    seed: int = 0,
    sample: int = SAMPLE,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """The report on `pairs`, with `about` (where they come from) in front.

    Counts of the whole set: `pairs`, `prompts`, `rejected_replies`, `origins` {name: n},
    `opposites` {emotion: {opposite: n}}, `flips` (share, or None). Of the sample (`sample`,
    `seed`): `words`, `valence` and each mechanism as {"chosen", "rejected", "difference": MEAN},
    mechanisms also with "levels" (replies of level 0, 1, 2); `tells` as {"length" | "emotion" |
    "overlap": MEAN}; `fitted_on` dialogues. MEAN is {"value", "low", "high", "count"}, or None,
    which is *not measured*. `progress` hears (what, share 0..1).

    Raises:
        ValueError: there is no pair.
        ScorerError: the scorer cannot run.
    """
    if not pairs:
        raise ValueError("There is no pair to report on.")
    tell = progress or (lambda text, share: None)
    drawn = draw(pairs, sample, seed)
    tell("counting", 0.0)
    found = (about or {}) | counts(pairs) | {"sample": len(drawn), "seed": seed}
    found["words"] = _compared(
        [len(p.chosen.split()) for p in drawn],
        [len(p.rejected.split()) for p in drawn],
        drawn,
        seed,
    )
    tell("baselines", 0.1)
    found["tells"] = tells(drawn, baselines, seed)
    found["fitted_on"] = baselines.fitted_on
    tell("scoring replies", 0.2)
    found |= _scored(drawn, scorer, seed, tell)
    tell("done", 1.0)
    return found


def draw(pairs: Rows, count: int, seed: int) -> Rows:
    """`count` of `pairs` drawn by `seed`, in their order; all where there are no more."""
    if count >= len(pairs):
        return pairs
    places = random.Random(seed).sample(range(len(pairs)), count)
    return [pairs[place] for place in sorted(places)]


def counts(pairs: Rows) -> dict[str, Any]:
    """What can be counted of the whole set."""
    arrows = Counter((p.emotion, p.opposite) for p in pairs if p.emotion and p.opposite)
    table: dict[str, dict[str, int]] = {}
    for (emotion, opposite), count in sorted(arrows.items()):
        table.setdefault(str(emotion), {})[str(opposite)] = count
    flipped = sum(n for (a, b), n in arrows.items() if flips(str(a), str(b)))
    return {
        "pairs": len(pairs),
        "prompts": len({(p.dialogue_id, len(p.prompt)) for p in pairs}),
        "rejected_replies": len({(p.rejected_id, p.rejected) for p in pairs}),
        "origins": dict(Counter(p.origin for p in pairs)),
        "opposites": table,
        "flips": flipped / arrows.total() if arrows else None,
    }


def _clusters(pairs: Rows) -> list[str]:
    return [pair.dialogue_id for pair in pairs]


def _mean(values: Sequence[float | None], pairs: Rows, seed: int) -> dict[str, Any] | None:
    found = clustered_mean(values, _clusters(pairs), seed)
    return asdict(found) if found else None


def _compared(
    chosen: Sequence[float | None], rejected: Sequence[float | None], pairs: Rows, seed: int
) -> dict[str, Any]:
    """Means of both sides, and of the difference where both are measured."""
    both = [
        None if c is None or r is None else c - r for c, r in zip(chosen, rejected, strict=True)
    ]
    sides = {
        name: (clustered_mean(values, _clusters(pairs), seed))
        for name, values in (("chosen", chosen), ("rejected", rejected))
    }
    means = {name: mean.value if mean else None for name, mean in sides.items()}
    return means | {"difference": _mean(both, pairs, seed)}


def tells(pairs: Rows, baselines: Baselines, seed: int) -> dict[str, Any]:
    """How often each baseline picks the chosen reply; a tie counts half."""
    chosen, rejected = [p.chosen for p in pairs], [p.rejected for p in pairs]
    found: dict[str, Any] = {
        "length": _mean(wins(length_scores(chosen), length_scores(rejected)), pairs, seed),
        "emotion": None,
        "overlap": None,
    }
    if baselines.overlap:
        contexts = [" ".join(turn.text for turn in pair.prompt) for pair in pairs]
        score = baselines.overlap.scores
        found["overlap"] = _mean(
            wins(score(contexts, chosen), score(contexts, rejected)), pairs, seed
        )
    told = [pair for pair in pairs if pair.emotion]
    if baselines.emotion and told:
        names, fit = [str(pair.emotion) for pair in told], baselines.emotion
        better, worse = (
            fit.scores([getattr(pair, side) for pair in told], names)
            for side in ("chosen", "rejected")
        )
        found["emotion"] = _mean(wins(better, worse), told, seed)
    return found


def _scored(pairs: Rows, scorer: Scorer | None, seed: int, tell: Progress) -> dict[str, Any]:
    """Valence and the mechanisms' levels of both sides; None for all without a scorer."""
    if scorer is None:
        return dict.fromkeys(("valence", *MECHANISMS))
    chosen = _scores(scorer, pairs, "chosen", lambda share: tell("scoring", 0.2 + 0.4 * share))
    rejected = _scores(scorer, pairs, "rejected", lambda share: tell("scoring", 0.6 + 0.4 * share))
    sides = {"chosen": chosen, "rejected": rejected}
    valences = [[s.valence.vader if s.valence else None for s in side] for side in sides.values()]
    found: dict[str, Any] = {"valence": _compared(*valences, pairs, seed)}
    for name in MECHANISMS:
        levels = {
            side: [m.level if (m := score.mechanism(name)) else None for score in scores]
            for side, scores in sides.items()
        }
        found[name] = _compared(levels["chosen"], levels["rejected"], pairs, seed) | {
            "levels": {side: [given.count(n) for n in (0, 1, 2)] for side, given in levels.items()}
        }
    return found


def _scores(
    scorer: Scorer, pairs: Rows, side: str, tell: Callable[[float], None], size: int = 64
) -> list[Scores]:
    """The scores of one side's replies to the speaker's last turn, in chunks of `size`."""
    found: list[Scores] = []
    for start in range(0, len(pairs), size):
        part = pairs[start : start + size]
        found += scorer.score([(pair.prompt[-1].text, getattr(pair, side)) for pair in part])
        tell(len(found) / len(pairs))
    return found
