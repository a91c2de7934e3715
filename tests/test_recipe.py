"""Recipes: each that comes with the project parses, and what is wrong in one is said."""

from __future__ import annotations

import pytest
import yaml

from empo.errors import UsageError
from empo.training.recipe import RECIPES, DpoRecipe, SftRecipe, load_recipe, recipe_names, rooted
from train.scoring.recipe import ScorerRecipe

KINDS = {"sft": SftRecipe, "dpo": DpoRecipe, "scorer": ScorerRecipe}


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
