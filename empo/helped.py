"""Did a run help? The finished adapter against the model it began from, on the same dialogues.

Both answer the same validation dialogues under the same prompt, sampling and seeds, and both say
how likely they find the humans' replies. Every difference is paired by dialogue, with a 95 %
bootstrap interval; one sentence says better, worse, or that it cannot be told.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from empo.data.preferences import last_exchange
from empo.metrics.distinct import repetitive
from empo.metrics.paired import Difference, difference, statistic
from empo.models.stacks import Source, Stack
from empo.pairs import paper_pairs
from empo.pairs.learning import Data, learning_split
from empo.prompts import system_prompt, with_system
from empo.types import MECHANISMS, Dialogue, ModelSpec, PreferencePair, Sampling, Stage, Turn

if TYPE_CHECKING:
    from empo.models.engine import Engine
    from empo.models.likelihood import TurnScore

AT_ONCE = 8  # dialogues answered in one pass, by both
FEWEST = 20  # dialogues: a bootstrap of fewer says nothing of how sure a difference is
Progress = Callable[[str, float], None]
_WORDS = {
    "emotional_reaction": "warmth (emotional reactions, 0–2)",
    "interpretation": "understanding (interpretations, 0–2)",
    "exploration": "curiosity (explorations, 0–2)",
}


class Stopped(Exception):
    """The person asked to stop while this was measured."""


def hold_against(
    base: str,
    start: Path | None,
    adapter: Path,
    stage: Stage,
    prompt: str,
    dialogues: int,
    seed: int,
    progress: Progress = lambda text, share: None,
    stopped: Callable[[], bool] = lambda: False,
    data: Data = "ed",
) -> dict[str, Any]:
    """`verdict` (better, worse, unclear; None: not measured), `sentence` and the `table` of both.

    `start`: the adapter it began from (None: the base). `dialogues` of the validation split are
    drawn by `seed`.

    Raises:
        DataError: there is no validation split.
        StackError: a model cannot be loaded.
    """
    every = learning_split(data, "valid")
    places = random.Random(seed + 2).sample(range(len(every)), min(dialogues, len(every)))
    chosen = [every[place] for place in sorted(places)]
    ids = {dialogue.id for dialogue in chosen}
    pairs = [pair for pair in paper_pairs(every, seed) if pair.dialogue_id in ids]
    stack = _stack(base, start, adapter, stage, prompt)

    def tell(text: str, share: float) -> None:
        if stopped():
            raise Stopped
        progress(text, share)

    try:
        table = _likelihoods(stack, pairs, stage, seed, tell)
        table += _replies(stack, chosen, seed, tell)
    except Stopped:
        return {"verdict": None, "sentence": "It was not measured: that was stopped."}
    verdict, sentence = judge(table, len(pairs))
    return {
        "verdict": verdict,
        "sentence": sentence,
        "table": table,
        "dialogues": len(chosen),
        "pairs": len(pairs),
        "seed": seed,
        "prompt": prompt,
        "split": "valid",
        "data": data,
    }


def _stack(base: str, start: Path | None, adapter: Path, stage: Stage, prompt: str) -> Stack:
    adapters = {"after": Source(str(adapter))}
    if start is not None:
        adapters["before"] = Source(str(start))
    # Both are spoken to as the trained model is, so that they see the same prompt.
    before = ModelSpec("before", "before", "", stage, {"before": 1.0} if start else {})
    after = ModelSpec("after", "after", "", stage, {"after": 1.0})
    return Stack("run", "A run", Source(base), adapters, (before, after), prompt)


def _likelihoods(
    stack: Stack, pairs: Sequence[PreferencePair], stage: Stage, seed: int, tell: Progress
) -> list[dict[str, Any]]:
    """How both models find the humans' replies and those of opposite emotion."""
    from empo.models.likelihood import Likelihood

    likelihood = Likelihood(stack, _device())
    system = system_prompt(stack.prompt, stage)

    def last(name: str, side: str) -> list[TurnScore]:
        texts = [
            with_system((*pair.prompt, Turn("assistant", getattr(pair, side))), system)
            for pair in pairs
        ]
        found = likelihood.score(
            name, texts, lambda done, all_: tell(f"{side} replies, {name}", done / all_)
        )
        return [turns[-1] for turns in found]

    scores = {
        (name, side): last(name, side)
        for name in ("before", "after")
        for side in ("chosen", "rejected")
    }
    rows = []
    if stage in ("dpo", "kto"):
        rows.append(_accuracy(scores, seed))
    tokens = [float(max(1, score.tokens)) for score in scores["before", "chosen"]]
    nats = [[s.nats for s in scores[name, "chosen"]] for name in ("before", "after")]
    found = difference(nats[0], nats[1], tokens, seed)
    rows.append(_row("nats a token of the human's reply", found, good=-1, aim=stage == "sft"))
    return rows


def _accuracy(scores: dict[tuple[str, str], list[TurnScore]], seed: int) -> dict[str, Any]:
    """Implicit rewards against the start, for which each pair is a tie (one half)."""
    gains = {
        side: [
            b.nats - a.nats
            for b, a in zip(scores["before", side], scores["after", side], strict=True)
        ]
        for side in ("chosen", "rejected")
    }
    wins = [
        1.0 if c > r else 0.5 if c == r else 0.0
        for c, r in zip(gains["chosen"], gains["rejected"], strict=True)
    ]
    found = difference([0.5] * len(wins), wins, [1.0] * len(wins), seed)
    return _row("pair accuracy, against its start", found, good=1, aim=True)


def _replies(
    stack: Stack, dialogues: Sequence[Dialogue], seed: int, tell: Progress
) -> list[dict[str, Any]]:
    """Empathy, length, variety and repeats of what both answer, beside the humans' replies."""
    from empo.models.loading import load_engine
    from empo.scoring.scorer import load_scorer

    exchanges = [last_exchange(dialogue) for dialogue in dialogues]
    engine = load_engine(stack, "none")
    try:
        texts = _answers(engine, [context for context, _ in exchanges], seed, tell)
    finally:
        engine.close()
    texts["human"] = [reply for _, reply in exchanges]
    tell("scores", 0.0)
    heard = [context[-1].text for context, _ in exchanges]
    scorer = load_scorer()
    levels: dict[str, list[tuple[float, ...] | None]] = {}
    for name, replies in texts.items():
        levels[name] = [
            _levels(scores) for scores in scorer.score(list(zip(heard, replies, strict=True)))
        ]
    tell("scores", 1.0)
    return [*_empathy(levels, seed), *_variety(texts, seed)]


def _levels(scores: Any) -> tuple[float, ...] | None:
    found = [scores.mechanism(name) for name in MECHANISMS]
    return None if None in found else tuple(score.expected for score in found)


def _answers(
    engine: Engine, contexts: Sequence[tuple[Turn, ...]], seed: int, tell: Progress
) -> dict[str, list[str]]:
    from empo.models.engine import Row

    found = {"before": [""] * len(contexts), "after": [""] * len(contexts)}
    order = sorted(range(len(contexts)), key=lambda i: sum(len(t.text) for t in contexts[i]))
    for first in range(0, len(order), AT_ONCE):
        keys = [(spec, i) for i in order[first : first + AT_ONCE] for spec in engine.stack.models]
        rows = []
        for spec, i in keys:
            turns = with_system(contexts[i], system_prompt(engine.stack.prompt, spec.stage))
            sampling = Sampling(seed=(seed + i) % 2**31)
            rows.append(Row(spec.name, turns, spec.adapters, sampling))
        for step in engine.stream(rows):
            for row, reply in step.replies.items():
                spec, i = keys[row]
                found[spec.name][i] = reply.text
        tell("replies", min(1.0, (first + AT_ONCE) / len(order)))
    return found


def _empathy(levels: dict[str, list[tuple[float, ...] | None]], seed: int) -> list[dict[str, Any]]:
    """Each mechanism's mean expected level, and how much nearer the human level they have come."""
    names = ("before", "after", "human")
    whole = [row for row in zip(*(levels[n] for n in names), strict=True) if None not in row]
    if not whole:
        return []
    rows = []
    for k, mechanism in enumerate(MECHANISMS):
        before, after, human = ([row[n][k] for row in whole] for n in range(3))
        found = difference(before, after, [1.0] * len(whole), seed)
        rows.append(_row(_WORDS[mechanism], found, human=sum(human) / len(human)))

    def gap(drawn: Sequence[Any], which: int) -> float:
        means = [
            [sum(row[n][k] for row in drawn) / len(drawn) for k in range(len(MECHANISMS))]
            for n in (which, 2)
        ]
        return sum(abs(a - b) for a, b in zip(*means, strict=True)) / len(MECHANISMS)

    found = statistic(whole, lambda drawn: (gap(drawn, 0), gap(drawn, 1)), seed)
    rows.append(_row("distance from the human level", found, good=-1, human=0.0))
    return rows


def _variety(texts: dict[str, list[str]], seed: int) -> list[dict[str, Any]]:
    """Length, distinct-2, and how many replies say a trigram twice."""
    from empo.metrics.distinct import distinct

    both = list(zip(texts["before"], texts["after"], strict=True))
    sizes = [[float(len(text.split())) for text in texts[n]] for n in ("before", "after", "human")]
    ones = [1.0] * len(both)
    rows = [
        _row(
            "words",
            difference(sizes[0], sizes[1], ones, seed),
            human=sum(sizes[2]) / len(sizes[2]),
        )
    ]

    def variety(drawn: Sequence[tuple[str, str]]) -> tuple[float, float]:
        before, after = (distinct([pair[n] for pair in drawn]) or 0.0 for n in (0, 1))
        return before, after

    rows.append(
        _row("distinct-2", statistic(both, variety, seed), good=1, human=distinct(texts["human"]))
    )
    again = [[repetitive([text]) or 0.0 for text in texts[n]] for n in ("before", "after")]
    found = difference(again[0], again[1], ones, seed)
    human = repetitive(texts["human"])
    rows.append(_row("replies that say three words twice", found, good=-1, human=human))
    return rows


def _row(
    what: str, found: Difference, good: int = 0, aim: bool = False, human: float | None = None
) -> dict[str, Any]:
    """`good`: 1 where more is better, -1 where less is, 0 where it is only told."""
    return {
        "what": what,
        "before": found.before,
        "after": found.after,
        "difference": found.value,
        "low": found.low,
        "high": found.high,
        "human": human,
        "good": good,
        "aim": aim,
    }


def judge(table: Sequence[dict[str, Any]], dialogues: int) -> tuple[str, str]:
    """The verdict and its sentence: what is surely better, what surely worse.

    Better needs a gain in the run's own aim or in the distance from the human level, and no loss
    anywhere; worse a loss and no such gain. `FEWEST` dialogues are needed for either.
    """
    if dialogues < FEWEST:
        return "unclear", (
            f"Cannot be told: {FEWEST} dialogues are needed for a verdict, {dialogues} were "
            "measured; take more (measure=100)."
        )
    gains = [row for row in table if row["good"] and _sure(row) > 0]
    losses = [row for row in table if row["good"] and _sure(row) < 0]
    real = [row for row in gains if row["aim"] or row["what"].startswith("distance")]
    if real and not losses:
        return "better", f"Better: {_told(real)}."
    if losses and not real:
        return "worse", f"Worse: {_told(losses)}."
    if real and losses:
        return "unclear", (
            f"Cannot be told: better in {_told(real)}, but worse in {_told(losses)}."
        )
    return "unclear", (
        "Cannot be told: no difference is larger than chance on these dialogues; measure more "
        "dialogues (measure=500), or train longer."
    )


def _sure(row: dict[str, Any]) -> int:
    """1 or -1 where the whole interval lies on the good or the bad side, else 0."""
    if row["low"] is None or row["low"] <= 0 <= row["high"]:
        return 0
    return row["good"] if row["difference"] > 0 else -row["good"]


def _told(rows: Sequence[dict[str, Any]]) -> str:
    return ", ".join(f"{row['what']} {row['before']:.2f} → {row['after']:.2f}" for row in rows)


def _device() -> str:
    from empo.models.loading import torch

    return "cuda" if torch.cuda.is_available() else "cpu"
