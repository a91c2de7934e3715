"""The training entries on a few real dialogues; the lean losses against plain ones."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any, get_args

import pytest
import torch
from safetensors.torch import load_file
from torch.nn.functional import logsigmoid

from empo.data.dialogues import load_split
from empo.errors import DataError, StackError
from empo.models.likelihood import Likelihood
from empo.models.stacks import Source, Stack, load_stack
from empo.pairs import paper_pairs
from empo.training.recipe import DpoRecipe, Losses, SftRecipe, load_recipe
from empo.types import ModelSpec, Turn
from tests.small_runs import small_spec
from tests.tiny_models import VOCABULARY, save_adapter, save_base
from train import dpo, kto, sft
from train.adapters import load_base, load_start
from train.adapters import save_adapter as save
from train.entry import main, within
from train.pairs import read_pairs
from train.preference import SharedPromptCollator, pair_log_probs
from train.stopping import StopFile
from train.trainers import LikeLengths

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
    assert main(None, SftRecipe, "sft", sft.build, ["--recipe", "nano-sft", *changes]) == 0
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


def test_replies_are_cut_as_trl_cuts_them() -> None:
    from trl.trainer.dpo_trainer import DataCollatorForPreference

    rows = [
        {"prompt_ids": [5, 6, 7], "chosen_ids": [8, 9, 10], "rejected_ids": [11]},
        {"prompt_ids": [5], "chosen_ids": [8, 9], "rejected_ids": [11, 12, 13, 14, 15]},
    ]
    theirs = DataCollatorForPreference(pad_token_id=0, max_length=4)(rows)
    ours = SharedPromptCollator(0, 4)(rows)
    for side in (1, 2):
        for n, row in enumerate(rows):
            kept = theirs["completion_mask"][2 * (side - 1) + n].bool()
            wanted = theirs["input_ids"][2 * (side - 1) + n][kept].tolist()
            assert ours["input_ids"][n][ours["side"][n] == side].tolist() == wanted
            assert len(wanted) == min(4 - len(row["prompt_ids"]), len(wanted)) > 0


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


def first_loss(tmp_path: Path, module: Any, base: Path, kind: str, **changes: Any) -> Any:
    """The first logged step of a run over a tiny random base."""
    few = {"limit": 8, "valid": 2} | changes
    trainer = module.build(small_spec(base, "x", kind, **few), str(tmp_path / "state"))
    trainer.train()
    return next(row for row in trainer.state.log_history if "loss" in row)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_base(tmp_path_factory.mktemp("tiny"))


# What each loss is where policy and reference are one, margin 0 (beta 0.1; smoothing 0.1).
AT_THE_START = {
    "ipo": 25.0,  # (0 - 1 / (2 beta))^2
    "apo_zero": 1.0,  # 1 - 1/2 + 1/2
    "robust": math.log(2),
}


@pytest.mark.parametrize("loss", sorted(AT_THE_START))
def test_trl_s_losses_start_where_they_should(tmp_path: Path, tiny: Path, loss: str) -> None:
    smoothing = {"label_smoothing": 0.1} if loss == "robust" else {}
    row = first_loss(tmp_path, dpo, tiny, "dpo", loss=loss, **smoothing)
    assert row["loss"] == pytest.approx(AT_THE_START[loss], abs=1e-3)
    assert row["rewards/margins"] == pytest.approx(0, abs=1e-4)


@pytest.mark.nightly
@pytest.mark.parametrize("loss", sorted(set(get_args(Losses)) - set(AT_THE_START)))
def test_every_loss_trains(tmp_path: Path, tiny: Path, loss: str) -> None:
    smoothing = {"label_smoothing": 0.1} if loss == "exo_pair" else {}
    row = first_loss(tmp_path, dpo, tiny, "dpo", loss=loss, **smoothing)
    assert math.isfinite(row["loss"])


def test_the_lean_trainer_equals_trl(tmp_path: Path, tiny: Path) -> None:
    """The same first steps with TRL's own DPO trainer, reference in memory or precomputed."""
    few = {"limit": 8, "valid": 0}
    curves = []
    for name, changes in (("lean", {}), ("memory", {"precompute": False})):
        spec = small_spec(tiny, name, **few, **changes)
        trainer = dpo.build(spec, str(tmp_path / name))
        trainer.train()
        curves.append([row["loss"] for row in trainer.state.log_history if "loss" in row])
    assert curves[0] == pytest.approx(curves[1], abs=1e-4)
    assert curves[0][0] == pytest.approx(math.log(2), abs=1e-5)


def test_smoothing_is_that_of_cdpo(tmp_path: Path, tiny: Path) -> None:
    """At margin m: −0.8 log σ(βm) − 0.2 log σ(−βm), from the logged margin of one pair."""
    changes = {"label_smoothing": 0.2, "valid": 0, "limit": 3}
    changes |= {"optimiser": {"epochs": 2, "learning_rate": 0.01, "batch": 1, "max_length": 256}}
    trainer = dpo.build(small_spec(tiny, "x", **changes), str(tmp_path))
    trainer.train()
    rows = [row for row in trainer.state.log_history if "loss" in row]
    assert max(abs(row["rewards/margins"]) for row in rows) > 0.01
    for row in rows:
        margin = torch.tensor(row["rewards/margins"])
        wanted = -0.8 * logsigmoid(margin) - 0.2 * logsigmoid(-margin)
        assert row["loss"] == pytest.approx(wanted.item(), abs=1e-4)


def test_kto_trains_from_its_start(tmp_path: Path, tiny: Path) -> None:
    start = save_adapter(tiny, tmp_path / "start", 1)
    row = first_loss(tmp_path, kto, tiny, "kto", lora=None, start=str(start))
    # Reward 0 for both, so that each counts 1 - σ(0).
    assert row["loss"] == pytest.approx(0.5, abs=1e-3)


def test_a_tuned_vocabulary_is_saved_once(tmp_path: Path, tiny: Path) -> None:
    """The paper's form: embed_tokens and lm_head in full, a [PAD] token; DPO goes on from it."""
    lora = {"rank": 4, "alpha": 8, "full": ["embed_tokens", "lm_head"]}
    few = {"limit": 8, "valid": 2, "pad_token": "[PAD]"}
    trainer = sft.build(small_spec(tiny, "x", "sft", lora=lora, **few), str(tmp_path / "state"))
    trainer.train()
    dpo_start = tmp_path / "adapter"
    save(trainer.model, dpo_start, str(tiny))
    names = load_file(dpo_start / "adapter_model.safetensors")
    tables = {name: tensor.shape for name, tensor in names.items() if "lora" not in name}
    assert {name.split(".")[-2]: shape[0] for name, shape in tables.items()} == {
        "embed_tokens": VOCABULARY + 1,
        "lm_head": VOCABULARY + 1,
    }
    assert len(tables) == 2
    row = first_loss(tmp_path, dpo, tiny, "dpo", lora=None, start=str(dpo_start), **few)
    assert row["loss"] == pytest.approx(math.log(2), abs=1e-4)
    assert row["rewards/margins"] == pytest.approx(0, abs=1e-4)


def test_long_rows_are_left_out() -> None:
    rows = list("abcdefghij")
    assert within(rows, range(10), 50) == list("abcde")
    assert within(rows, range(10), 95) == rows
    assert within(rows, [9, 0, 9, 0, 9, 0, 9, 0, 9, 0], 10) == list("bdfhj")
    assert within(rows, range(10), None) == rows and within([], [], 5) == []


def test_the_order_depends_on_seed_and_epoch_alone() -> None:
    lengths = [n % 7 for n in range(50)]
    orders = []
    for epoch in (0.0, 0.0, 0.9999999, 1.0, 1.5, 2.0):
        torch.manual_seed(len(orders))  # whatever was drawn before
        orders.append(list(LikeLengths(lengths, 4, 5, lambda epoch=epoch: epoch)))
    assert orders[0] == orders[1] and sorted(orders[0]) == list(range(50))
    assert orders[2] == orders[3] == orders[4] != orders[0]
    assert orders[5] not in orders[:5]


def test_pairs_are_read_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "pairs.jsonl"
    prompt = [{"role": "user", "content": "I lost my job."}]
    good = {"prompt": prompt, "chosen": "Oh no.", "rejected": [{"role": "assistant",
            "content": "Nice."}], "emotion": "sad"}  # fmt: skip
    path.write_text(json.dumps(good) + "\n\n", "utf-8")
    (pair,) = read_pairs(path)
    assert (pair.chosen, pair.rejected, pair.emotion) == ("Oh no.", "Nice.", "sad")
    for change, said in (
        ({"chosen": "Nice."}, "chosen and rejected are the same"),
        ({"chosen": " "}, "field chosen is missing or empty"),
        ({"prompt": [*prompt, {"role": "assistant", "content": "x"}]}, "does not end with"),
        ({"prompt": [{"role": "boss", "content": "x"}]}, "has no role or no content"),
    ):
        path.write_text(json.dumps(good) + "\n" + json.dumps(good | change) + "\n", "utf-8")
        with pytest.raises(DataError, match=f"Line 2: .*{said}"):
            read_pairs(path)


def test_a_missing_start_is_said() -> None:
    base, _ = load_base(load_recipe("nano-sft", SftRecipe))
    with pytest.raises(StackError, match="There is no adapter in no/where; train it first"):
        load_start(base, "no/where")


def test_stop_file_ends_a_run(tmp_path: Path) -> None:
    (tmp_path / "STOP").touch()
    recipe = load_recipe("nano-sft", SftRecipe, SMALL)
    trainer = sft.build(recipe, str(tmp_path), [StopFile(str(tmp_path))], keep=False)
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
