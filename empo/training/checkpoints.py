"""Checkpoints that are whole or do not count.

A trainer writes a checkpoint in place, file by file. When all are there their hashes go into
`manifest.json`, written last and renamed: a checkpoint without it, or whose files do not agree with
it, is not resumed from. So only what this project wrote itself is ever read back.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from pathlib import Path

from empo.training.folder import RunFolder, read_json, write_json

MANIFEST = "manifest.json"
KEPT = 2  # whole checkpoints: should the last one rot, there is one before it
_NAME = re.compile(r"checkpoint-(\d+)")


def seal(checkpoint: Path) -> None:
    """Write the manifest of `checkpoint`: from here on it is whole."""
    hashes = {}
    for path in sorted(checkpoint.rglob("*")):
        if path.is_file() and path.name != MANIFEST:
            hashes[path.relative_to(checkpoint).as_posix()] = _hash(path, to_disk=True)
    write_json(checkpoint / MANIFEST, {"step": step_of(checkpoint), "sha256": hashes})
    _sync_folder(checkpoint)


def whole(checkpoint: Path) -> bool:
    """Whether every file is there and as it was written."""
    hashes = (read_json(checkpoint / MANIFEST) or {}).get("sha256")
    if not isinstance(hashes, dict) or not hashes:
        return False
    try:
        return all(_hash(checkpoint / name) == value for name, value in hashes.items())
    except OSError:
        return False


def step_of(checkpoint: Path) -> int:
    match = _NAME.fullmatch(checkpoint.name)
    return int(match[1]) if match else -1


def checkpoints(folder: RunFolder) -> list[Path]:
    """All that look like checkpoints, the latest first."""
    found = folder.checkpoints.glob("checkpoint-*") if folder.checkpoints.is_dir() else ()
    return sorted((path for path in found if step_of(path) >= 0), key=step_of, reverse=True)


def last_whole(folder: RunFolder) -> Path | None:
    """The latest whole checkpoint."""
    return next((path for path in checkpoints(folder) if whole(path)), None)


def tidy(folder: RunFolder) -> None:
    """Delete what is not whole, and whole ones beyond the last `KEPT`."""
    kept = 0
    for path in checkpoints(folder):
        if kept < KEPT and (path / MANIFEST).is_file():
            kept += 1
        else:
            shutil.rmtree(path, ignore_errors=True)


def tidy_for_resume(folder: RunFolder) -> Path | None:
    """The checkpoint to go on from; whatever is newer and not whole is deleted."""
    found = last_whole(folder)
    for path in checkpoints(folder):
        if found is None or step_of(path) > step_of(found):
            shutil.rmtree(path, ignore_errors=True)
    return found


def _hash(path: Path, to_disk: bool = False) -> str:
    with path.open("rb") as file:
        if to_disk:
            os.fsync(file.fileno())
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync_folder(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
