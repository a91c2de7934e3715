"""The two training stages: emotions alone, then EPITOME with a rehearsal of emotions."""

from __future__ import annotations

import copy
import math
import random
import time
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import parametrize

from train.scoring.data import batches
from train.scoring.encoding import EncodedFeeling, EncodedPair, padded, padded_marks
from train.scoring.network import LEVELS, Network, Output
from train.scoring.recipe import Mixed, Stage

Watch = Callable[[int, int, float, Network], None]
CLIP = 1.0


def fit_emotions(
    network: Network, rows: Sequence[EncodedFeeling], stage: Stage, seed: int, watch: Watch
) -> None:
    """Teach `network` the speakers' emotions in place.

    `watch(step, steps, loss, network)` is called after each step, with what would be kept.
    """
    steps = round(math.ceil(len(rows) / stage.batch) * stage.epochs)
    feed = _endless(rows, [len(r.text) for r in rows], stage.batch, random.Random(seed))

    def loss() -> Tensor:
        return emotion_loss(network, next(feed), stage.smoothing)

    _run(network, stage, steps, loss, watch)


def fit_epitome(
    network: Network,
    pairs: Sequence[EncodedPair],
    feelings: Sequence[EncodedFeeling],
    stage: Mixed,
    seed: int,
    watch: Watch,
) -> None:
    """Teach `network` levels and rationales in place, rehearsing emotions beside them."""
    freeze(network, stage.frozen)
    steps = round(math.ceil(len(pairs) / stage.batch) * stage.epochs)
    rng = random.Random(seed)
    feed = _endless(pairs, [len(p.reply) for p in pairs], stage.batch, rng)
    weights = class_weights(pairs, stage.rarity)
    again = None
    if stage.rehearsal:
        again = _endless(feelings, [len(f.text) for f in feelings], stage.rehearsal, rng)

    def loss() -> Tensor:
        total = pair_loss(network, next(feed), weights, stage)
        if again is not None:
            total = total + stage.rehearsal_weight * emotion_loss(network, next(again), 0.1)
        return total

    _run(network, stage, steps, loss, watch)


def freeze(network: Network, layers: int) -> None:
    """Keep the embeddings and the lowest `layers` of the encoder as they are; 0 keeps nothing."""
    if layers:
        kept = (network.encoder.embeddings, *network.encoder.encoder.layer[:layers])
        for part in kept:
            part.requires_grad_(False)


def emotion_loss(network: Network, rows: Sequence[EncodedFeeling], smoothing: float) -> Tensor:
    """Mean cross-entropy of the emotions of `rows`."""
    batch = padded([row.text for row in rows])
    logits = network.emotion(network.encode(*batch, role=0), batch.mask)
    labels = torch.tensor([row.emotion for row in rows])
    return F.cross_entropy(logits, labels, label_smoothing=smoothing)


def forward_pairs(network: Network, rows: Sequence[EncodedPair]) -> tuple[Output, Tensor]:
    """Levels and rationales of `rows`, and the mask (N, L) of the replies."""
    post = padded([row.post for row in rows])
    reply = padded([row.reply for row in rows])
    replies = network.encode(*reply, role=1)
    return network.pair(replies, reply.mask, network.encode(*post, role=0), post.mask), reply.mask


def states(network: Network, rows: Sequence[EncodedPair]) -> tuple[Tensor, Tensor]:
    """The states (N, L, H) that the heads read, and the mask (N, L) of the replies."""
    post = padded([row.post for row in rows])
    reply = padded([row.reply for row in rows])
    replies = network.encode(*reply, role=1)
    return network.beside(replies, network.encode(*post, role=0), post.mask), reply.mask


def pair_loss(
    network: Network, rows: Sequence[EncodedPair], weights: Tensor, stage: Mixed
) -> Tensor:
    """Weighted cross-entropy of the levels plus the rationales' token-wise one."""
    output, mask = forward_pairs(network, rows)
    labels = torch.tensor([row.levels for row in rows])
    levels = sum(
        F.cross_entropy(
            output.levels[:, i], labels[:, i], weights[i], label_smoothing=stage.smoothing
        )
        for i in range(labels.shape[1])
    )
    marks = padded_marks(rows)
    tokens = F.binary_cross_entropy_with_logits(output.rationales, marks, reduction="none")
    real = mask.unsqueeze(-1).to(tokens.dtype)
    return levels + stage.rationale_weight * (tokens * real).sum() / real.sum()


def accuracy(network: Network, rows: Sequence[EncodedPair], size: int = 32) -> list[float]:
    """The share of `rows` whose level is the likeliest one, for each mechanism."""
    right = []
    with torch.inference_mode(), parametrize.cached():
        for start in range(0, len(rows), size):
            batch = rows[start : start + size]
            output, _ = forward_pairs(network, batch)
            right.append(output.levels.argmax(-1) == torch.tensor([row.levels for row in batch]))
    return torch.cat(right).float().mean(0).tolist()


def class_weights(pairs: Sequence[EncodedPair], rarity: float) -> Tensor:
    """(mechanisms, 3): frequency ** -rarity, scaled so that the mean over the rows is 1."""
    labels = torch.tensor([pair.levels for pair in pairs])
    shares = F.one_hot(labels, LEVELS).float().mean(0)
    weights = shares.clamp_min(1e-6) ** -rarity
    return weights / (weights * shares).sum(1, keepdim=True)


def _endless(rows, lengths, size: int, rng: random.Random) -> Iterator[list]:
    while True:
        yield from batches(rows, lengths, size, rng)


def _run(
    network: Network, stage: Stage, steps: int, loss_of: Callable[[], Tensor], watch: Watch
) -> None:
    """AdamW, linear warm-up and decay, gradients clipped; keeps the running mean if asked."""
    optimiser = torch.optim.AdamW(_groups(network, stage), betas=(0.9, 0.99))
    warm = max(1, round(stage.warmup * steps))

    def rate(step: int) -> float:
        if step < warm:
            return (step + 1) / warm
        return stage.decay_to + (1 - stage.decay_to) * (steps - step) / max(1, steps - warm)

    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, rate)
    mean = copy.deepcopy(network).eval() if stage.average else None
    network.train()
    for step in range(1, steps + 1):
        # Rounded weights are worked out once a step, however often a layer is called.
        with parametrize.cached():
            loss = loss_of()
            loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), CLIP)
        optimiser.step()
        schedule.step()
        optimiser.zero_grad(set_to_none=True)
        if mean is not None:
            _blend(mean, network, min(stage.average, step / (step + 9)))
        watch(step, steps, loss.item(), network if mean is None else mean)
    if mean is not None:
        network.load_state_dict(mean.state_dict())
    network.eval()


def _blend(mean: Network, network: Network, decay: float) -> None:
    with torch.no_grad():
        for old, new in zip(mean.parameters(), network.parameters(), strict=True):
            old.lerp_(new, 1 - decay)


def _groups(network: Network, stage: Stage) -> list[dict]:
    """Encoder and heads apart (learning rate), biases and norms without weight decay."""
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for name, parameter in network.named_parameters():
        if not parameter.requires_grad:
            continue
        encoder = name.startswith("encoder.")
        groups.setdefault((encoder, parameter.ndim > 1), []).append(parameter)
    return [
        {
            "params": parameters,
            "lr": stage.learning_rate * (1 if encoder else stage.heads),
            "weight_decay": stage.weight_decay if matrix else 0.0,
        }
        for (encoder, matrix), parameters in groups.items()
    ]


class Clock:
    """Prints the running loss now and then."""

    def __init__(self, name: str, every: int = 50) -> None:
        self.name, self.every = name, every
        self.start, self.total = time.monotonic(), 0.0

    def __call__(self, step: int, steps: int, loss: float, _network: Network) -> None:
        self.total += loss
        if step % self.every == 0 or step == steps:
            seconds = time.monotonic() - self.start
            mean = self.total / (step % self.every or self.every)
            print(f"{self.name} {step}/{steps} loss {mean:.3f} {seconds:.0f} s", flush=True)
            self.total = 0.0
