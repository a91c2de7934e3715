"""Which of a stack's files are on this machine: folders and the Hub's cache, never the net."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from empo.models.catalogue import RUN, stack_of_run
from empo.models.stacks import Source, Stack, load_stack, stack_names

CONFIG = {"base": "config.json", "adapter": "adapter_config.json"}


@dataclass(frozen=True, slots=True)
class Item:
    """A base or an adapter of a stack. `folder` None: not on this machine."""

    role: str
    source: Source
    folder: Path | None


def items(stack: Stack) -> tuple[Item, ...]:
    """The stack's base and adapters, and where each lies."""
    base = Item("base", stack.base, local_folder(stack.base, CONFIG["base"]))
    adapters = (
        Item(f"adapter {name}", source, local_folder(source, CONFIG["adapter"]))
        for name, source in stack.adapters.items()
    )
    return (base, *adapters)


def missing(stack: Stack) -> tuple[Item, ...]:
    """What of the stack is not on this machine."""
    return tuple(item for item in items(stack) if item.folder is None)


def choose_stack(name: str) -> Stack:
    """The stack called `name`; `auto` is the largest on this machine that fits, or nano.

    `run:NAME` is the base of a finished training run, with the runs over it.

    Without a look at torch, which takes seconds to import, where no other stack's files are here.

    Raises:
        UsageError: there is no such stack, or no such run has finished.
        StackError: its file is not a stack.
    """
    if name.startswith(RUN):
        return stack_of_run(name.removeprefix(RUN))
    if name != "auto":
        return load_stack(name)
    others = [load_stack(other) for other in stack_names() if other != "nano"]
    if all(missing(other) for other in others):
        return load_stack("nano")
    from empo.models.loading import pick_stack

    return pick_stack(name)


def local_folder(source: Source, config: str) -> Path | None:
    """The folder that holds `config` and safetensors of `source`: local, or in the Hub's cache."""
    folder = source.folder or _cached(source, config)
    if folder is None or not (folder / config).is_file():
        return None
    return folder if any(folder.glob("*.safetensors")) else None


def _cached(source: Source, config: str) -> Path | None:
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        found = try_to_load_from_cache(source.path, config, revision=source.revision)
    except HFValidationError:  # a path, and no such folder
        return None
    return Path(found).parent if isinstance(found, str) else None
