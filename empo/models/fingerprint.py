"""Short hashes of adapters: proof of which weights answered, in tooltips and transcripts."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from empo.models.inventory import CONFIG, local_folder
from empo.models.stacks import Stack

WEIGHTS = "adapter_model.safetensors"
BASE_WEIGHTS = "model.safetensors"
LENGTH = 8  # hexadecimal digits shown
_SHA256 = re.compile(r"[0-9a-f]{64}")


def file_hash(path: Path) -> str:
    """SHA-256 of the file's content; the Hub's cache names large files by it already."""
    blob = path.resolve().name
    if _SHA256.fullmatch(blob):
        return blob
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def short_hashes(stack: Stack) -> dict[str, str]:
    """Model name → short hash of its adapter, joined by + for a blend; "" for the base.

    Adapters whose weights are not on this machine have none.
    """
    known = {name: _adapter(stack, name) for name in stack.adapters}
    return {
        spec.name: "+".join(known[name] for name, weight in spec.adapters.items() if weight)
        for spec in stack.models
    }


def base_revision(stack: Stack) -> str:
    """Short hash of the base's weights; of several files the revision, or the Hub's commit.

    "" where nothing is known of it on this machine.
    """
    folder = local_folder(stack.base, CONFIG["base"])
    if folder and (weights := folder / BASE_WEIGHTS).is_file():
        return file_hash(weights)[:LENGTH]
    commit = folder.name if folder and folder.parent.name == "snapshots" else ""
    return (stack.base.revision or commit)[:LENGTH]


def _adapter(stack: Stack, name: str) -> str:
    folder = local_folder(stack.adapters[name], CONFIG["adapter"])
    weights = folder / WEIGHTS if folder else None
    return file_hash(weights)[:LENGTH] if weights and weights.is_file() else ""
