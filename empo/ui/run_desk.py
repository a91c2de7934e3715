"""From what is chosen on the page to a run: recipe, pairs, memory, time. No Gradio.

Values come from a browser, which may send anything: everything ends in a `RunSpec`, which refuses
what it does not know.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import yaml

from empo import runs
from empo.budget import Budget
from empo.data.pair_files import preference_row, write_pairs
from empo.data.strategies import MIX, MIX_TITLE, STRATEGIES
from empo.data.uploads import UPLOAD
from empo.errors import DataError, UsageError
from empo.estimate import Estimate, estimate
from empo.models.catalogue import run_models
from empo.models.stacks import load_stack, stack_names
from empo.pairs.learning import learning_split
from empo.pairs.make import make_pairs
from empo.runs import Run
from empo.training.folder import RunFolder, read_json, run_folder, run_folders, runs_home
from empo.training.recipe import RunSpec, changed_spec, load_spec, parse_spec, recipe_names
from empo.types import PreferencePair
from empo.ui.pair_desk import OWN, Choice, PairDesk, mix_shares

KINDS = ("sft", "dpo", "kto")
NEW = "new"
PAIRS = ".pairs"  # in the folder of the runs
MAX_MORE = 2_000  # characters of further settings
_OWN_FIELDS = ("kind", "name", "base", "start", "pairs", "data", "strategy", "draws", "seed", "out")
_ONLY_DPO = ("loss", "label_smoothing", "sft_weight", "precompute")
_FRESH = {"rank": 16, "alpha": 32}
Pairs = tuple[PreferencePair, ...]


@dataclass(frozen=True, slots=True)
class Form:
    """The fields of step 2 as they are; `more`: one `key=value` a line."""

    kind: Any = "dpo"
    model: Any = "nano"
    start: Any = NEW
    name: Any = ""
    limit: Any = 500
    epochs: Any = 1
    rate: Any = 0.0005
    beta: Any = 0.1
    loss: Any = "sigmoid"
    batch: Any = 16
    accumulate: Any = 1
    length: Any = 512
    more: Any = ""


def models() -> tuple[str, ...]:
    """What can be trained: the project's recipes, without their method."""
    found = {n.rsplit("-", 1)[0] for n in recipe_names() if n.rsplit("-", 1)[-1] in KINDS}
    return tuple(sorted(found, key=lambda name: (name != "nano", name)))


def template(kind: Any, model: Any) -> dict[str, Any]:
    """The recipe that a form begins with, as plain values.

    Raises:
        UsageError: no such method or model.
    """
    if kind not in KINDS or model not in models():
        raise UsageError("Choose a model and a method from the lists.")
    known = f"{model}-{kind}" in recipe_names()
    raw = load_spec(f"{model}-{kind if known else 'dpo'}").model_dump(
        mode="json", exclude_none=True
    )
    if not known:
        raw = {key: value for key, value in raw.items() if key not in _ONLY_DPO}
    return {key: value for key, value in raw.items() if key != "out"} | {"kind": kind}


def starts(kind: Any, model: Any) -> list[tuple[str, str]]:
    """Adapters that a run may go on from, as (label, value); a new one on the base comes last."""
    raw = template(kind, model)
    found = {str(raw["start"]): str(raw["start"])} if raw.get("start") else {}
    for stack in map(load_stack, stack_names()):
        if stack.base.path == raw["base"]:
            found |= {source.path: name.upper() for name, source in stack.adapters.items()}
    own = [m for m in run_models() if m.base == raw["base"]]
    found |= {f"run:{m.spec.name}": f"the run {m.spec.name}" for m in own}
    return [*((label, value) for value, label in found.items()), ("a new adapter", NEW)]


def first_form(kind: Any, model: Any) -> Form:
    """The form as it is for a method and a model before anything is changed.

    Raises:
        UsageError: as `template`.
    """
    raw = template(kind, model)
    return _form(raw | {"name": f"{model}-{kind}", "limit": 500})


def form_of(spec: RunSpec) -> Form:
    """The form that would ask for `spec` again (its pairs come from step 1)."""
    return _form(spec.model_dump(mode="json", exclude_none=True))


def _form(raw: dict[str, Any]) -> Form:
    optimiser = raw["optimiser"]
    return Form(
        raw["kind"],
        next((m for m in models() if template(raw["kind"], m)["base"] == raw["base"]), "nano"),
        raw.get("start", NEW),
        raw["name"],
        raw.get("limit", 500),
        optimiser["epochs"],
        optimiser["learning_rate"],
        raw.get("beta", 0.1),
        raw.get("loss", "sigmoid"),
        optimiser.get("batch", 32),
        optimiser.get("accumulate", 1),
        optimiser.get("max_length", 512),
        "\n".join(_differences(raw)),
    )


def _differences(raw: dict[str, Any]) -> list[str]:
    """What of `raw` no field of the form shows and a recipe's own defaults do not say."""
    start = {"start": NEW} if "lora" not in raw else {"lora": raw["lora"]}
    optimiser = {"epochs": 1.0, "learning_rate": raw["optimiser"]["learning_rate"]}
    least = {"kind": raw["kind"], "name": "x", "base": raw["base"], "optimiser": optimiser} | start
    usual = parse_spec(least).model_dump(mode="json", exclude_none=True)
    hidden = {*_OWN_FIELDS, "limit", "beta", "loss", "lora", "optimiser", "limits"}
    found = [f"{k}={_said(v)}" for k, v in raw.items() if k not in hidden and usual.get(k) != v]
    shown = ("epochs", "learning_rate", "batch", "accumulate", "max_length")
    for section in ("optimiser", "limits"):
        for key, value in raw.get(section, {}).items():
            if key not in shown and usual[section].get(key) != value:
                found.append(f"{section}.{key}={_said(value)}")
    return found


def _said(value: Any) -> str:
    """`value` so that YAML reads it back."""
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return text if yaml.safe_load(text) == value else json.dumps(value)


class RunDesk:
    """Everything steps 2 and 3 need from below."""

    def __init__(self, desk: PairDesk, released: Callable[[], int] = lambda: 0) -> None:
        """`released`: bytes of the GPU that the chat will give back for a run."""
        self.desk, self._released = desk, released

    def spec(self, form: Form, choice: Choice) -> RunSpec:
        """What is asked for, without the file of pairs.

        Raises:
            UsageError: a field is wrong; names it.
        """
        raw = template(form.kind, form.model)
        if form.start not in dict(map(reversed, starts(form.kind, form.model))):
            raise UsageError("Choose from the list what the run is to go on from.")
        raw.pop("start" if form.start == NEW else "lora", None)
        raw |= {"lora": raw.get("lora", _FRESH)} if form.start == NEW else {"start": form.start}
        raw |= {"name": form.name, "limit": _whole(form.limit), "seed": choice.seed}
        raw["data"] = OWN if choice.source == OWN or not self.desk.has_ed() else "ed"
        if form.kind != "sft":
            raw |= {"beta": form.beta, "draws": choice.draws, "strategy": choice.preset}
        if form.kind == "dpo":
            raw["loss"] = form.loss
        raw["optimiser"] |= {
            "epochs": form.epochs,
            "learning_rate": form.rate,
            "batch": _whole(form.batch),
            "accumulate": _whole(form.accumulate),
            "max_length": _whole(form.length),
        }
        return changed_spec(raw, _lines(form.more))

    def weigh(self, form: Form, choice: Choice) -> tuple[RunSpec, Budget, Estimate]:
        """The specification, its memory and its time.

        Raises:
            UsageError: as `spec`.
        """
        spec = self.spec(form, choice)
        return spec, runs.budget(spec, self._released()), estimate(spec)

    def start(self, form: Form, choice: Choice) -> Run:
        """Start the run, or put it in line; its pairs are written down first.

        Raises:
            UsageError, DataError, OutOfMemory, Busy: as `empo.runs.start`, and as `PairDesk.pairs`.
        """
        spec = self.spec(form, choice)
        if spec.kind != "sft":
            runs.budget(spec, self._released()).check()
        return runs.start(self.ready(form, choice), released=self._released())

    def ready(self, form: Form, choice: Choice) -> RunSpec:
        """The specification with its pairs written down, wherever it is to be done.

        Raises:
            UsageError, DataError: as `spec` and `PairDesk.pairs`.
        """
        spec = self.spec(form, choice)
        if spec.kind == "sft":
            if choice.source == UPLOAD:
                raise UsageError(
                    "SFT learns from whole dialogues: choose EmpatheticDialogues or the starter "
                    "set in step 1, or another method."
                )
            return spec
        made = self._pairs(choice)
        if spec.limit is not None and spec.limit < len(made):  # as the trainer would draw them
            made = tuple(random.Random(spec.seed).sample(made, spec.limit))
        return spec.model_copy(update={"pairs": _kept(made)})

    def delete(self, name: str) -> str:
        """Throw a run away, with its pairs where no other run has them; what is left elsewhere.

        Raises:
            UsageError: there is no such run, or it is running.
        """
        pairs = _pairs_of(run_folder(name))
        left = runs.delete(name)
        if pairs and pairs.startswith(f"{PAIRS}/") and pairs not in map(_pairs_of, run_folders()):
            (runs_home() / PAIRS / Path(pairs).name).unlink(missing_ok=True)
        return left

    def _pairs(self, choice: Choice) -> Pairs:
        """What was looked at in step 1; of the starter set without what is kept for watching."""
        if choice.source != OWN:
            return self.desk.pairs(choice)
        self.desk.pairs(choice)  # says what is wrong with the choice
        part = learning_split("starter", "train")
        mix = mix_shares(choice) if choice.preset == MIX else None
        return make_pairs(part, choice.preset, choice.seed, choice.draws, mix)


def uploaded(spec: RunSpec) -> Path | None:
    """The file of pairs that `spec` learns from, where somebody sent it; None: made here."""
    name = getattr(spec, "pairs", None) or ""
    path = runs_home() / PAIRS / Path(name).name
    if not name.startswith(f"{PAIRS}/") or not path.is_file():
        return None
    with path.open(encoding="utf-8") as lines:
        return path if json.loads(next(lines, "{}")).get("origin") == UPLOAD else None


def _pairs_of(folder: RunFolder) -> str | None:
    return (read_json(folder.spec_file) or {}).get("pairs")


def learns_from(spec: RunSpec, choice: Choice) -> str:
    """What step 1 leaves a run to learn from, in a sentence."""
    where = {"ed": "EmpatheticDialogues", OWN: "the starter set"}[spec.data]
    if spec.kind == "sft":
        return f"It learns from at most {spec.limit} dialogues of {where}."
    if choice.source == UPLOAD:
        return f"It learns from at most {spec.limit} pairs of your file."
    titles = {name: found.title for name, found in STRATEGIES.items()} | {MIX: MIX_TITLE}
    return f"It learns from at most {spec.limit} pairs of {where}, “{titles[spec.strategy]}”."


def _kept(pairs: Pairs) -> str:
    """Write `pairs` beside the runs, once; the path from there."""
    folder = runs_home() / PAIRS
    told = sha256()
    for pair in pairs:
        told.update(repr(preference_row(pair)).encode())
    path = folder / f"{told.hexdigest()[:16]}.jsonl"
    if not path.is_file():
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DataError(f"{folder} cannot be written ({error.strerror}).") from error
        write_pairs(path, pairs)
    return f"{PAIRS}/{path.name}"


def _lines(more: Any) -> list[str]:
    if not isinstance(more, str) or len(more) > MAX_MORE:
        raise UsageError(f"Further settings are at most {MAX_MORE} characters.")
    lines = [line.strip() for line in more.splitlines() if line.strip()]
    for line in lines:
        key = line.partition("=")[0].strip()
        if key.split(".")[0] in _OWN_FIELDS:
            raise UsageError(f"{key[:60]} has a field of its own; take it out of the rest.")
    return lines


def _whole(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value
