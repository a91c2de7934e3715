"""What a training run is asked to do, strictly checked: nothing unknown passes through.

A recipe is one YAML file in train/recipes/ that says every fact of a run; with a name of its own
and without `out` it is the specification of a run (`spec.json` in the run's folder). Paths start at
the project's root, so that a recipe and the adapter that comes of it mean the same everywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from empo.errors import UsageError
from empo.prompts import PROMPT_NAMES
from empo.settings import ROOT
from empo.types import Quantisation

RECIPES = ROOT / "train" / "recipes"
NAME = r"^[a-z0-9][a-z0-9_-]{0,40}$"
Losses = Literal[
    "sigmoid", "hinge", "ipo", "exo_pair", "nca_pair", "robust", "bco_pair", "sppo_hard", "aot",
    "aot_unpaired", "apo_zero", "apo_down", "discopop", "sft", "sigmoid_norm",
]  # fmt: skip

Strategies = Literal["paper", "balanced", "hard", "same-situation", "mix"]  # `empo.data.strategies`

Positive = Annotated[float, Field(gt=0)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Lora(_Strict):
    """The adapter's shape. `targets`: `all-linear`, or the names of the layers it sits on.

    `full`: tables that are trained whole beside them (`embed_tokens`, `lm_head`).
    """

    rank: Count
    alpha: Positive
    dropout: Fraction = 0.0
    rslora: bool = False
    targets: Literal["all-linear"] | tuple[str, ...] = "all-linear"
    full: tuple[Literal["embed_tokens", "lm_head"], ...] = ()


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


class Limits(_Strict):
    """Where a run ends at the latest: steps of the optimiser, minutes, GB of its folder."""

    steps: Annotated[int, Field(ge=1, le=1_000_000)] = 100_000
    minutes: Annotated[float, Field(gt=0, le=20_160)] = 1_440
    disk_gb: Annotated[float, Field(gt=0, le=2_000)] = 50


class Gate(_Strict):
    """What a run may forget: it stops itself where one of `tasks` falls too far.

    `probe` is the only task that a run asks: forty questions of general knowledge
    (`empo.models.probe`), at every evaluation. `fall`: how far the share of right answers may be
    below that before the first step; one question is 0.025.
    """

    tasks: Annotated[tuple[Literal["probe"], ...], Field(min_length=1)] = ("probe",)
    fall: Fraction


class Recipe(_Strict):
    """What all kinds of run share.

    `valid`: dialogues (or pairs) of the validation split to watch; `length_percentile`: rows longer
    than this percentile of all rows' tokens are left out; `pad_token` is added to the vocabulary;
    `checkpoint_every` steps (None: ten times a run); `samples`: dialogues answered on the way;
    `measure`: dialogues on which the finished adapter is held against its start (0: none).
    `data`: EmpatheticDialogues, or the starter set of the project's own, where that has to do.
    """

    name: Annotated[str, Field(pattern=NAME)]
    base: str
    out: str | None = None
    start: str | None = None
    data: Literal["ed", "starter"] = "ed"
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    limit: Annotated[int | None, Field(ge=1)] = None
    valid: Annotated[int, Field(ge=0)] = 400
    evaluations: Annotated[int, Field(ge=1)] = 4
    prompt: Literal[PROMPT_NAMES] = "none"
    quantisation: Quantisation = "none"
    gradient_checkpointing: bool = False
    length_percentile: Annotated[float | None, Field(gt=0, le=100)] = None
    pad_token: Annotated[str | None, Field(min_length=1, max_length=40)] = None
    checkpoint_every: Annotated[int | None, Field(ge=1)] = None
    samples: Annotated[int, Field(ge=0, le=20)] = 3
    measure: Annotated[int, Field(ge=0, le=5_000)] = 100
    limits: Limits = Limits()
    gate: Gate | None = None
    lora: Lora | None = None
    optimiser: Optimiser

    @model_validator(mode="after")
    def _something_to_train(self) -> Recipe:
        if (self.lora is None) == (self.start is None):
            raise ValueError(
                "give either start (an adapter to go on from) or lora (a new one), not both"
            )
        if self.gate and not self.valid:
            raise ValueError("a gate looks at every evaluation, and valid=0 makes none")
        return self


class SftRecipe(Recipe):
    """Supervised fine-tuning on the listener's turns."""

    kind: Literal["sft"]


class _Preference(Recipe):
    """What is learnt from pairs, from the adapter `start`, which is also the frozen reference.

    Without `start` the reference is the base. `strategy`: how pairs are made of the dialogues
    (`empo.data.strategies`); `draws`: rejected replies for each dialogue; `pairs`: a file of pairs
    (JSON lines with prompt, chosen, rejected) in place of them.
    """

    strategy: Strategies = "paper"
    draws: Count = 1
    pairs: str | None = None
    beta: Positive = 0.1


class DpoRecipe(_Preference):
    """DPO; `beta` as in Rafailov et al. 2023, eq. 7.

    `loss` is one of TRL's; `sft_weight`: how much of the chosen replies' cross-entropy is added to
    the loss; `precompute` the reference's log-probabilities, which saves its memory.
    """

    kind: Literal["dpo"]
    loss: Losses = "sigmoid"
    label_smoothing: Annotated[float, Field(ge=0, lt=0.5)] = 0.0
    sft_weight: Annotated[float, Field(ge=0)] = 0.0
    precompute: bool = True

    @model_validator(mode="after")
    def _fitting(self) -> DpoRecipe:
        if self.loss in ("robust", "exo_pair") and not self.label_smoothing:
            raise ValueError(f"the loss {self.loss} needs label_smoothing above 0")
        return self


class KtoRecipe(_Preference):
    """KTO (Ethayarajh et al. 2024): every reply alone, wished for or not."""

    kind: Literal["kto"]
    desirable_weight: Positive = 1.0
    undesirable_weight: Positive = 1.0


RunSpec = Annotated[SftRecipe | DpoRecipe | KtoRecipe, Field(discriminator="kind")]
KINDS: dict[str, type[Recipe]] = {"sft": SftRecipe, "dpo": DpoRecipe, "kto": KtoRecipe}


def lean_dpo(spec: RunSpec) -> bool:
    """Whether one process does `spec` by DPO over shared prompts (`train/preference.py`)."""
    return spec.kind == "dpo" and spec.loss == "sigmoid" and spec.precompute


R = TypeVar("R", bound=BaseModel)


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
    path, raw = _raw(name, changes)
    return _checked(path.name, lambda: kind.model_validate(raw))


def load_spec(name: str, changes: Sequence[str] = ()) -> RunSpec:
    """As `load_recipe`, of whichever kind the recipe says; a JSON file is taken as well.

    Raises:
        UsageError: as `load_recipe`.
    """
    path, raw = _raw(name, changes)
    return parse_spec(raw, path.name)


def parse_spec(raw: Any, where: str = "the specification") -> RunSpec:
    """`raw` (a mapping, as JSON or YAML gives it) as a specification.

    Raises:
        UsageError: an unknown key, or a value that is not allowed; names the field.
    """
    return _checked(where, lambda: TypeAdapter(RunSpec).validate_python(raw))


def changed_spec(raw: Any, changes: Sequence[str], where: str = "the recipe") -> RunSpec:
    """As `parse_spec`, with `key=value` changes laid over `raw`, which is changed.

    Raises:
        UsageError: as `parse_spec`, or a change that is none.
    """
    for change in changes:
        _lay_over(raw, change)
    return parse_spec(raw, where)


def _raw(name: str, changes: Sequence[str]) -> tuple[Path, Any]:
    own = name.endswith((".yaml", ".yml", ".json"))
    path = Path(name).expanduser() if own else RECIPES / f"{name}.yaml"
    if not path.is_file():
        raise UsageError(
            f"There is no recipe “{name}”; choose {', '.join(recipe_names())} or give a YAML file."
        )
    try:
        raw = yaml.safe_load(path.read_text("utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UsageError(f"{path.name} is not YAML: {' '.join(str(error).split())}.") from error
    for change in changes:
        _lay_over(raw, change)
    return path, raw


def _checked(where: str, validate: Callable[[], Any]) -> Any:
    try:
        return validate()
    except ValidationError as error:
        first = error.errors()[0]
        place = [str(part) for part in first["loc"] if part not in KINDS]
        field = ".".join(place) or "the file"
        said = first["msg"].removeprefix("Value error, ")
        raise UsageError(f"{where}: {field}: {said}.") from error


def _lay_over(raw: Any, change: str) -> None:
    """Put one `key.key=value` into `raw`."""
    key, equals, value = change.partition("=")
    if not equals or not key:
        raise UsageError(f"--set {change}: write key=value, for instance optimiser.epochs=1.")
    *parents, last = key.split(".")
    if parents and isinstance(raw, dict):
        raw.setdefault(parents[0], {})  # a section that the recipe leaves at its defaults
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
