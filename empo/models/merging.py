"""An adapter merged into its base: one plain model that needs no PEFT."""

from __future__ import annotations

import shutil
from pathlib import Path

import torch

from empo.errors import DataError, StackError
from empo.models.adapters import read_adapter
from empo.models.inventory import CONFIG, local_folder
from empo.models.stacks import Source


def merge(base: str, adapter: Path, out: Path) -> None:
    """Write `base` with the adapter in `adapter` merged into it to `out`, as safetensors.

    W becomes W + scale · B A, worked out in fp32, saved in the precision that the base's own file
    has. The adapter passes the same checks as one that is served. `out` is there whole or not at
    all.

    Raises:
        StackError: a file is missing, damaged, or must not be loaded.
        DataError: `out` is there already, or cannot be written.
    """
    from transformers import AutoModelForCausalLM, AutoTokenizer

    if out.exists():
        raise DataError(f"{out} is there already: give another folder.")
    found = local_folder(Source(base), CONFIG["base"])
    if found is None:
        raise StackError(f"The base {base} is not on this machine.")
    laid = read_adapter(adapter.parent.name, adapter, base, torch.float32)
    model = AutoModelForCausalLM.from_pretrained(
        found, dtype="auto", use_safetensors=True, trust_remote_code=False
    )
    for name, table in laid.tables.items():
        if table.shape[0] > model.get_input_embeddings().num_embeddings:
            model.resize_token_embeddings(table.shape[0], mean_resizing=False)
        layer = model.get_input_embeddings() if name == "embed_tokens" else _head(model)
        layer.weight.data.copy_(table)
    for name, pair in laid.pairs.items():
        weight = model.get_submodule(name).weight
        if weight.shape != (pair.b.shape[0], pair.a.shape[1]):
            raise StackError(f"The adapter does not fit the base's {name}.")
        weight.data.copy_(weight.data.float() + pair.scale * (pair.b @ pair.a))
    half = out.with_name(f".{out.name}.part")
    shutil.rmtree(half, ignore_errors=True)
    try:
        model.save_pretrained(half)
        AutoTokenizer.from_pretrained(found, trust_remote_code=False).save_pretrained(half)
        half.rename(out)
    except OSError as error:
        shutil.rmtree(half, ignore_errors=True)
        raise DataError(f"{out} cannot be written: {error}.") from error


def _head(model: torch.nn.Module) -> torch.nn.Module:
    return model.get_output_embeddings()
