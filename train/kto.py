"""Preference training without pairs: python -m train.kto --run FOLDER, or --recipe FILE.yaml

KTO (Ethayarajh et al. 2024, arXiv 2402.01306): every reply alone, wished for (the human's) or not
(that of a dialogue of the opposite emotion), from the recipe's `start` adapter, which is also the
frozen reference. Data, watching and options are those of `train.dpo`.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from empo.training.recipe import KtoRecipe
from empo.types import PreferencePair
from train.adapters import load_base, load_policy
from train.entry import common, finish, main
from train.pairs import preference_rows, training_pairs

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedTokenizerBase
    from trl import KTOTrainer


def as_rows(
    pairs: Sequence[PreferencePair], recipe: KtoRecipe, tokenizer: PreTrainedTokenizerBase
) -> Dataset:
    """Two rows a pair, in an order drawn by the seed: KTO compares neighbours."""
    from datasets import Dataset

    rows = []
    for row in preference_rows(pairs, recipe, tokenizer):
        for side in ("chosen", "rejected"):
            rows.append(
                {"prompt": row["prompt"], "completion": row[side], "label": side == "chosen"}
            )
    random.Random(recipe.seed).shuffle(rows)
    return Dataset.from_list(rows)


def build(
    recipe: KtoRecipe, folder: str, callbacks: Sequence[Any] = (), keep: bool = True
) -> KTOTrainer:
    """The trainer of `recipe`; trainer state goes to `folder`, with checkpoints if `keep`."""
    from trl import KTOConfig

    from train.processes import precomputes
    from train.trainers import PlainKto, forget_reference

    pairs, watched = training_pairs(recipe)
    base, tokenizer = load_base(recipe)
    model, new = load_policy(base, recipe)
    rows = as_rows(pairs, recipe, tokenizer)
    config = KTOConfig(
        **common(recipe, len(rows), folder, keep),
        beta=recipe.beta,
        desirable_weight=recipe.desirable_weight,
        undesirable_weight=recipe.undesirable_weight,
        max_length=recipe.optimiser.max_length,
        precompute_ref_log_probs=precomputes(),
        train_sampling_strategy="sequential",
    )
    trainer = PlainKto(
        model=model,
        args=config,
        train_dataset=rows,
        eval_dataset=as_rows(watched, recipe, tokenizer) if watched else None,
        processing_class=tokenizer,
        peft_config=new,
        callbacks=list(callbacks),
    )
    if precomputes():
        forget_reference(trainer)
    return trainer


if __name__ == "__main__":
    finish(lambda: main(__doc__, KtoRecipe, "kto", build, None))
