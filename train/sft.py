"""Supervised fine-tuning: python -m train.sft --recipe nano-sft [--set key=value …] [--run FOLDER]

Trains a LoRA over the recipe's base on the listener's turns of EmpatheticDialogues' training
split, watches part of the validation split, and saves the adapter. The test split is not read.
`--run` is where trainer state goes (default: a temporary folder).
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from typing import TYPE_CHECKING

from empo.data.dialogues import load_split
from empo.errors import EmpoError
from empo.settings import settings
from empo.types import Dialogue
from train.adapters import load_base, lora_config, save_adapter
from train.entry import arguments, common, sample
from train.recipe import SftRecipe, load_recipe, rooted

if TYPE_CHECKING:
    from datasets import Dataset
    from trl import SFTTrainer


def as_rows(dialogues: Sequence[Dialogue]) -> Dataset:
    """One `messages` row a dialogue, up to its last listener turn (nothing after it is trained)."""
    from datasets import Dataset

    rows = []
    for dialogue in dialogues:
        turns = dialogue.turns
        while turns and turns[-1].role != "assistant":
            turns = turns[:-1]
        rows.append({"messages": [{"role": t.role, "content": t.text} for t in turns]})
    return Dataset.from_list(rows)


def build(recipe: SftRecipe, folder: str) -> SFTTrainer:
    """The trainer of `recipe`; trainer state goes to `folder`."""
    from trl import SFTConfig

    from train.losses import ReplyTrainer
    from train.stopping import StopFile

    data = settings().data_dir
    train = as_rows(sample(load_split(data, "train"), recipe.limit, recipe.seed))
    watched = sample(load_split(data, "valid"), recipe.valid, recipe.seed)
    model, tokenizer = load_base(recipe.base)
    config = SFTConfig(
        **common(recipe, len(train), folder),
        max_length=recipe.optimiser.max_length,
        assistant_only_loss=True,
        train_sampling_strategy="group_by_length",
    )
    return ReplyTrainer(
        model=model,
        args=config,
        train_dataset=train,
        eval_dataset=as_rows(watched) if watched else None,
        processing_class=tokenizer,
        peft_config=lora_config(recipe.lora),
        callbacks=[StopFile(folder)],
    )


def main(argv: Sequence[str] | None = None) -> int:
    args = arguments(__doc__, argv)
    recipe = load_recipe(args.recipe, SftRecipe, args.set)
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
