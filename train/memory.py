"""Memory of a run: the most that it took, and waiting for what the chat is about to give back."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import torch

_SELF = Path("/proc/self")
PATIENCE = 90.0  # seconds: the chat sees a run within two and ends the turn that it is at


class Meter:
    """Peak bytes above what the process held when the meter was made (None: not measurable here).

    Made after the libraries are imported and before a model is loaded: what is left is the model,
    its gradients, the optimiser and activations. On a GPU: what the allocator handed out.
    """

    def __init__(self) -> None:
        self.gpu = torch.cuda.is_available()
        self.before = 0
        if self.gpu:
            torch.cuda.reset_peak_memory_stats()
        elif (_SELF / "clear_refs").exists():
            try:
                (_SELF / "clear_refs").write_text("5")  # the peak counts from now on
            except OSError:
                return
            self.before = _kilobytes("VmRSS") or 0

    @property
    def peak(self) -> int | None:
        if self.gpu:
            return torch.cuda.max_memory_allocated()
        found = _kilobytes("VmHWM") if self.before else None
        return None if found is None else max(0, found - self.before)


def await_room(
    needed: int | None,
    say: Callable[[str], None],
    free: Callable[[], int | None] | None = None,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> bool:
    """Whether `needed` bytes of the GPU are `free`, after waiting for them for `PATIENCE` seconds.

    True at once where nothing is known or there is no GPU. False is no failure yet: the need is
    predicted on the safe side.
    """
    free = free or _free
    end = clock() + PATIENCE
    while needed is not None and (left := free()) is not None and left < needed:
        if clock() >= end:
            return False
        say("waiting for the GPU")
        sleep(1.0)
    return True


def _free() -> int | None:
    return torch.cuda.mem_get_info()[0] if torch.cuda.is_available() else None


def _kilobytes(name: str) -> int | None:
    """A line of /proc/self/status in bytes."""
    try:
        lines = (_SELF / "status").read_text("utf-8").splitlines()
    except OSError:
        return None
    found = [line.split()[1] for line in lines if line.startswith(f"{name}:")]
    return int(found[0]) * 1024 if found else None
