"""Preference training: python -m train.dpo --recipe nano-dpo [--set key=value …] [--run FOLDER]

DPO from the recipe's `start` adapter, which is also the frozen reference, on preference
pairs made of EmpatheticDialogues' training split; watches pairs of the validation split, and saves
the adapter, which sits on the base alone. The test split is not read. `--run` is where trainer
state goes (default: a temporary folder).
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from typing import TYPE_CHECKING

from empo.data.dialogues import load_split
from empo.data.preferences import conversational
from empo.errors import EmpoError
from empo.pairs import make_pairs
from empo.settings import settings
from empo.types import PreferencePair
from train.adapters import load_base, load_start, save_adapter
from train.entry import arguments, common, sample
from train.recipe import DpoRecipe, load_recipe, rooted

if TYPE_CHECKING:
    from datasets import Dataset
    from trl import DPOTrainer


def as_rows(pairs: Sequence[PreferencePair]) -> Dataset:
    """TRL's rows, with the length (in characters) that batches are grouped by, longest last."""
    from datasets import Dataset

    rows = []
    for pair in pairs:
        size = sum(len(turn.text) for turn in pair.prompt) + len(pair.chosen) + len(pair.rejected)
        rows.append(conversational(pair) | {"length": size})
    return Dataset.from_list(sorted(rows, key=lambda row: row["length"]))


def build(recipe: DpoRecipe, folder: str) -> DPOTrainer:
    """The trainer of `recipe`; trainer state goes to `folder`."""
    from trl import DPOConfig

    from train.preference import PairTrainer, SharedPromptCollator
    from train.stopping import StopFile

    data = settings().data_dir
    seed = recipe.seed
    pairs = make_pairs(load_split(data, "train"), recipe.strategy, seed, recipe.draws)
    train = as_rows(sample(pairs, recipe.limit, seed))
    watched = make_pairs(load_split(data, "valid"), recipe.strategy, seed)
    watched = sample(watched, recipe.valid, seed)
    base, tokenizer = load_base(recipe.base)
    config = DPOConfig(
        **common(recipe, len(train), folder),
        beta=recipe.beta,
        max_length=recipe.optimiser.max_length,
        precompute_ref_log_probs=True,
        train_sampling_strategy="group_by_length",
        remove_unused_columns=False,  # the sampler needs `length`
    )
    return PairTrainer(
        model=load_start(base, recipe.start),
        args=config,
        train_dataset=train,
        eval_dataset=as_rows(watched) if watched else None,
        processing_class=tokenizer,
        data_collator=SharedPromptCollator(tokenizer.pad_token_id),
        callbacks=[StopFile(folder)],
        sft_weight=recipe.sft_weight,
    )


def main(argv: Sequence[str] | None = None) -> int:
    args = arguments(__doc__, argv)
    recipe = load_recipe(args.recipe, DpoRecipe, args.set)
    with tempfile.TemporaryDirectory() as scratch:
        trainer = build(recipe, args.run or scratch)
        trainer.train()
        save_adapter(trainer.model, rooted(recipe.out), recipe.base)
    print(f"Saved the adapter to {recipe.out}.")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except EmpoError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)
