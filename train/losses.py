"""An SFT trainer whose language-model head sees the trained tokens only.

On a CPU, TRL 1.16 projects every position to the vocabulary and works out entropies beside the
loss. Two tokens in three of a dialogue carry no loss here, and in a small model the head holds a
quarter of all weights: both are left out, with the same loss.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.nn.functional import cross_entropy
from trl import SFTTrainer

IGNORED = -100


class ReplyTrainer(SFTTrainer):
    """`SFTTrainer` with the plain token-weighted cross-entropy over labelled positions."""

    def compute_loss(
        self,
        model: torch.nn.Module,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: torch.Tensor | int | None = None,
    ) -> torch.Tensor:
        """Summed cross-entropy ÷ labelled tokens of the whole step (or of the batch)."""
        causal = self.accelerator.unwrap_model(model).get_base_model()
        hidden = causal.model(
            input_ids=inputs["input_ids"],
            attention_mask=inputs.get("attention_mask"),
            position_ids=inputs.get("position_ids"),
            use_cache=False,
        ).last_hidden_state[:, :-1]
        labels = inputs["labels"][:, 1:]
        known = labels != IGNORED
        logits = causal.lm_head(hidden[known]).float()
        total = cross_entropy(logits, labels[known], reduction="sum")
        tokens = known.sum() if num_items_in_batch is None else num_items_in_batch
        loss = total / torch.as_tensor(tokens).clamp(min=1)
        return (loss, {"logits": logits}) if return_outputs else loss
