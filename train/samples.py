"""Replies of the model on the way: the same few validation dialogues at every evaluation."""

from __future__ import annotations

from typing import Any

import torch
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from empo.data.preferences import last_exchange
from empo.pairs.learning import learning_split
from empo.prompts import system_prompt, with_system
from empo.training.folder import RunFolder, append_line
from empo.training.recipe import Recipe
from train.entry import as_messages, sample

TOKENS = 40


class Samples(TrainerCallback):
    """Appends greedy replies to `samples.jsonl`, before the first step and at every evaluation."""

    def __init__(self, folder: RunFolder, spec: Recipe, first: bool = True) -> None:
        self.folder = folder
        self.rows: list[tuple[Any, str]] = []
        if first and spec.samples:
            dialogues = learning_split(spec.data, "valid")
            chosen = sample(dialogues, spec.samples, spec.seed + 1)
            prompt = system_prompt(spec.prompt, "sft")
            for turns, human in map(last_exchange, chosen):
                self.rows.append((with_system(turns, prompt), human))

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **more: Any
    ) -> None:
        if state.global_step == 0:
            self._answer(state.global_step, **more)

    def on_evaluate(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **more: Any
    ) -> None:
        self._answer(state.global_step, **more)

    def _answer(self, step: int, model: Any = None, processing_class: Any = None, **_: Any) -> None:
        was = model.training
        model.eval()
        for turns, human in self.rows:
            text = _reply(model, processing_class, as_messages(turns))
            said = next(turn.text for turn in reversed(turns) if turn.role == "user")
            row = {"step": step, "context": said, "reply": text, "human": human}
            append_line(self.folder / "samples.jsonl", row)
        model.train(was)


def _reply(model: Any, tokenizer: Any, messages: list[dict[str, str]]) -> str:
    inner = getattr(model, "module", model)  # several processes: within its wrapper
    ids = tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_dict=True)
    ids = torch.tensor([ids["input_ids"]], device=inner.device)
    with torch.no_grad():
        found = inner.generate(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            max_new_tokens=TOKENS,
            do_sample=False,
            pad_token_id=tokenizer.pad_token_id,
        )
    return tokenizer.decode(found[0, ids.shape[1] :], skip_special_tokens=True).strip()
