"""What needs a model's probabilities and no reply: reply perplexity and pair accuracy.

- Reply perplexity: every listener turn of every dialogue, token-weighted.
- Pair accuracy: emotion-grounded pairs (`empo.pairs`); how often log π − log π_ref is higher for
  the human's reply than for one from a dialogue of the opposite emotion. The baselines are the
  longer reply, the overlap with the context, and what is typical of the emotion.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from empo.data.dialogues import load_split
from empo.data.preferences import last_exchange
from empo.errors import DataError
from empo.evaluation.measure import Columns
from empo.evaluation.request import Work
from empo.metrics.baselines import EmotionFit, Overlap, length_scores
from empo.metrics.pair_accuracy import wins
from empo.models.likelihood import Likelihood, TurnScore, as_served
from empo.models.stacks import Stack
from empo.pairs import paper_pairs
from empo.prompts import system_prompt, with_system
from empo.types import Dialogue, ModelSpec, PreferencePair, Turn

LONGER, OVERLAP, TYPICAL = "longer reply", "overlap with the context", "typical of the emotion"


def reference(stack: Stack, spec: ModelSpec) -> ModelSpec | None:
    """What a preference-trained model is compared with: the stack's SFT model; else None."""
    if spec.stage not in ("dpo", "kto"):
        return None
    return next((other for other in stack.models if other.stage == "sft"), None)


class Probabilities:
    """Scores of the human dialogues under the models of a stack, each computed once."""

    def __init__(self, work: Work, stack: Stack, prompt: str) -> None:
        self.work, self.stack, self.prompt = work, stack, prompt
        self._likelihood: Likelihood | None = None
        self._human: dict[str, list[list[TurnScore]]] = {}

    def human(self, spec: ModelSpec, dialogues: Sequence[Dialogue]) -> list[list[TurnScore]]:
        """For each dialogue the scores of its listener turns."""
        if spec.name not in self._human:
            turns = [dialogue.turns for dialogue in dialogues]
            self._human[spec.name] = self.score(spec, turns, "human replies")
        return self._human[spec.name]

    def score(
        self, spec: ModelSpec, texts: Sequence[tuple[Turn, ...]], what: str
    ) -> list[list[TurnScore]]:
        """Scores of `texts` under the voice `spec`.

        Raises:
            StackError: it cannot be loaded or scored.
            Stopped: somebody stopped the evaluation.
        """
        asked = self.work.request.quantisation
        self._likelihood = self._likelihood or as_served(self.stack, asked)

        def heard(done: int, total: int) -> None:
            self.work.pause()
            self.work.tell(f"{what}, {spec.name}", done / total)

        system = system_prompt(self.prompt, spec.stage)
        return self._likelihood.score(
            spec.name, [with_system(turns, system) for turns in texts], heard
        )


def perplexity_columns(
    probabilities: Probabilities, spec: ModelSpec, dialogues: Sequence[Dialogue]
) -> Columns:
    """Summed −log p (nats) and tokens of each dialogue's listener turns."""
    scores = probabilities.human(spec, dialogues)
    return {
        "perplexity.nats": np.array([sum(turn.nats for turn in turns) for turns in scores]),
        "perplexity.tokens": np.array(
            [sum(turn.tokens for turn in turns) for turns in scores], float
        ),
    }


def pair_columns(
    probabilities: Probabilities,
    specs: Sequence[ModelSpec],
    dialogues: Sequence[Dialogue],
    pairs: Sequence[PreferencePair],
) -> dict[str, np.ndarray]:
    """Model → for each dialogue 1, ½ or 0 (the human's reply preferred, tied, not), else nan."""
    place = {dialogue.id: i for i, dialogue in enumerate(dialogues)}
    worse = [(*pair.prompt, Turn("assistant", pair.rejected)) for pair in pairs]
    lost: dict[str, list[list[TurnScore]]] = {}
    found = {}
    for spec in specs:
        if not (other := reference(probabilities.stack, spec)):
            continue
        for voice in (spec, other):
            if voice.name not in lost:
                lost[voice.name] = probabilities.score(voice, worse, "rejected replies")
        own, theirs = (probabilities.human(voice, dialogues) for voice in (spec, other))
        at = [place[pair.dialogue_id] for pair in pairs]
        chosen = [theirs[i][-1].nats - own[i][-1].nats for i in at]
        rejected = [
            b[-1].nats - a[-1].nats for a, b in zip(lost[spec.name], lost[other.name], strict=True)
        ]
        found[spec.name] = _by_dialogue(wins(chosen, rejected), at, len(dialogues))
    return found


def pair_baselines(
    work: Work, folder: Path, dialogues: Sequence[Dialogue], pairs: Sequence[PreferencePair]
) -> dict[str, np.ndarray | None]:
    """The same columns for scores that know no language model; None: no training split to learn."""
    place = {dialogue.id: i for i, dialogue in enumerate(dialogues)}
    at = [place[pair.dialogue_id] for pair in pairs]
    chosen, rejected = [pair.chosen for pair in pairs], [pair.rejected for pair in pairs]

    def column(better: Sequence[float], other: Sequence[float]) -> np.ndarray:
        return _by_dialogue(wins(better, other), at, len(dialogues))

    found: dict[str, np.ndarray | None] = {
        LONGER: column(length_scores(chosen), length_scores(rejected)),
        OVERLAP: None,
        TYPICAL: None,
    }
    try:
        train = load_split(folder, "train")
    except DataError:
        return found
    work.tell("baselines of pairs", 0.1)
    contexts = [" ".join(turn.text for turn in pair.prompt) for pair in pairs]
    overlap = Overlap([turn.text for dialogue in train for turn in dialogue.turns])
    found[OVERLAP] = column(overlap.scores(contexts, chosen), overlap.scores(contexts, rejected))
    work.tell("baselines of pairs", 0.3)
    fit = EmotionFit([last_exchange(d)[1] for d in train], [str(d.emotion) for d in train])
    emotions = [pair.emotion for pair in pairs]
    found[TYPICAL] = column(fit.scores(chosen, emotions), fit.scores(rejected, emotions))
    work.tell("baselines of pairs", 1.0)
    return found


def pairs_of(
    every: Sequence[Dialogue], dialogues: Sequence[Dialogue], seed: int
) -> list[PreferencePair]:
    """The pairs of `dialogues`; rejected replies come from `every` dialogue of the file."""
    ids = {dialogue.id for dialogue in dialogues}
    return [pair for pair in paper_pairs(every, seed) if pair.dialogue_id in ids]


def _by_dialogue(values: Sequence[float], at: Sequence[int], count: int) -> np.ndarray:
    found: Any = np.full(count, np.nan)
    found[list(at)] = values
    return found
