"""Everything that is chosen on validation rows after training: temperatures and span readings."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn import functional as F
from torch.nn.utils import parametrize

from empo.data.emotions import EMOTIONS
from empo.scoring.card import Card, MechanismCard
from empo.scoring.rationale import Reading, marked, spans
from empo.scoring.wide import Opinion
from empo.types import MECHANISMS
from train.scoring.data import Feeling, Pair
from train.scoring.encoding import encode_feelings, encode_pairs, padded
from train.scoring.fit import forward_pairs
from train.scoring.network import Network
from train.scoring.rationales import iou_f1, token_f1, whole_reply
from train.scoring.recipe import ScorerRecipe
from train.scoring.replies import Reply

BATCH = 32
SHARES = [round(0.1 * step, 1) for step in range(10)]
WEIGHTS = (0.0, 0.5, 1.0)
TEMPERATURES = [1.05**step for step in range(-20, 40)]
THRESHOLDS = (0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6)
WINDOWS = (0, 1, 2, 5, 9)
GAPS = (1, 3, 6, 12)


def calibrate(
    network: Network,
    tokenizer: Tokenizer,
    recipe: ScorerRecipe,
    told: Sequence[Opinion],
    replies: Sequence[Reply],
    pairs: Sequence[Pair],
    feelings: Sequence[Feeling],
) -> Card:
    """The card of `network`, from EPITOME's validation pairs and ED's first utterances.

    `told` is what the linear models say of the `replies` of `pairs`.
    """
    levels, marks = _pair_logits(network, tokenizer, recipe, pairs)
    labels = torch.tensor([pair.levels for pair in pairs])
    deep, other = levels.log_softmax(-1), torch.tensor(np.stack([o.levels for o in told]))
    owned = [reply.owners for reply in replies]
    cards = {}
    for i, name in enumerate(MECHANISMS):
        found = [Marks(*m, o.sentences, own) for m, o, own in zip(marks, told, owned, strict=True)]
        sentence, reading = best_way([(p.reply, p.rationales[i]) for p in pairs], found, i)
        share, heat = blend(deep[:, i], other[:, i], labels[:, i])
        cards[name] = MechanismCard(
            wide=share,
            temperature=heat,
            sentence=sentence,
            threshold=reading.threshold,
            window=reading.window,
            gap=reading.gap,
        )
    emotions, true = _emotion_logits(network, tokenizer, recipe, feelings)
    return Card(
        name=recipe.name,
        post=recipe.post,
        reply=recipe.read,
        emotions=tuple(EMOTIONS),
        emotion_temperature=temperature(emotions, true),
        mechanisms=cards,
    )


def temperature(logits: Tensor, labels: Tensor) -> float:
    """The temperature that makes `labels` (N) likeliest under `logits` (N, classes)."""
    losses = {t: F.cross_entropy(logits / t, labels).item() for t in TEMPERATURES}
    return round(min(losses, key=losses.__getitem__), 4)


def blend(deep: Tensor, wide: Tensor, labels: Tensor) -> tuple[float, float]:
    """The weight of `wide` and the temperature that make `labels` (N) likeliest.

    `deep` and `wide` are log-probabilities (N, 3) of the encoder and of the linear model.
    """
    found = {}
    for share in SHARES:
        both = (1 - share) * deep + share * wide
        heat = temperature(both, labels)
        found[share, heat] = F.cross_entropy(both / heat, labels).item()
    return min(found, key=found.__getitem__)


class Marks(NamedTuple):
    """`pieces` (P, mechanisms) and `sentences` (S, mechanisms): logits of a reply's rationales.

    `offsets` (P) are the places of the pieces, `owners` the numbers of their sentences.
    """

    offsets: list
    pieces: np.ndarray
    sentences: np.ndarray
    owners: np.ndarray


def best_way(
    texts: Sequence[tuple[str, tuple]], marks: Sequence[Marks], mechanism: int
) -> tuple[float, Reading]:
    """The sentences' weight and the reading that gain most on (text, true spans) of `texts`."""
    found = []
    for weight in WEIGHTS:
        rows = []
        for (text, true), own in zip(texts, marks, strict=True):
            weights = [weight] * own.pieces.shape[1]
            chances = marked(own.pieces, own.sentences, own.owners, weights)[:, mechanism]
            rows.append((text, true, own.offsets, chances))
        reading = best_reading(rows)
        found.append((gain(rows, reading), weight, reading))
    return max(found, key=lambda way: way[0])[1:]


Row = tuple[str, tuple, list, "object"]


def best_reading(rows: Sequence[Row]) -> Reading:
    """The reading that gains most over showing the whole reply, on (text, true, offsets, marks)."""
    readings = [Reading(*r) for r in itertools.product(THRESHOLDS, WINDOWS, GAPS)]
    return max(readings, key=lambda reading: gain(rows, reading))


def gain(rows: Sequence[Row], reading: Reading) -> float:
    """What `reading` gains over showing the whole reply: the smaller of token-F1's and IOU-F1's.

    Only rows that have a true rationale count.
    """
    rows = [row for row in rows if row[1]]
    whole = _both([(text, true, whole_reply(text)) for text, true, _, _ in rows])
    found = [(t, true, spans(t, offsets, marks, reading)) for t, true, offsets, marks in rows]
    return min(a - b for a, b in zip(_both(found), whole, strict=True))


def _both(found: Sequence[tuple]) -> tuple[float, float]:
    """Mean token-F1, and IOU-F1, of (text, true, found) rows."""
    return sum(token_f1(*row) for row in found) / len(found), iou_f1(found)


def _pair_logits(
    network: Network, tokenizer: Tokenizer, recipe: ScorerRecipe, pairs: Sequence[Pair]
) -> tuple[Tensor, list[tuple[list, np.ndarray]]]:
    """Level logits (N, mechanisms, 3); for each pair its pieces' offsets and rationale logits."""
    rows = encode_pairs(tokenizer, pairs, recipe.post, recipe.read)
    tokenizer.enable_truncation(recipe.read)
    offsets = [e.offsets[1:-1] for e in tokenizer.encode_batch([p.reply for p in pairs])]
    levels, marks = [], []
    with torch.inference_mode(), parametrize.cached():
        for start in range(0, len(rows), BATCH):
            output, _ = forward_pairs(network, rows[start : start + BATCH])
            levels.append(output.levels)
            for n, row in enumerate(output.rationales, start):
                marks.append((offsets[n], row[1 : len(offsets[n]) + 1].numpy()))
    return torch.cat(levels), marks


def _emotion_logits(
    network: Network, tokenizer: Tokenizer, recipe: ScorerRecipe, feelings: Sequence[Feeling]
) -> tuple[Tensor, Tensor]:
    rows = encode_feelings(tokenizer, feelings, recipe.speaker)
    rows.sort(key=lambda row: len(row.text))
    logits = []
    with torch.inference_mode(), parametrize.cached():
        for start in range(0, len(rows), BATCH):
            batch = padded([row.text for row in rows[start : start + BATCH]])
            logits.append(network.emotion(network.encode(*batch, role=0), batch.mask))
    return torch.cat(logits), torch.tensor([row.emotion for row in rows])
