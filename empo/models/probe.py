"""A small probe of general knowledge: which of four endings does a model find likeliest?

Forty sentences of common knowledge, written for this project (`assets/probe/questions.jsonl`); one
ending is right. As in lm-evaluation-harness, an ending's score is its log-probability a token. A
model of 8.5 million parameters knows little; what counts is whether training took some of it away.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from empo.errors import DataError
from empo.models.likelihood import Likelihood, TurnScore
from empo.models.stacks import Stack
from empo.settings import ASSETS
from empo.types import Turn

QUESTIONS = ASSETS / "probe" / "questions.jsonl"


@dataclass(frozen=True, slots=True)
class Question:
    """A question, its possible answers, and which of them is right."""

    text: str
    answers: tuple[str, ...]
    right: int


def read_questions(path: Path = QUESTIONS) -> tuple[Question, ...]:
    """The questions of `path`.

    Raises:
        DataError: a line is no question; names the line.
    """
    found = []
    for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        try:
            row = json.loads(line)
            found.append(Question(row["question"], tuple(row["answers"]), int(row["right"])))
        except (ValueError, KeyError, TypeError) as error:
            raise DataError(f"{path.name}, line {number}: no question with answers.") from error
    return tuple(found)


def probe(
    stack: Stack,
    model: str,
    questions: Sequence[Question] | None = None,
    likelihood: Likelihood | None = None,
) -> list[bool]:
    """For each question, whether `model` finds the right answer the likeliest of all.

    Raises:
        StackError: the model cannot be loaded or scored.
    """
    of = likelihood or Likelihood(stack)
    return right_answers(lambda texts: of.score(model, texts), questions)


def right_answers(
    score: Callable[[Sequence[Sequence[Turn]]], list[list[TurnScore]]],
    questions: Sequence[Question] | None = None,
) -> list[bool]:
    """As `probe`, by whatever scores the listener turns of dialogues."""
    asked = questions or read_questions()
    texts = [
        (Turn("user", question.text), Turn("assistant", answer))
        for question in asked
        for answer in question.answers
    ]
    scores = iter(score(texts))
    found = []
    for question in asked:
        nats = [
            turn.nats / max(1, turn.tokens) for turn in (next(scores)[-1] for _ in question.answers)
        ]
        # A model that training has broken gives no numbers: that is no right answer.
        sound = all(map(math.isfinite, nats))
        found.append(sound and nats.index(min(nats)) == question.right)
    return found
