"""Published PyTorch checkpoints become safetensors once, in a process of their own.

A .pth file is a pickle. It is read with `weights_only=True`, and, as that has been got round before
(CVE-2025-32434), in a child process that has no secrets in its environment; the app itself opens
only what came out. `python -m empo.scoring.checkpoints FROM TO` is that child.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from empo.scoring.card import ScorerError
from empo.settings import ROOT
from empo.types import Mechanism

NAMES: dict[Mechanism, str] = {
    "emotional_reaction": "emotional-reactions",
    "interpretation": "interpretations",
    "exploration": "explorations",
}
PICKLED = (".pth", ".pt", ".bin")
MINUTES = 10


def find_checkpoint(folder: Path, mechanism: Mechanism) -> Path:
    """The checkpoint of `mechanism` in `folder`, the converted one first.

    Raises:
        ScorerError: there is none.
    """
    wanted = NAMES[mechanism]
    for suffix in (".safetensors", *PICKLED):
        found = sorted(
            path
            for path in folder.glob(f"*{suffix}")
            if wanted in path.name.lower().replace("_", "-")
        )
        if found:
            return found[0]
    raise ScorerError(
        f"There is no checkpoint for {wanted} in {folder}: a file named *{wanted}*.pth is needed."
    )


def converted(path: Path) -> Path:
    """`path` as safetensors, converted beside it the first time.

    Raises:
        ScorerError: it is not a state dict of tensors, or the folder cannot be written to.
    """
    if path.suffix == ".safetensors":
        return path
    target = path.with_suffix(".safetensors")
    child = [sys.executable, "-m", "empo.scoring.checkpoints", str(path), str(target)]
    bare = {"PATH": os.defpath}
    try:
        done = subprocess.run(
            child, cwd=ROOT, env=bare, capture_output=True, text=True, timeout=60 * MINUTES
        )
    except subprocess.TimeoutExpired as error:
        raise ScorerError(f"{path.name} took more than {MINUTES} minutes to convert.") from error
    if done.returncode or not target.is_file():
        said = (done.stderr.strip().splitlines() or ["no message"])[-1][:200]
        raise ScorerError(f"{path.name} cannot be converted to safetensors: {said}")
    return target


def convert(path: Path, target: Path) -> None:
    """Write the tensors of the state dict `path` to `target`, whole or not at all.

    Raises:
        ValueError: it is no state dict of tensors.
    """
    import torch
    from safetensors.torch import save_file

    state = torch.load(path, map_location="cpu", weights_only=True)
    if not isinstance(state, dict) or not all(
        isinstance(key, str) and isinstance(value, torch.Tensor) for key, value in state.items()
    ):
        raise ValueError("it is not a state dict of tensors")
    # A copy of each: safetensors refuses tensors that share memory.
    tensors = {key: value.detach().clone().contiguous() for key, value in state.items()}
    half = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        save_file(tensors, half)
        half.replace(target)
    finally:
        half.unlink(missing_ok=True)


if __name__ == "__main__":
    convert(Path(sys.argv[1]), Path(sys.argv[2]))
