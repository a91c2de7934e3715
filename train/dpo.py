"""Preference training: python -m train.dpo --run FOLDER, or --recipe nano-dpo [--set key=value …]

DPO from the recipe's `start` adapter, which is also the frozen reference, on emotion-grounded
pairs made of EmpatheticDialogues' training split (or a file of pairs); watches pairs of the
validation split. The adapter that comes of it sits on the base alone. The test split is not read.
`--run` does the run in FOLDER; `--recipe` trains straight to the recipe's `out`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from empo.errors import UsageError
from empo.training.recipe import DpoRecipe, KtoRecipe, lean_dpo
from empo.types import PreferencePair
from train.adapters import load_base, load_policy
from train.entry import common, finish, main
from train.pairs import preference_rows, training_pairs

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedTokenizerBase
    from trl import DPOTrainer


def as_rows(
    pairs: Sequence[PreferencePair],
    recipe: DpoRecipe | KtoRecipe,
    tokenizer: PreTrainedTokenizerBase,
) -> Dataset:
    """TRL's rows, with the length (in characters) that batches are grouped by, longest last."""
    from datasets import Dataset

    return Dataset.from_list(preference_rows(pairs, recipe, tokenizer))


def build(
    recipe: DpoRecipe, folder: str, callbacks: Sequence[Any] = (), keep: bool = True
) -> DPOTrainer:
    """The trainer of `recipe`; trainer state goes to `folder`, with checkpoints if `keep`."""
    from trl import DPOConfig

    from train.processes import precomputes
    from train.trainers import forget_reference, lean

    pairs, watched = training_pairs(recipe)
    base, tokenizer = load_base(recipe)
    model, new = load_policy(base, recipe)
    rows = as_rows(pairs, recipe, tokenizer)
    mix = {"loss_type": [recipe.loss]}
    paired = lean_dpo(recipe) and lean(model)
    beforehand = recipe.precompute and precomputes()
    if recipe.sft_weight and not paired:
        mix = {"loss_type": [recipe.loss, "sft"], "loss_weights": [1.0, recipe.sft_weight]}
    config = DPOConfig(
        **common(recipe, len(rows), folder, keep),
        **mix,
        beta=recipe.beta,
        label_smoothing=recipe.label_smoothing,
        max_length=recipe.optimiser.max_length,
        precompute_ref_log_probs=beforehand,
        remove_unused_columns=False,  # the sampler needs `length`
    )
    trainer = _kind(recipe, paired, tokenizer)(
        model=model,
        args=config,
        train_dataset=rows,
        eval_dataset=as_rows(watched, recipe, tokenizer) if watched else None,
        processing_class=tokenizer,
        peft_config=new,
        callbacks=list(callbacks),
    )
    if beforehand:
        forget_reference(trainer)
    return trainer


def _kind(recipe: DpoRecipe, paired: bool, tokenizer: PreTrainedTokenizerBase) -> Any:
    """The trainer's class, the lean one with what only it takes."""
    from functools import partial

    from train.preference import SharedPromptCollator
    from train.trainers import LeanDpo, PlainDpo

    if not paired:
        if recipe.loss == "sigmoid" and recipe.label_smoothing:
            raise UsageError("label_smoothing with sigmoid needs precompute=true and one process.")
        return PlainDpo
    return partial(
        LeanDpo,
        data_collator=SharedPromptCollator(tokenizer.pad_token_id, recipe.optimiser.max_length),
        sft_weight=recipe.sft_weight,
    )


if __name__ == "__main__":
    finish(lambda: main(__doc__, DpoRecipe, "dpo", build, None))
