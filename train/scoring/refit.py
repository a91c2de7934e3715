"""Refits the rationale head on the finished network's states.

While the network learns, most replies have no rationale, and the head learns above all to say so.
What is shown is the rationale of replies that have one; so the head is fitted again, alone, to the
tokens of those. On validation this found spans better for each mechanism.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import parametrize

from train.scoring.encoding import EncodedPair
from train.scoring.fit import states
from train.scoring.network import Network

EPOCHS = 6
BATCH = 512
RATE = 3e-3
DECAY = 3e-2
READ = 32


def refit_rationales(network: Network, rows: Sequence[EncodedPair], seed: int) -> None:
    """Put a new rationale head into `network`, fitted to those of `rows` that have a rationale."""
    chosen = [row for row in rows if any(map(any, row.marks))]
    found, marks, owners = _tokens(network, chosen)
    weights, bias = [], []
    for i in range(network.rationale.out_features):
        own = torch.tensor([any(mark[i] for mark in row.marks) for row in chosen])[owners]
        weight, start = _logistic(found[own], marks[own, i], seed)
        weights.append(weight)
        bias.append(start)
    with torch.no_grad():
        network.rationale.weight.copy_(torch.stack(weights))
        network.rationale.bias.copy_(torch.stack(bias))


def _tokens(network: Network, rows: Sequence[EncodedPair]) -> tuple[Tensor, Tensor, Tensor]:
    """All pieces of the replies but their markers: states (T, H), marks (T, mechanisms), reply."""
    found, marks, owners = [], [], []
    with torch.inference_mode(), parametrize.cached():
        for start in range(0, len(rows), READ):
            r, _ = states(network, rows[start : start + READ])
            for n, row in enumerate(rows[start : start + READ]):
                inner = len(row.reply) - 2
                found.append(r[n, 1 : inner + 1])
                marks.append(torch.tensor(row.marks[1:-1], dtype=torch.float32))
                owners.append(torch.full((inner,), start + n))
    # Copies: what inference mode made cannot be learnt from.
    return torch.cat(found).clone(), torch.cat(marks), torch.cat(owners)


def _logistic(x: Tensor, y: Tensor, seed: int) -> tuple[Tensor, Tensor]:
    """Weights (H) and bias of a logistic regression of `y` (T) on `x` (T, H)."""
    torch.manual_seed(seed)
    mean, spread = x.mean(0), x.std(0) + 1e-3
    scaled = (x - mean) / spread
    layer = nn.Linear(x.shape[1], 1)
    optimiser = torch.optim.AdamW(layer.parameters(), lr=RATE, weight_decay=DECAY)
    for _ in range(EPOCHS):
        for batch in torch.randperm(len(y)).split(BATCH):
            logits = layer(scaled[batch]).squeeze(1)
            optimiser.zero_grad()
            F.binary_cross_entropy_with_logits(logits, y[batch]).backward()
            optimiser.step()
    weight = layer.weight.detach()[0] / spread
    return weight, layer.bias.detach()[0] - weight @ mean
