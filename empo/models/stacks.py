"""Stacks: one base, the LoRA adapters over it, and the voices made of them, as small YAML files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from empo.errors import StackError, UsageError
from empo.models.dial import dial_ends, dial_position, dialled
from empo.prompts import PROMPT_NAMES
from empo.settings import ASSETS, ROOT
from empo.types import ModelSpec, Quantisation, Stage

STACKS = ASSETS / "stacks"
_STRICT = ConfigDict(extra="forbid", frozen=True)


@dataclass(frozen=True, slots=True)
class Source:
    """Where weights come from: a local folder or a Hub id, and its revision there."""

    path: str
    revision: str | None = None

    @property
    def folder(self) -> Path | None:
        """The local folder (relative paths start at the project's root); None for a Hub id."""
        for path in (Path(self.path).expanduser(), ROOT / self.path):
            if path.is_dir():
                return path.resolve()
        return None


@dataclass(frozen=True, slots=True)
class Stack:
    """A stack as its file says. `quantisation` None: nf4 on CUDA, none on the CPU."""

    name: str
    title: str
    base: Source
    adapters: Mapping[str, Source]
    models: tuple[ModelSpec, ...]
    prompt: str
    quantisation: Quantisation | None = None
    context: int | None = None
    about: str = ""

    def model(self, name: str) -> ModelSpec:
        """The voice called `name`, which may be a place on the dial (empo/models/dial.py).

        Raises:
            UsageError: the stack has none.
        """
        for spec in self.models:
            if spec.name == name:
                return spec
        ends, position = dial_ends(self.models), dial_position(name)
        if ends and position is not None:
            return dialled(ends, position)
        known = ", ".join(spec.name for spec in self.models)
        raise UsageError(f"The stack {self.name} has no model “{name}”; it has {known}.")


class _Source(BaseModel):
    model_config = _STRICT
    path: str
    revision: str | None = None


class _Model(BaseModel):
    model_config = _STRICT
    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,40}$")]
    label: str
    plain: str
    stage: Stage
    adapters: dict[str, float] = {}
    note: str = ""


class _Stack(BaseModel):
    model_config = _STRICT
    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,40}$")]
    title: str
    about: str = ""
    base: _Source
    adapters: dict[Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,40}$")], _Source] = {}
    models: Annotated[list[_Model], Field(min_length=1)]
    prompt: Literal[PROMPT_NAMES]
    quantisation: Quantisation | None = None
    context: Annotated[int | None, Field(ge=64)] = None


def stack_names() -> tuple[str, ...]:
    """The stacks that come with the project."""
    return tuple(sorted(path.stem for path in STACKS.glob("*.yaml")))


def load_stack(name: str) -> Stack:
    """The stack called `name`, or the one that the YAML file `name` describes.

    Raises:
        UsageError: there is no such stack.
        StackError: the file is not a stack; names the field.
    """
    path = STACKS / f"{name}.yaml"
    if name.endswith((".yaml", ".yml")):
        path = Path(name).expanduser()
    if not path.is_file():
        raise UsageError(
            f"There is no stack “{name}”; choose {', '.join(stack_names())}, auto, or give the "
            "path of a stack's YAML file."
        )
    try:
        raw = _Stack.model_validate(yaml.safe_load(path.read_text("utf-8")))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise StackError(f"{path.name} is not YAML: {' '.join(str(error).split())}.") from error
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or "the file"
        raise StackError(f"{path.name}: {field}: {first['msg']}.") from error
    for model in raw.models:
        if unknown := set(model.adapters) - set(raw.adapters):
            raise StackError(f"{path.name}: model {model.name}: no adapter {min(unknown)}.")
    if len({model.name for model in raw.models}) < len(raw.models):
        raise StackError(f"{path.name}: two models have the same name.")
    return Stack(
        name=raw.name,
        title=raw.title,
        about=raw.about,
        base=Source(**raw.base.model_dump()),
        adapters={key: Source(**value.model_dump()) for key, value in raw.adapters.items()},
        models=tuple(ModelSpec(**model.model_dump()) for model in raw.models),
        prompt=raw.prompt,
        quantisation=raw.quantisation,
        context=raw.context,
    )
