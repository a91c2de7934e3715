"""Which trainer does a run, and what all of them have in common: a run that can be resumed.

On one process the lean trainers of `losses.py` and `preference.py` do SFT and DPO's sigmoid loss;
everything else (TRL's other losses, KTO, several processes) is TRL's own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch.utils.data import Sampler
from transformers.trainer_pt_utils import get_length_grouped_indices
from trl import DPOTrainer, KTOTrainer, SFTTrainer

from train.losses import ReplyTrainer
from train.preference import PairTrainer
from train.processes import processes


class LikeLengths(Sampler[int]):
    """Rows of like length together, shuffled by seed and epoch alone.

    So the order after a resumption is that of an unbroken run, whatever drew random numbers before.
    `size`: the rows of a step, over all processes; `epoch`: how far training is, asked anew at the
    start of every pass.
    """

    def __init__(
        self, lengths: Sequence[int], size: int, seed: int, epoch: Callable[[], float | None]
    ) -> None:
        self.lengths = list(lengths)
        self.size = size
        self.seed = seed
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.lengths)

    def __iter__(self) -> Iterator[int]:
        # A checkpoint at the end of an epoch says 0.9999… where the next begins.
        passes = int((self.epoch() or 0.0) + 1e-6)
        generator = torch.Generator().manual_seed(self.seed + 1000 * passes)
        return iter(get_length_grouped_indices(self.lengths, self.size, generator=generator))


class _Run:
    """Mixed into a trainer of TRL."""

    def _get_train_sampler(self, train_dataset: Any = None) -> Sampler[int]:
        rows = self.train_dataset if train_dataset is None else train_dataset
        own = "length" in rows.column_names
        lengths = rows["length"] if own else [len(ids) for ids in rows["input_ids"]]
        args = self.args
        size = args.per_device_train_batch_size * args.gradient_accumulation_steps
        size *= args.world_size
        return LikeLengths(lengths, size, args.seed, lambda: self.state.epoch)

    def create_model_card(self, *_: Any, **__: Any) -> None:
        """The run's own card is written when it has finished."""


class LeanSft(_Run, ReplyTrainer):
    pass


class PlainSft(_Run, SFTTrainer):
    pass


class LeanDpo(_Run, PairTrainer):
    pass


class PlainDpo(_Run, DPOTrainer):
    pass


class PlainKto(KTOTrainer):
    """KTO keeps the rows' own order: each is paired with its neighbours beforehand."""

    def create_model_card(self, *_: Any, **__: Any) -> None:
        """The run's own card is written when it has finished."""


def lean(model: Any) -> bool:
    """Whether the lean trainers know their way in `model`, and there is one process only."""
    causal = model.get_base_model() if hasattr(model, "get_base_model") else model
    shaped = hasattr(causal, "model") and hasattr(causal, "lm_head")
    return shaped and processes().num_processes == 1


def forget_reference(trainer: DPOTrainer) -> None:
    """Drop TRL's frozen copy of the start adapter: its log-probabilities are precomputed."""
    if "ref" in getattr(trainer.model, "peft_config", {}):
        trainer.model.delete_adapter("ref")
        trainer.model.set_adapter("default")
