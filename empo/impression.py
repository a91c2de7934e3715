"""The first impression: what the models of a stack first answer to situations of our own.

Every situation of `assets/situations.yaml` carries one of the 32 emotions, and each emotion is
pleasant or unpleasant (`empo.data.emotions`). A reply has the right sign where VADER's compound
score has that sign: glad with the glad, sorry with the sad. A reply without a word that VADER knows
is not measured; of all replies it is no right one, and it is counted apart.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from empo.compare import compare
from empo.data.emotions import EMOTIONS
from empo.data.situations import Situation
from empo.errors import UsageError
from empo.metrics.bootstrap import ratio_interval
from empo.models.engine import Engine
from empo.scoring.valence import vader
from empo.types import Sampling, Turn


@dataclass(frozen=True, slots=True)
class First:
    """A first reply: `valence` is VADER's compound (None: not measured)."""

    emotion: str
    said: str
    model: str
    seed: int
    reply: str
    valence: float | None

    @property
    def right(self) -> bool:
        return self.valence is not None and self.valence * EMOTIONS[self.emotion].polarity > 0


def first_replies(
    engine: Engine,
    situations: Sequence[Situation],
    sampling: Sampling,
    draws: int,
    report: Callable[[int], None] = lambda done: None,
) -> list[First]:
    """`draws` replies of every model to each situation, with the seeds from `sampling.seed` on.

    Raises:
        UsageError: there is nothing to answer.
    """
    if not situations or draws < 1:
        raise UsageError("Give at least one situation and one draw.")
    specs, found = engine.stack.models, []
    for number, situation in enumerate(situations, 1):
        turns = (Turn("user", situation.text),)
        for seed in range(sampling.seed, sampling.seed + draws):
            texts = [""] * len(specs)
            drawn = replace(sampling, seed=seed)
            for step in compare(engine, [turns] * len(specs), specs, drawn, engine.stack.prompt):
                for row, reply in step.replies.items():
                    texts[row] = reply.text.strip()
            for spec, text in zip(specs, texts, strict=True):
                row = First(situation.emotion, situation.text, spec.name, seed, text, vader(text))
                found.append(row)
        report(number)
    return found


def right_signs(replies: Sequence[First], seed: int = 0) -> dict[str, dict[str, Any]]:
    """For each model: the share of right signs with its 95 % interval, drawing whole situations.

    `pleasant`, `unpleasant`: the share among those situations. `chance`: the same replies to
    situations dealt at random, on average: what a model gets that does not listen.
    """
    found = {}
    for model in dict.fromkeys(reply.model for reply in replies):
        own = [reply for reply in replies if reply.model == model]
        by_text: dict[str, list[bool]] = {}
        for reply in own:
            by_text.setdefault(reply.said, []).append(reply.right)
        tops, sizes = ([f(v) for v in by_text.values()] for f in (sum, len))
        low, high = ratio_interval(tops, sizes, seed)
        found[model] = {
            "replies": len(own),
            "right": sum(tops) / len(own),
            "low": low,
            "high": high,
            "pleasant": _share(own, 1),
            "unpleasant": _share(own, -1),
            "chance": _chance(own),
            "unmeasured": sum(reply.valence is None for reply in own) / len(own),
        }
    return found


def _share(replies: Sequence[First], polarity: int) -> float | None:
    """Right ones among the replies to situations of one polarity; None where there is none."""
    right = [r.right for r in replies if EMOTIONS[r.emotion].polarity == polarity]
    return sum(right) / len(right) if right else None


def _chance(replies: Sequence[First]) -> float:
    """The expected share of right signs if every reply went to any of the situations, exactly."""
    signs = np.sign([0.0 if reply.valence is None else reply.valence for reply in replies])
    wanted = np.array([EMOTIONS[reply.emotion].polarity for reply in replies])
    return float(sum(np.mean(signs == side) * np.mean(wanted == side) for side in (1, -1)))


def samples(replies: Sequence[First], count: int, seed: int = 0) -> str:
    """`count` situations drawn by `seed`, the first reply of each model, as a Markdown table."""
    said = list(dict.fromkeys((reply.emotion, reply.said) for reply in replies))
    models = list(dict.fromkeys(reply.model for reply in replies))
    first: dict[tuple[str, str], str] = {}
    for reply in replies:
        first.setdefault((reply.said, reply.model), reply.reply)
    lines = ["| Said | " + " | ".join(models) + " |", "|---" * (1 + len(models)) + "|"]
    for emotion, text in random.Random(seed).sample(said, min(count, len(said))):
        told = (" ".join(first[text, model].split()) for model in models)
        cells = " | ".join(reply.replace("|", "\\|") for reply in told)
        lines.append(f"| *{emotion}*: {text} | {cells} |")
    return "\n".join(lines)


def as_row(reply: First) -> dict[str, Any]:
    """The reply as a JSON line."""
    return asdict(reply) | {"right": reply.right}
