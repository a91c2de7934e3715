"""Finished training runs as models of a stack: read from their folders, anew at every look.

A run leaves `model.json` in its folder, as the last thing it does; what has one, and sits on the
stack's base, can answer beside the stack's own models. Runs over a base that no stack has are a
stack of their own, `run:NAME`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from empo.errors import UsageError
from empo.models.stacks import Source, Stack
from empo.prompts import PROMPT_NAMES
from empo.settings import settings
from empo.types import ModelSpec, Stage

ENTRY = "model.json"
RUN = "run:"  # before a run's name, where a stack's name is asked for
VOICES = 4  # runs that such a stack has at most, each with an adapter in memory


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,40}$")]
    label: Annotated[str, Field(max_length=80)]
    plain: Annotated[str, Field(max_length=120)]
    stage: Stage
    base: str
    adapter: Annotated[str, Field(pattern=r"^[\w-]{1,40}$")]
    prompt: Literal[PROMPT_NAMES] = "none"
    created: int = 0


@dataclass(frozen=True, slots=True)
class RunModel:
    """A finished run's adapter as a voice, and where it lies."""

    spec: ModelSpec
    source: Source
    base: str
    created: int
    prompt: str = "none"


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
        found.append(RunModel(spec, Source(str(folder)), entry.base, entry.created, entry.prompt))
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
        UsageError: a name is neither a model of the stack nor a finished run on its base; says
            where a run over another base answers.
    """
    own = {model.name for model in stack.models}
    wanted = [name for name in dict.fromkeys(names) if name not in own]
    if not wanted:
        return stack
    known: Mapping[str, RunModel] = {model.spec.name: model for model in fitting(stack, home)}
    if unknown := [name for name in wanted if name not in known]:
        for other in run_models(home):
            if other.spec.name == unknown[0] and not _same(Source(other.base), stack.base):
                raise UsageError(
                    f"The run {unknown[0]} sits on another base ({other.base}) than the stack "
                    f"{stack.name}: take --stack {RUN}{unknown[0]}."
                )
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


def stack_of_run(name: str, home: Path | None = None) -> Stack:
    """The base of the finished run `name`, that run, and the newest others over the same base.

    Raises:
        UsageError: no run of that name has finished.
    """
    known = {model.spec.name: model for model in run_models(home)}
    if name not in known:
        finished = ", ".join(list(known)[:8]) or "there is none yet"
        raise UsageError(f"No run “{name[:60]}” has finished; those that have: {finished}.")
    own = known[name]
    base = Source(own.base)
    others = [m for m in known.values() if m is not own and _same(Source(m.base), base)]
    voices = [m for m in (own, *others) if m.spec.name != "base"][:VOICES]
    return Stack(
        name=f"{RUN}{name}",
        title=f"the run {name}, over {own.base}",
        about="A base that no stack has, with the finished runs over it.",
        base=base,
        adapters={model.spec.name: model.source for model in voices},
        models=(
            ModelSpec("base", "Base", "before training", "base"),
            *(model.spec for model in voices),
        ),
        prompt=own.prompt,
    )


def stacks_of_runs(stacks: Iterable[Stack], home: Path | None = None) -> tuple[Stack, ...]:
    """A stack for each base of a finished run that none of `stacks` has, the newest first."""
    found = list(stacks)
    own = len(found)
    for model in run_models(home):
        if not any(_same(Source(model.base), stack.base) for stack in found):
            found.append(stack_of_run(model.spec.name, home))
    return tuple(found[own:])


def _same(one: Source, other: Source) -> bool:
    if one.path == other.path:
        return True
    return one.folder is not None and one.folder == other.folder
