"""Finished training runs as models of a stack: read from their folders, anew at every look.

A run leaves `model.json` in its folder, as the last thing it does; what has one, and sits on the
stack's base, can answer beside the stack's own models.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from empo.errors import UsageError
from empo.models.stacks import Source, Stack
from empo.settings import settings
from empo.types import ModelSpec, Stage

ENTRY = "model.json"


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,40}$")]
    label: Annotated[str, Field(max_length=80)]
    plain: Annotated[str, Field(max_length=120)]
    stage: Stage
    base: str
    adapter: Annotated[str, Field(pattern=r"^[\w-]{1,40}$")]
    prompt: str = "none"
    created: int = 0


@dataclass(frozen=True, slots=True)
class RunModel:
    """A finished run's adapter as a voice, and where it lies."""

    spec: ModelSpec
    source: Source
    base: str
    created: int


def run_models(home: Path | None = None) -> tuple[RunModel, ...]:
    """All finished runs in `home` (EMPO_HOME/runs), the newest first; damaged ones are left out."""
    home = home or settings().home / "runs"
    found = []
    for path in home.glob(f"*/{ENTRY}") if home.is_dir() else ():
        try:
            entry = _Entry.model_validate_json(path.read_bytes())
        except (OSError, ValidationError):
            continue
        folder = path.parent / entry.adapter
        # The folder's own name: one that was copied or renamed answers under its new name.
        if path.parent.name != entry.name or not (folder / "adapter_config.json").is_file():
            continue
        spec = ModelSpec(entry.name, entry.label, entry.plain, entry.stage, {entry.name: 1.0})
        found.append(RunModel(spec, Source(str(folder)), entry.base, entry.created))
    return tuple(sorted(found, key=lambda model: (-model.created, model.spec.name)))


def fitting(stack: Stack, home: Path | None = None) -> tuple[RunModel, ...]:
    """The finished runs that sit on the stack's base and whose names it does not use itself."""
    taken = {model.name for model in stack.models} | set(stack.adapters)
    return tuple(
        model
        for model in run_models(home)
        if model.spec.name not in taken and _same(Source(model.base), stack.base)
    )


def with_runs(stack: Stack, names: Iterable[str], home: Path | None = None) -> Stack:
    """`stack` with those of `names` added that are finished runs and not its own models.

    Raises:
        UsageError: a name is neither a model of the stack nor a finished run on its base.
    """
    own = {model.name for model in stack.models}
    wanted = [name for name in dict.fromkeys(names) if name not in own]
    if not wanted:
        return stack
    known: Mapping[str, RunModel] = {model.spec.name: model for model in fitting(stack, home)}
    if unknown := [name for name in wanted if name not in known]:
        models = ", ".join(model.name for model in stack.models)
        runs = f", and the finished runs {', '.join(known)}" if known else ""
        raise UsageError(
            f"The stack {stack.name} has no model “{unknown[0]}”; it has {models}{runs}."
        )
    return replace(
        stack,
        adapters={**stack.adapters, **{name: known[name].source for name in wanted}},
        models=(*stack.models, *(known[name].spec for name in wanted)),
    )


def _same(one: Source, other: Source) -> bool:
    if one.path == other.path:
        return True
    return one.folder is not None and one.folder == other.folder
