"""Recipes: every fact of a training run in one strictly checked YAML file.

Paths in a recipe start at the project's root, so that a recipe and the adapter that comes of it
mean the same on every machine.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from empo.data.strategies import PRESETS
from empo.errors import UsageError
from empo.settings import ROOT

RECIPES = Path(__file__).resolve().parent / "recipes"

Positive = Annotated[float, Field(gt=0)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Lora(_Strict):
    """The adapter's shape. `targets`: `all-linear`, or the names of the layers it sits on."""

    rank: Count
    alpha: Positive
    dropout: Fraction = 0.0
    rslora: bool = False
    targets: Literal["all-linear"] | tuple[str, ...] = "all-linear"


class Optimiser(_Strict):
    """AdamW and its schedule. `warmup` is a share of all steps; `batch` counts samples a step."""

    epochs: Positive
    learning_rate: Positive
    schedule: Literal["linear", "cosine", "constant_with_warmup"] = "linear"
    warmup: Fraction = 0.03
    batch: Count = 32
    accumulate: Count = 1
    beta2: Fraction = 0.99
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    clip: Positive = 1.0
    max_length: Annotated[int, Field(ge=16)] = 512


class Recipe(_Strict):
    """What both kinds of run share. `valid`: dialogues of the validation split to watch."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,40}$")]
    base: str
    out: str
    seed: int = 0
    limit: Annotated[int | None, Field(ge=1)] = None
    valid: Annotated[int, Field(ge=0)] = 400
    evaluations: Annotated[int, Field(ge=1)] = 4
    optimiser: Optimiser


class SftRecipe(Recipe):
    """Supervised fine-tuning on the listener's turns."""

    kind: Literal["sft"]
    lora: Lora


class DpoRecipe(Recipe):
    """DPO from the adapter `start`, which is also the frozen reference.

    `strategy`: how pairs are made of the dialogues (`empo.data.strategies`); `draws`: rejected
    replies for each dialogue; `beta` as in Rafailov et al. 2023, eq. 7;
    `sft_weight`: how much of the chosen replies' cross-entropy is added to the loss.
    """

    kind: Literal["dpo"]
    start: str
    strategy: Literal[PRESETS] = "paper"
    draws: Count = 1
    beta: Positive = 0.1
    sft_weight: Annotated[float, Field(ge=0)] = 0.0


R = TypeVar("R", bound=Recipe)


def recipe_names() -> tuple[str, ...]:
    """The recipes that come with the project."""
    return tuple(sorted(path.stem for path in RECIPES.glob("*.yaml")))


def rooted(path: str) -> Path:
    """`path` itself where it is absolute, else below the project's root."""
    return ROOT / Path(path).expanduser()


def load_recipe(name: str, kind: type[R], changes: Sequence[str] = ()) -> R:
    """The recipe called `name` (or the YAML file `name`), with `key=value` changes laid over it.

    A key may have dots (`optimiser.learning_rate=0.001`); a value is read as YAML.

    Raises:
        UsageError: no such recipe, an unknown key, a value that is not allowed; names the field.
    """
    path = Path(name).expanduser() if name.endswith((".yaml", ".yml")) else RECIPES / f"{name}.yaml"
    if not path.is_file():
        raise UsageError(
            f"There is no recipe “{name}”; choose {', '.join(recipe_names())} or give a YAML file."
        )
    try:
        raw = yaml.safe_load(path.read_text("utf-8"))
        for change in changes:
            _lay_over(raw, change)
        return kind.model_validate(raw)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UsageError(f"{path.name} is not YAML: {' '.join(str(error).split())}.") from error
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or "the file"
        raise UsageError(f"{path.name}: {field}: {first['msg']}.") from error


def _lay_over(raw: Any, change: str) -> None:
    """Put one `key.key=value` into `raw`."""
    key, equals, value = change.partition("=")
    if not equals or not key:
        raise UsageError(f"--set {change}: write key=value, for instance optimiser.epochs=1.")
    *parents, last = key.split(".")
    for parent in parents:
        raw = raw.get(parent) if isinstance(raw, dict) else None
    if not isinstance(raw, dict):
        raise UsageError(f"--set {change}: the recipe has no section {'.'.join(parents)}.")
    try:
        raw[last] = _number(yaml.safe_load(value))
    except yaml.YAMLError as error:
        raise UsageError(f"--set {change}: the value is not YAML.") from error


def _number(value: Any) -> Any:
    """`1e-3` is a string to YAML 1.1; read it as the number it is."""
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value
