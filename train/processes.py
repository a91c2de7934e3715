"""Of how many processes a run consists, and which one this is."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from accelerate import PartialState


def processes() -> PartialState:
    """accelerate's state, which is one a process and stays as it was first asked for.

    Without a GPU it has to be asked for the processor: only then do processes that were launched
    together find each other (through gloo), instead of each doing the whole run alone.
    """
    import torch
    from accelerate import PartialState

    return PartialState(cpu=not torch.cuda.is_available())


def precomputes() -> bool:
    """Whether the reference's log-probabilities can be worked out beforehand: by one process.

    TRL 1.16 keeps them in a file of the first process, which the others of a run do not find; they
    hold the reference in memory instead.
    """
    return processes().num_processes == 1
