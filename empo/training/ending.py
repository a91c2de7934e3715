"""How a run ends before its time: what its folder then says, and what kind of failure it was."""

from __future__ import annotations

import errno
from contextlib import suppress
from dataclasses import replace

from empo.errors import DataError, EmpoError, OutOfMemory
from empo.training.folder import RunFolder, give_room
from empo.training.status import FAILURES, Problem, RunStatus, write_status

GO_ON = "Resume it to go on from its last whole checkpoint."
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def stopped(folder: RunFolder, status: RunStatus, sentence: str, action: str = GO_ON) -> RunStatus:
    """Write down that it was stopped, and can go on."""
    folder.stop_file.unlink(missing_ok=True)
    changed = replace(status, state="stopped", phase="", sentence=sentence, action=action)
    return write_status(folder, changed)


def failed(
    folder: RunFolder,
    status: RunStatus,
    problem: Problem,
    sentence: str = "",
    action: str = "",
    write: bool = True,
) -> RunStatus:
    """As failed; a disk that is full has the room that `keep_room` took.

    With `write` False (not the first of several processes) the folder is left alone.
    """
    usual, remedy = FAILURES[problem]
    status = replace(
        status, state="failed", phase="", problem=problem, sentence=sentence or usual,
        action=action or remedy,
    )  # fmt: skip
    if write:
        folder.stop_file.unlink(missing_ok=True)
        give_room(folder)
        with suppress(OSError):  # others took it at once: a look finds the dead process
            status = write_status(folder, status)
    return status


def classify(error: BaseException) -> tuple[Problem, str]:
    """What kind of failure `error` is, and the one sentence to say."""
    said = " ".join(str(error).split())
    low = said.lower()
    first = (said[:300] or type(error).__name__).rstrip(".") + "."
    memory = isinstance(error, MemoryError | OutOfMemory) or "out of memory" in low
    if memory or "can't allocate memory" in low or "cannot allocate memory" in low:
        return "out of memory", first if isinstance(error, OutOfMemory) else ""
    if isinstance(error, DataError):
        return "data", first
    full = isinstance(error, OSError) and error.errno in _FULL
    signs = ("no space left", "file too large", "failed writing file", "disk quota")
    if full or any(sign in low for sign in signs):
        return "disk", "The disk is full, or a file outgrew limits.disk_gb."
    return "other", first if isinstance(error, EmpoError) else f"{type(error).__name__}: {first}"
