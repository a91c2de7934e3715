"""The training entries on a few real dialogues; the lean losses against plain ones."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from empo.data.dialogues import load_split
from empo.errors import StackError
from empo.models.likelihood import Likelihood
from empo.models.stacks import Source, Stack, load_stack
from empo.pairs import paper_pairs
from empo.training.recipe import DpoRecipe, SftRecipe, load_recipe
from empo.types import ModelSpec, Turn
from train import dpo, sft
from train.adapters import load_base, load_start
from train.preference import SharedPromptCollator, pair_log_probs

SMALL = ["limit=8", "valid=4", "evaluations=1", "optimiser.epochs=1", "optimiser.batch=4"]


@pytest.fixture(autouse=True)
def one_thread(data_folder: Path) -> None:
    torch.set_num_threads(1)


def test_reply_loss_equals_trl(tmp_path: Path) -> None:
    """The mean over listener tokens, as TRL's own loss has it."""
    from trl import SFTTrainer

    trainer = sft.build(load_recipe("nano-sft", SftRecipe, SMALL), str(tmp_path))
    batch = next(iter(trainer.get_train_dataloader()))
    trainer.model.eval()
    with torch.inference_mode():
        ours = trainer.compute_loss(trainer.model, dict(batch))
        theirs = SFTTrainer.compute_loss(trainer, trainer.model, dict(batch))
    assert ours.item() == pytest.approx(theirs.item(), rel=1e-5)


def test_sft_saves_a_portable_adapter(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "README.md").write_text("a card", "utf-8")
    rank = ["lora.rank=4", f"out={out}"]
    changes = [part for text in SMALL + rank for part in ("--set", text)]
    assert sft.main(["--recipe", "nano-sft", *changes]) == 0
    assert {path.name for path in out.iterdir()} == {
        "README.md",
        "adapter_config.json",
        "adapter_model.safetensors",
    }
    config = json.loads((out / "adapter_config.json").read_text("utf-8"))
    assert config["base_model_name_or_path"] == "assets/models/nano/base"
    assert config["r"] == 4
    weights = load_file(out / "adapter_model.safetensors")
    assert {tensor.dtype for tensor in weights.values()} == {torch.bfloat16}
    assert any(tensor.abs().max() > 0 for name, tensor in weights.items() if "lora_B" in name)
    assert len(weights) == 2 * 7 * 8


def test_shared_prompt_equals_separate_sequences(data_folder: Path) -> None:
    """Log-probabilities of both replies of four pairs: one sequence a pair, or one a reply."""
    pairs = paper_pairs(load_split(data_folder, "valid"))[:4]
    base, tokenizer = load_base(load_recipe("nano-sft", SftRecipe))
    model = load_start(base, "assets/models/nano/sft").eval()
    rows = []
    for pair in pairs:
        prompt = _ids(tokenizer, pair.prompt)
        both = {
            f"{side}_ids": _ids(tokenizer, (*pair.prompt, Turn("assistant", text)))[len(prompt) :]
            for side, text in (("chosen", pair.chosen), ("rejected", pair.rejected))
        }
        rows.append({"prompt_ids": prompt} | both)
    # The header <|assistant|> stands in the prompt, the end marker and a line break in the reply.
    with torch.inference_mode():
        batch = SharedPromptCollator(tokenizer.pad_token_id)(rows)
        ours = pair_log_probs(model.get_base_model(), batch)
        for i, row in enumerate(rows):
            for side, values in zip(("chosen", "rejected"), ours, strict=True):
                ids = torch.tensor([row["prompt_ids"] + row[f"{side}_ids"]])
                logits = model(input_ids=ids).logits[0].log_softmax(-1)
                start = len(row["prompt_ids"])
                plain = logits[range(start - 1, ids.shape[1] - 1), ids[0, start:]].sum()
                assert values[i].item() == pytest.approx(plain.item(), abs=2e-3)


def _ids(tokenizer, turns) -> list[int]:
    messages = [{"role": turn.role, "content": turn.text} for turn in turns]
    more = turns[-1].role == "user"
    return tokenizer.apply_chat_template(messages, add_generation_prompt=more, return_dict=True)[
        "input_ids"
    ]


def test_dpo_starts_at_its_reference_and_moves(tmp_path: Path) -> None:
    """Before the first step every log-ratio is 0; training widens the margin on its own pairs."""
    few = [*SMALL, "limit=4", "optimiser.epochs=6", "optimiser.learning_rate=0.002"]
    trainer = dpo.build(load_recipe("nano-dpo", DpoRecipe, few), str(tmp_path))
    batch = next(iter(trainer.get_train_dataloader()))
    causal = trainer.model.get_base_model()
    with torch.inference_mode():
        chosen, rejected = pair_log_probs(causal, batch)
        assert torch.allclose(chosen, batch["ref_chosen_logps"], atol=2e-3)
        assert torch.allclose(rejected, batch["ref_rejected_logps"], atol=2e-3)
    trainer.train()
    with torch.inference_mode():
        better, worse = pair_log_probs(causal, batch)
    assert ((better - chosen) - (worse - rejected)).mean() > 1.0


def test_a_missing_start_is_said() -> None:
    base, _ = load_base(load_recipe("nano-sft", SftRecipe))
    with pytest.raises(StackError, match="There is no adapter in no/where; train it first"):
        load_start(base, "no/where")


def test_stop_file_ends_a_run(tmp_path: Path) -> None:
    (tmp_path / "STOP").touch()
    trainer = sft.build(load_recipe("nano-sft", SftRecipe, SMALL), str(tmp_path))
    trainer.train()
    assert trainer.state.global_step == 1


def test_shipped_adapters_differ_from_the_base_and_from_each_other() -> None:
    """SFT lowers the loss of a listener's reply it was made for; DPO is not a copy of SFT."""
    stack = load_stack("nano")
    talk = [
        (Turn("user", "My cat died yesterday."), Turn("assistant", "I'm so sorry to hear that."))
    ]
    likelihood = Likelihood(stack)
    nats = {name: likelihood.score(name, talk)[0][0].nats for name in ("base", "sft", "dpo")}
    assert nats["sft"] < nats["base"] and nats["dpo"] != nats["sft"]
    only = ModelSpec("sft", "SFT", "", "sft", {"sft": 1.0})
    alone = Stack("t", "t", Source("assets/models/nano/base"), stack.adapters, (only,), "none")
    assert Likelihood(alone).score("sft", talk)[0][0].nats == pytest.approx(nats["sft"], abs=1e-3)
