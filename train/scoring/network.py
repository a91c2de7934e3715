"""The scorer's network: one small encoder, a cross-attention, and a head for every signal.

Post and reply go through the same encoder, told apart by BERT's token type (0 speaker, 1 reply).
Each reply token then attends to the post's (as in Sharma et al. 2020, section 5, but with several
heads and a layer norm), and from these states r come, for each mechanism, a rationale logit for
every token and a level: r pooled with that mechanism's own attention, beside r of [CLS]. The
emotion is read from the mean of the speaker's own states. The *evidence* logits of the linear
models (`empo/scoring/wide.py`) come from a low layer that has learnt nothing of EPITOME, so that
what stands on them can be fitted to the training pairs honestly.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import BertConfig, BertModel

from empo.types import MECHANISMS

LEVELS = 3
WIDTH = 128


class Output(NamedTuple):
    """`levels` (N, mechanisms, 3) and `rationales` (N, L, mechanisms): logits."""

    levels: Tensor
    rationales: Tensor


class Network(nn.Module):
    """`encode` once, then `pair` for replies and `emotion` for speakers.

    `low` is the number of layers below the evidence logits.
    """

    def __init__(self, config: BertConfig, emotions: int, low: int = 0) -> None:
        super().__init__()
        self.low = low
        size = config.hidden_size
        self.heads = config.num_attention_heads
        self.encoder = BertModel(config, add_pooling_layer=False)
        self.query, self.key, self.value, self.out = (nn.Linear(size, size) for _ in range(4))
        self.norm = nn.LayerNorm(size, eps=config.layer_norm_eps)
        self.dropout = nn.Dropout(0.1)
        self.rationale = nn.Linear(size, len(MECHANISMS))
        self.pool = nn.Linear(size, len(MECHANISMS))
        self.dense = nn.ModuleList(nn.Linear(2 * size, WIDTH) for _ in MECHANISMS)
        self.level = nn.ModuleList(nn.Linear(WIDTH, LEVELS) for _ in MECHANISMS)
        self.feeling = nn.Linear(size, emotions)
        self.evidence = nn.Linear(size, len(MECHANISMS))

    def encode(self, ids: Tensor, mask: Tensor, role: int) -> Tensor:
        """Last hidden states (N, L, H) of `ids` (N, L); `mask` is 1 at real tokens."""
        types = torch.full_like(ids, role)
        return self.encoder(ids, attention_mask=mask, token_type_ids=types).last_hidden_state

    def low_states(self, ids: Tensor, mask: Tensor, role: int) -> Tensor:
        """The states (N, L, H) that the evidence is read from."""
        types = torch.full_like(ids, role)
        output = self.encoder(
            ids, attention_mask=mask, token_type_ids=types, output_hidden_states=True
        )
        return output.hidden_states[self.low]

    def emotion(self, states: Tensor, mask: Tensor) -> Tensor:
        """Emotion logits (N, emotions) of speakers' states."""
        weights = mask.unsqueeze(-1).to(states.dtype)
        mean = (states * weights).sum(1) / weights.sum(1)
        return self.feeling(self.dropout(mean))

    def beside(self, reply: Tensor, post: Tensor, post_mask: Tensor) -> Tensor:
        """The states r (N, L, H) of replies that have seen their posts (N, P, H)."""
        return self.norm(reply + self.dropout(self._attend(reply, post, post_mask)))

    def pair(self, reply: Tensor, reply_mask: Tensor, post: Tensor, post_mask: Tensor) -> Output:
        """Levels and rationales of replies (N, L, H), each beside its post (N, P, H)."""
        r = self.beside(reply, post, post_mask)
        hidden = (1 - reply_mask.unsqueeze(-1).to(r.dtype)) * -1e4
        weights = (self.pool(r) + hidden).softmax(1)
        pooled = torch.einsum("nlm,nlh->nmh", weights, r)
        levels = []
        for i, (dense, level) in enumerate(zip(self.dense, self.level, strict=True)):
            features = self.dropout(torch.cat([r[:, 0], pooled[:, i]], -1))
            levels.append(level(self.dropout(torch.tanh(dense(features)))))
        return Output(torch.stack(levels, 1), self.rationale(self.dropout(r)))

    def _attend(self, reply: Tensor, post: Tensor, post_mask: Tensor) -> Tensor:
        def split(states: Tensor) -> Tensor:
            return states.unflatten(-1, (self.heads, -1)).transpose(1, 2)

        mask = post_mask[:, None, None, :].bool()
        q, k, v = split(self.query(reply)), split(self.key(post)), split(self.value(post))
        seen = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        return self.out(seen.transpose(1, 2).flatten(2))


def from_minilm(
    folder: Path, kept: Sequence[int], emotions: int, positions: int, low: int
) -> Network:
    """A network whose encoder is MiniLM's, with the embedding rows `kept`.

    The cross-attention starts from the last layer's self-attention: a trained way of looking.
    """
    full = BertModel.from_pretrained(folder, add_pooling_layer=False)
    config = BertConfig(
        **{
            **full.config.to_dict(),
            "vocab_size": len(kept),
            "max_position_embeddings": positions,
            # Drawing dropout masks takes a third of a step on a CPU; the heads keep theirs.
            "hidden_dropout_prob": 0.0,
            "attention_probs_dropout_prob": 0.0,
        }
    )
    network = Network(config, emotions, low)
    weights = dict(full.state_dict())
    words = "embeddings.word_embeddings.weight"
    weights[words] = weights[words][list(kept)]
    places = "embeddings.position_embeddings.weight"
    weights[places] = weights[places][:positions]
    network.encoder.load_state_dict(
        {k: v for k, v in weights.items() if k in network.encoder.state_dict()}
    )
    last = full.encoder.layer[-1].attention
    for mine, theirs in (
        (network.query, last.self.query),
        (network.key, last.self.key),
        (network.value, last.self.value),
        (network.out, last.output.dense),
        (network.norm, last.output.LayerNorm),
    ):
        mine.load_state_dict(theirs.state_dict())
    return network
