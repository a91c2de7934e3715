"""Supervised fine-tuning: python -m train.sft --run FOLDER, or --recipe nano-sft [--set k=v …]

Trains a LoRA over the recipe's base on the listener's turns of EmpatheticDialogues' training
split, and watches part of the validation split. The test split is not read. `--run` does the run
in FOLDER; `--recipe` trains straight to the recipe's `out`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from empo.pairs.learning import learning_split
from empo.prompts import system_prompt, with_system
from empo.training.recipe import SftRecipe
from empo.types import Dialogue
from train.adapters import load_base, load_policy
from train.entry import as_messages, common, finish, main, markers_of, sample, tokens, within

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedTokenizerBase
    from trl import SFTTrainer


def as_rows(
    dialogues: Sequence[Dialogue], recipe: SftRecipe, tokenizer: PreTrainedTokenizerBase
) -> Dataset:
    """One `messages` row a dialogue, up to its last listener turn (nothing after it is trained)."""
    from datasets import Dataset

    prompt, markers = system_prompt(recipe.prompt, "sft"), markers_of(tokenizer)
    rows = []
    for dialogue in dialogues:
        turns = dialogue.turns
        while turns and turns[-1].role != "assistant":
            turns = turns[:-1]
        rows.append({"messages": as_messages(with_system(turns, prompt), markers)})
    texts = [" ".join(message["content"] for message in row["messages"]) for row in rows]
    if recipe.length_percentile is not None:
        rows = within(rows, tokens(tokenizer, texts), recipe.length_percentile)
    return Dataset.from_list(rows)


def build(
    recipe: SftRecipe, folder: str, callbacks: Sequence[Any] = (), keep: bool = True
) -> SFTTrainer:
    """The trainer of `recipe`; trainer state goes to `folder`, with checkpoints if `keep`."""
    from trl import SFTConfig

    from train.trainers import LeanSft, PlainSft, lean

    base, tokenizer = load_base(recipe)
    train = sample(learning_split(recipe.data, "train"), recipe.limit, recipe.seed)
    watched = sample(learning_split(recipe.data, "valid"), recipe.valid, recipe.seed)
    rows = as_rows(train, recipe, tokenizer)
    model, new = load_policy(base, recipe)
    config = SFTConfig(
        **common(recipe, len(rows), folder, keep),
        max_length=recipe.optimiser.max_length,
        assistant_only_loss=True,
    )
    return (LeanSft if lean(model) else PlainSft)(
        model=model,
        args=config,
        train_dataset=rows,
        eval_dataset=as_rows(watched, recipe, tokenizer) if watched else None,
        processing_class=tokenizer,
        peft_config=new,
        callbacks=list(callbacks),
    )


if __name__ == "__main__":
    finish(lambda: main(__doc__, SftRecipe, "sft", build, None))
