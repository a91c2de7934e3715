"""Recipes: each that comes with the project parses, and what is wrong in one is said."""

from __future__ import annotations

import pytest
import yaml

from empo.errors import UsageError
from empo.training.recipe import (
    RECIPES,
    DpoRecipe,
    KtoRecipe,
    SftRecipe,
    load_recipe,
    load_spec,
    recipe_names,
    rooted,
)
from train.pretraining.recipe import PretrainRecipe
from train.scoring.recipe import ScorerRecipe

KINDS = {
    "sft": SftRecipe,
    "dpo": DpoRecipe,
    "kto": KtoRecipe,
    "scorer": ScorerRecipe,
    "pretrain": PretrainRecipe,
}


@pytest.mark.parametrize("name", sorted(path.stem for path in RECIPES.glob("*.yaml")))
def test_every_recipe_parses(name: str) -> None:
    raw = yaml.safe_load((RECIPES / f"{name}.yaml").read_text("utf-8"))
    recipe = load_recipe(name, KINDS[raw["kind"]])
    assert recipe.name == name and name in recipe_names()


def test_the_two_stages_fit_together() -> None:
    sft, dpo = load_recipe("nano-sft", SftRecipe), load_recipe("nano-dpo", DpoRecipe)
    assert (dpo.base, dpo.start) == (sft.base, sft.out)
    assert rooted(sft.base).is_dir()


def test_changes_are_laid_over() -> None:
    changes = ["optimiser.learning_rate=1e-3", "limit=7", "lora.targets=[q_proj]"]
    recipe = load_recipe("nano-sft", SftRecipe, changes)
    assert recipe.optimiser.learning_rate == 0.001
    assert (recipe.limit, recipe.lora.targets) == (7, ("q_proj",))


@pytest.mark.parametrize(
    "change, said",
    [
        ("colour=red", "nano-sft.yaml: colour: Extra inputs"),
        ("optimiser.speed=9", "nano-sft.yaml: optimiser.speed"),
        ("optimiser.epochs=0", "nano-sft.yaml: optimiser.epochs"),
        ("seed=one", "nano-sft.yaml: seed"),
        ("nothing", "write key=value"),
        ("lora.x.y=1", "no section lora.x"),
        ("limit=[", "the value is not YAML"),
    ],
)
def test_a_wrong_change_is_said(change: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        load_recipe("nano-sft", SftRecipe, [change])


def test_wrong_names_and_files_are_said(tmp_path) -> None:
    with pytest.raises(UsageError, match=r"There is no recipe “none”; choose .*nano-sft"):
        load_recipe("none", SftRecipe)
    with pytest.raises(UsageError, match=r"nano-dpo\.yaml: "):
        load_recipe("nano-dpo", SftRecipe)
    broken = tmp_path / "broken.yaml"
    broken.write_text("a: [", "utf-8")
    with pytest.raises(UsageError, match=r"broken\.yaml is not YAML"):
        load_recipe(str(broken), SftRecipe)


def test_the_paper_s_values() -> None:
    """arXiv 2406.19071 and its code: QLoRA SFT, then DPO from that adapter."""
    sft, dpo = load_recipe("zephyr-sft", SftRecipe), load_recipe("zephyr-dpo", DpoRecipe)
    assert (sft.quantisation, sft.pad_token, sft.prompt) == ("nf4", "[PAD]", "none")
    assert sft.lora and (sft.lora.rank, sft.lora.alpha, sft.lora.dropout) == (1024, 64, 0.1)
    assert (sft.lora.targets, set(sft.lora.full)) == ("all-linear", {"embed_tokens", "lm_head"})
    assert (sft.optimiser.learning_rate, sft.optimiser.epochs) == (1e-5, 1)
    assert sft.optimiser.max_length == 256
    assert (dpo.loss, dpo.beta, dpo.draws, dpo.length_percentile) == ("sigmoid", 0.052, 3, 95)
    step = dpo.optimiser
    assert (step.learning_rate, step.warmup, step.schedule, step.clip) == (1e-6, 0.1, "cosine", 0.3)
    assert {r.optimiser.batch * r.optimiser.accumulate for r in (sft, dpo)} == {64}
    assert sft.base == dpo.base and dpo.start == "justtherightsize/zephyr-7b-sft-full124"


@pytest.mark.parametrize(
    "change, said",
    [
        ("loss=robust", "the loss robust needs label_smoothing above 0"),
        ("loss=unheard-of", "loss: Input should be"),
        ("lora={rank: 4, alpha: 8}", "give either start .* or lora"),
        ("start=null", "give either start .* or lora"),
        ("limits.minutes=0", "limits.minutes: "),
        ("limits.hours=1", "limits.hours: Extra inputs"),
        ("colour.x=1", "colour: Extra inputs"),
        ("kind=ppo", "does not match any of the expected tags"),
        ("name=../up", "name: String should match"),
        ("label_smoothing=0.5", "label_smoothing: "),
        ("measure=-1", "measure: "),
        ("quantisation=fp4", "quantisation: "),
        ("prompt=mine", "prompt: "),
        ("seed=-1", "seed: "),
    ],
)
def test_a_wrong_specification_is_said(change: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        load_spec("nano-dpo", [change])


def test_sections_left_at_their_defaults_can_be_set() -> None:
    assert load_spec("nano-dpo", ["limits.minutes=5"]).limits.minutes == 5
