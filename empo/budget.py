"""Will a run fit? Predicted memory against what is free, and the cheapest fix."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from empo.errors import OutOfMemory, StackError
from empo.models.footprint import NF4_BYTES, shapes
from empo.models.inventory import local_folder
from empo.models.stacks import Source
from empo.training.folder import read_json, run_folder
from empo.training.memory import Form, Load, Shape, labelled, longest, peak
from empo.training.recipe import RunSpec, lean_dpo

_ED_ROWS = 19_400  # training dialogues of EmpatheticDialogues, about
_STARTER_ROWS = 96


@dataclass(frozen=True, slots=True)
class Budget:
    """Bytes `needed` at the peak (None: the base's files are not here) and `free`; the `fix`."""

    needed: int | None
    free: int
    fix: str = ""

    @property
    def fits(self) -> bool:
        return self.needed is None or self.needed <= self.free

    def check(self) -> None:
        """Raises OutOfMemory where the run is predicted not to fit, with the cheapest fix."""
        if not self.fits:
            raise OutOfMemory(
                f"This run is predicted to take {(self.needed or 0) / 1e9:.1f} GB of memory, "
                f"{self.free / 1e9:.1f} GB are free: {self.fix}."
            )


def predict(
    spec: RunSpec, free: int | None = None, gpu: bool | None = None, released: int = 0
) -> Budget:
    """The budget of `spec` on this machine (`free` bytes and `gpu` for another one).

    `released`: bytes that the chat will have given back by the time the run takes them.
    """
    gpu = has_gpu() if gpu is None else gpu
    left = (free if free is not None else free_memory(gpu)) + (released if gpu else 0)
    needed = _needed(spec, gpu)
    if needed is None or needed <= left:
        return Budget(needed, left)
    return Budget(needed, left, _fix(spec, gpu, left))


def _fix(spec: RunSpec, gpu: bool, free: int) -> str:
    """The first of the changes, from the cheapest on, with which the run fits."""
    batch = spec.optimiser.batch
    smaller = batch
    while smaller > 1:
        smaller //= 2
        accumulate = spec.optimiser.accumulate * math.ceil(batch / smaller)
        if _fits(_with(spec, batch=smaller, accumulate=accumulate), gpu, free):
            return f"set optimiser.batch={smaller} and optimiser.accumulate={accumulate}"
    small = _with(spec, batch=1, accumulate=spec.optimiser.accumulate * batch)
    ways: list[dict[str, Any]] = [{"gradient_checkpointing": True}]
    if gpu:
        ways += [{"quantisation": "nf4"}, {"quantisation": "nf4", "gradient_checkpointing": True}]
    for way in ways:
        if _fits(small.model_copy(update=way), gpu, free):
            said = " and ".join(f"{k}={str(v).lower()}" for k, v in way.items())
            return f"set optimiser.batch=1, optimiser.accumulate={batch} and {said}"
    return "take a smaller base"


def _with(spec: RunSpec, **changes: int) -> RunSpec:
    return spec.model_copy(update={"optimiser": spec.optimiser.model_copy(update=changes)})


def _fits(spec: RunSpec, gpu: bool, free: int) -> bool:
    needed = _needed(spec, gpu)
    return needed is not None and needed <= free


def _needed(spec: RunSpec, gpu: bool) -> int | None:
    folder = local_folder(Source(spec.base), "config.json")
    if folder is None:
        return None
    config = read_json(folder / "config.json") or {}
    try:
        tensors = shapes(folder)
        shape = _shape(spec, config, tensors, gpu)
    except (KeyError, StackError):
        return None
    return peak(shape, _load(spec, gpu))


def _shape(
    spec: RunSpec, config: dict[str, Any], tensors: dict[str, tuple[int, ...]], gpu: bool
) -> Shape:
    plain = 2 if gpu else 4
    each = {"none": plain, "nf4": NF4_BYTES, "int8": 1}[spec.quantisation]
    linear = {n: s for n, s in tensors.items() if len(s) == 2 and "embed" not in n}
    linear = {n: s for n, s in linear.items() if "lm_head" not in n}
    inside = sum(math.prod(s) for s in linear.values())
    outside = sum(math.prod(s) for s in tensors.values()) - inside
    return Shape(
        base_bytes=round(inside * each + outside * plain),
        trained=_trained(spec, linear, config),
        width=config["hidden_size"],
        inner=config["intermediate_size"],
        layers=config["num_hidden_layers"],
        vocabulary=config["vocab_size"],
        inside=_inside(spec, linear, config["num_hidden_layers"]),
    )


def base_weights(spec: RunSpec) -> int | None:
    """How many weights the base has; None where its files are not on this machine."""
    folder = local_folder(Source(spec.base), "config.json")
    try:
        return sum(math.prod(s) for s in shapes(folder).values()) if folder else None
    except StackError:
        return None


def _trained(spec: RunSpec, linear: dict[str, tuple[int, ...]], config: dict[str, Any]) -> int:
    """Weights of the adapter: of the start's own files, or rank × (in + out) of each target."""
    if spec.lora is None:
        folder = _start(str(spec.start))
        return sum(math.prod(s) for s in shapes(folder).values()) if folder else 0
    wanted = _targets(spec.lora.targets, linear)
    tables = len(spec.lora.full) * config["vocab_size"] * config["hidden_size"]
    return spec.lora.rank * sum(a + b for a, b in wanted.values()) + tables


def _targets(
    targets: str | Sequence[str], linear: dict[str, tuple[int, ...]]
) -> dict[str, tuple[int, ...]]:
    """The linear layers that an adapter sits on."""
    return {
        name: shape
        for name, shape in linear.items()
        if targets == "all-linear" or name.split(".")[-2] in targets
    }


def _inside(spec: RunSpec, linear: dict[str, tuple[int, ...]], layers: int) -> int:
    """The ranks of the adapters of one layer, added up."""
    if spec.lora is not None:
        rank, count = spec.lora.rank, len(_targets(spec.lora.targets, linear))
    else:
        folder = _start(str(spec.start))
        config = (read_json(folder / "adapter_config.json") if folder else None) or {}
        rank, targets = int(config.get("r", 0)), config.get("target_modules") or "all-linear"
        count = len(_targets(targets, linear))
    return round(rank * count / layers)


def _start(start: str) -> Path | None:
    if start.startswith("run:"):
        return run_folder(start.removeprefix("run:")).adapter
    return local_folder(Source(start), "adapter_config.json")


def _load(spec: RunSpec, gpu: bool) -> Load:
    """A step over the longest rows, which training begins with."""
    lean = lean_dpo(spec)
    form: Form = "dialogue" if spec.kind == "sft" else "pair" if lean else "reply"
    batch = spec.optimiser.batch
    every = _STARTER_ROWS if spec.data == "starter" else _ED_ROWS
    count = every * getattr(spec, "draws", 1)
    count = min(count, spec.limit or count)
    length = longest(form, count, spec.optimiser.max_length, spec.length_percentile)
    # TRL's own trainer runs both replies of a pair as rows of their own.
    rows = batch * (2 if spec.kind == "dpo" and not lean else 1)
    return Load(
        rows=rows,
        length=length,
        labelled=labelled(form, rows, length),
        gpu=gpu,
        checkpointing=spec.gradient_checkpointing,
        reference=spec.kind == "dpo" and spec.start is not None and not spec.precompute,
        tiled=spec.kind == "kto" or (spec.kind == "dpo" and not lean),
    )


def has_gpu() -> bool:
    """Whether this machine trains on a GPU."""
    # Without a device there is no need for torch, which takes seconds to import.
    if not any(Path(device).exists() for device in ("/dev/nvidiactl", "/dev/kfd", "/dev/dxg")):
        return False
    from empo.models.loading import torch

    return torch.cuda.is_available()


def free_memory(gpu: bool) -> int:
    """Bytes of the GPU's memory, or of the main memory, that can be taken now."""
    if not gpu:
        return psutil.virtual_memory().available
    from empo.models import loading

    return loading.free_memory(gpu)
