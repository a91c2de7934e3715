"""Who gives way when a training run and the chat want the same GPU: the chat does.

A small stack moves to the processor and goes on answering; a big one would take minutes for a turn
there, so it is unloaded (parked) until the run has ended. The run never gives way: it cannot
shrink, and where a prediction of memory is a little wrong, that is to cost speed and no work.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import psutil

from empo.budget import has_gpu
from empo.errors import StackError
from empo.models.footprint import footprint
from empo.models.stacks import Stack

Place = Literal["home", "cpu", "parked"]
GPU = "cuda:0"  # what the trainers and the engine take where there is one
SMALL = 600_000_000  # weights; two cores read them about three times a second
ROOM = 1.15  # of the weights: cache and activations come on top


@dataclass(frozen=True, slots=True)
class Reading:
    """What is decided from. `home`: the device on which the stack lives when nothing else wants it.

    `run`: the device of the run at work, None where none is. `weights` of the stack, and the bytes
    that they take on the processor (None: not known); `free` bytes of main memory.
    """

    home: str
    run: str | None
    weights: int | None
    needed: int | None
    free: int


def place(reading: Reading) -> Place:
    """Where the chat belongs."""
    if reading.run is None or _plain(reading.run) != _plain(reading.home):
        return "home"
    if not _plain(reading.home).startswith("cuda"):
        return "home"  # both on the processor: the run is niced and leaves half of the cores
    if reading.weights is None or reading.needed is None or reading.weights > SMALL:
        return "parked"
    return "cpu" if reading.needed * ROOM <= reading.free else "parked"


def read(stack: Stack, running: bool, device: str | None = None) -> Reading:
    """This machine as it is now; `device` in place of the one that the engine and trainers take."""
    device = device or (GPU if has_gpu() else "cpu")
    try:
        found = footprint(stack, "none", gpu=False)
    except StackError:
        found = None
    return Reading(
        home=device,
        run=device if running else None,
        weights=found.weights if found else None,
        needed=found.total if found else None,
        free=psutil.virtual_memory().available,
    )


def _plain(device: str) -> str:
    """`cuda` and `cuda:0` are the same."""
    return f"{device}:0" if device == "cuda" else device
