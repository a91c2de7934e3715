"""What is measured where models answer: their replies, and how likely they find texts."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import numpy as np

from empo.evaluation import collect
from empo.evaluation.generate import generate
from empo.evaluation.measure import Columns
from empo.evaluation.request import OF_MODELS, Request, System, Work
from empo.evaluation.summary import Number
from empo.models.catalogue import with_runs
from empo.models.dial import dial_position
from empo.models.fingerprint import short_hashes
from empo.models.inventory import choose_stack
from empo.models.stacks import Stack
from empo.types import Dialogue, ModelSpec, Quantisation, Sampling

if TYPE_CHECKING:
    from empo.models.engine import Engine

NO_DIALOGUE = "Situations have no human reply to be likely or not."


class OfModels:
    """Models of a stack, on dialogues or situations."""

    def __init__(self, work: Work, engine: Engine | None) -> None:
        self.work, request = work, work.request
        self.stack = engine.stack if engine else stack_of(request)
        self.specs = _specs(self.stack, request)
        self.prompt = request.prompt or self.stack.prompt
        self.every: tuple[Dialogue, ...] = ()
        self.left_out: str | None = None
        self.dialogues: list[Dialogue] = []
        if request.situations:
            work.items = collect.situations_of(request)
            self.why = dict.fromkeys(OF_MODELS, NO_DIALOGUE)
        else:
            found, self.dialogues = collect.dialogues_of(request)
            self.every = found.dialogues
            self.left_out = found.report() if found.malformed else None
            work.items = collect.items_of(self.dialogues)
            self.why = {"pair_accuracy": "Only preference-trained models have a reference."}
        sampling = Sampling(seed=request.seed)
        self.facts = {
            "stack": self.stack.name,
            "prompt": self.prompt,
            "sampling": asdict(sampling),
            "quantisation": engine.quantisation if engine else _served_in(self.stack, request),
            "revisions": _revisions(self.stack),
            "data": collect.OWN if request.situations else collect.data_file(request).name,
        }
        self.pairs: dict[str, np.ndarray] = {}
        if request.generates:
            work.systems = self._replies(engine, sampling)
        else:
            work.systems = [System(s.name, [None] * len(work.items)) for s in self.specs]
        self._likelihoods()

    def _replies(self, engine: Engine | None, sampling: Sampling) -> list[System]:
        own = None if engine else _load(self.stack, self.work.request)
        try:
            return generate(self.work, engine or own, self.specs, self.prompt, sampling, self.facts)
        finally:
            if own:
                own.close()

    def _likelihoods(self) -> None:
        self.likely: dict[str, Columns] = {}
        wanted = set(self.work.request.metrics) & set(OF_MODELS)
        if not wanted or not self.dialogues:
            return
        from empo.evaluation.likelihoods import (
            Probabilities,
            pair_columns,
            pairs_of,
            perplexity_columns,
        )

        found = Probabilities(self.work, self.stack, self.prompt)
        if "perplexity" in wanted:
            for spec in self.specs:
                self.likely[spec.name] = perplexity_columns(found, spec, self.dialogues)
        if "pair_accuracy" in wanted:
            self.preferred = pairs_of(self.every, self.dialogues, self.work.request.seed)
            self.pairs = pair_columns(found, self.specs, self.dialogues, self.preferred)

    def columns(self, name: str) -> Columns:
        found = dict(self.likely.get(name, {}))
        if name in self.pairs:
            found["pair_accuracy"] = self.pairs[name]
        return found

    def pair_baselines(self) -> dict[str, np.ndarray | None]:
        if not self.pairs:
            return {}
        from empo.evaluation.likelihoods import pair_baselines

        folder = collect.data_file(self.work.request).parent
        return pair_baselines(self.work, folder, self.dialogues, self.preferred)

    def knowledge(self) -> dict[str, dict[str, Number]]:
        if not self.work.request.tasks:
            return {}
        from empo.evaluation.forgetting import knowledge

        return knowledge(self.work, self.stack, self.specs)


def stack_of(request: Request) -> Stack:
    """The stack that is asked for, with those of its models that are finished runs.

    Raises:
        UsageError: there is no such stack, or no such model.
        StackError: the stack's file is not one.
    """
    stack = choose_stack(request.stack)
    return with_runs(stack, [name for name in request.models if dial_position(name) is None])


def _specs(stack: Stack, request: Request) -> tuple[ModelSpec, ...]:
    if not request.models:
        return stack.models
    return tuple(stack.model(name) for name in request.models)


def _served_in(stack: Stack, request: Request) -> Quantisation:
    from empo.models.loading import served_in

    return served_in(stack, request.quantisation)


def _load(stack: Stack, request: Request) -> Engine:
    from empo.models.loading import load_engine

    return load_engine(stack, request.quantisation)


def _revisions(stack: Stack) -> dict[str, str | None]:
    """The base's revision on the Hub (None: a folder), and the hash of every model's adapter."""
    return {"base": stack.base.revision, **short_hashes(stack)}
