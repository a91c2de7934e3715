"""The next token of every row: each its own settings, its own generator.

The filters are transformers' own, in the order in which `generate` applies them. Rows with the same
settings are filtered together; the draw is made row by row, so a row's text does not depend on its
neighbours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

import torch
from transformers import (
    LogitsProcessorList,
    MinPLogitsWarper,
    RepetitionPenaltyLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from empo.types import Sampling


class Draw:
    """Draws one row's tokens: its settings and its generator, started from its seed."""

    def __init__(self, sampling: Sampling) -> None:
        self.settings = replace(sampling, seed=0, max_new_tokens=1)
        self.generator = torch.Generator().manual_seed(sampling.seed)


@lru_cache(maxsize=256)
def _filters(settings: Sampling) -> LogitsProcessorList:
    filters = LogitsProcessorList()
    if settings.repetition_penalty != 1.0:
        filters.append(RepetitionPenaltyLogitsProcessor(float(settings.repetition_penalty)))
    if settings.temperature != 1.0:
        filters.append(TemperatureLogitsWarper(float(settings.temperature)))
    if settings.top_k:
        filters.append(TopKLogitsWarper(settings.top_k))
    if settings.top_p < 1.0:
        filters.append(TopPLogitsWarper(float(settings.top_p)))
    if settings.min_p:
        filters.append(MinPLogitsWarper(float(settings.min_p)))
    return filters


def next_tokens(
    logits: torch.Tensor, draws: Sequence[Draw], seen: Sequence[Sequence[int]]
) -> list[int]:
    """One token for each row of `logits` (rows, vocabulary).

    `seen` are the ids so far, which a repetition penalty lowers. Temperature 0 is argmax.
    """
    tokens = [0] * len(draws)
    groups: dict[Sampling, list[int]] = {}
    for row, draw in enumerate(draws):
        groups.setdefault(draw.settings, []).append(row)
    for settings, rows in groups.items():
        chosen = logits if len(rows) == len(draws) else logits[rows]
        if settings.temperature == 0:
            for row, token in zip(rows, chosen.argmax(-1).tolist(), strict=True):
                tokens[row] = token
            continue
        probabilities = _probabilities(chosen, settings, [seen[row] for row in rows])
        for row, own in zip(rows, probabilities, strict=True):
            tokens[row] = int(torch.multinomial(own, 1, generator=draws[row].generator))
    return tokens


def _probabilities(
    logits: torch.Tensor, settings: Sampling, seen: Sequence[Sequence[int]]
) -> torch.Tensor:
    """Filtered probabilities on the CPU, where the generators live."""
    longest = max(map(len, seen))
    # Repeating a row's own first id as padding changes nothing: it is penalised already.
    ids = [[*own, *own[:1] * (longest - len(own))] for own in seen]
    scores = _filters(settings)(torch.tensor(ids), logits.float().cpu())
    return scores.softmax(-1)
