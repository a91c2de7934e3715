"""From a stack to an engine: check the memory, load the base once, lay the adapters over it."""

from __future__ import annotations

import gc
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from empo.errors import OutOfMemory, StackError, UsageError
from empo.models.adapters import Adapter, read_adapter
from empo.models.decoding import Decoder
from empo.models.encoding import Encoder
from empo.models.footprint import footprint
from empo.models.inventory import items, missing
from empo.models.llama import hasten
from empo.models.local import LocalEngine
from empo.models.lora import install, uninstall
from empo.models.stacks import Source, Stack, load_stack, stack_names
from empo.settings import settings
from empo.types import QUANTISATIONS, Quantisation

if TYPE_CHECKING:
    from transformers import PreTrainedModel

Report = Callable[[str, float], None]  # what is being done, share done in 0..1
# Never fetched: pickles, code, other frameworks.
_WANTED = ("*.safetensors", "*.json", "*.jinja", "tokenizer.model")
_ACTIVATIONS = 1.15  # cache and activations of a few short conversations, on top of the weights


def load_engine(
    stack: Stack,
    quantisation: Quantisation | None = None,
    report: Report = lambda text, share: None,
    gpu: bool | None = None,
) -> LocalEngine:
    """Load `stack`: on CUDA in nf4 unless told otherwise, else on the CPU in fp32.

    `gpu` False: on the CPU although there is a GPU.

    Raises:
        UsageError: an unknown quantisation.
        StackError: files are missing, damaged, or must not be loaded.
        OutOfMemory: the machine has too little memory; names the cheapest fix.
    """
    gpu = torch.cuda.is_available() if gpu is None else gpu
    how = served_in(stack, quantisation, gpu)
    _fetch(stack, report)
    check_memory(stack, how, gpu)
    report("Loading the base", 0.3)
    base = next(item for item in items(stack) if item.role == "base")
    model, encoder = _load_base(base.folder, how, gpu, stack.context)
    before = tensor_bytes(model)
    blend = install(model, _read(stack, model.dtype, report))
    hasten(model)
    gc.collect()
    decoder = Decoder(model, blend, encoder, _ends(model, encoder))
    report("Ready", 1.0)
    sizes = {"base": before, "stack": tensor_bytes(model)}
    return LocalEngine(stack, how, decoder, sizes, settings().max_queue)


def served_in(
    stack: Stack, quantisation: Quantisation | None = None, gpu: bool | None = None
) -> Quantisation:
    """How the base of `stack` is held where `quantisation` is asked for (`gpu` None: if there is).

    Raises:
        UsageError: an unknown quantisation.
    """
    gpu = torch.cuda.is_available() if gpu is None else gpu
    usual: Quantisation = "nf4" if gpu else "none"
    how = quantisation or stack.quantisation or usual
    if how not in QUANTISATIONS:
        raise UsageError(f"There is no quantisation “{how}”; choose {', '.join(QUANTISATIONS)}.")
    return how


def exchange(decoder: Decoder, old: Stack, new: Stack) -> int:
    """Lay the adapters of `new` over the loaded base in place of those of `old`; tensor bytes then.

    For the thread that owns the model. Where the new ones cannot be laid over it, the old ones are.

    Raises:
        StackError: the base is another, or an adapter must not be loaded or does not fit.
    """
    if new.base != old.base:
        raise StackError(f"The stack {new.name} sits on another base: load it anew.")
    model = decoder.model
    adapters = _read(new, model.dtype)  # before anything is changed
    uninstall(model)
    try:
        decoder.blend = install(model, adapters)
    except StackError:
        uninstall(model)
        decoder.blend = install(model, _read(old, model.dtype))
        raise
    gc.collect()
    return tensor_bytes(model)


def _read(
    stack: Stack, dtype: torch.dtype, report: Report = lambda text, share: None
) -> list[Adapter]:
    adapters = []
    for n, (name, source) in enumerate(stack.adapters.items()):
        report(f"Loading the adapter {name}", 0.6 + 0.3 * n / len(stack.adapters))
        adapters.append(read_adapter(name, _folder(stack, source), stack.base.path, dtype))
    return adapters


def pick_stack(name: str) -> Stack:
    """The stack called `name`; `auto` is the largest that is on this machine and fits, or nano."""
    if name != "auto":
        return load_stack(name)
    gpu = torch.cuda.is_available()
    best, size = load_stack("nano"), 0
    for other in map(load_stack, stack_names()):
        need = footprint(other, "nf4" if gpu else "none", gpu)
        if need and need.total > size and need.total * _ACTIVATIONS < free_memory(gpu):
            best, size = other, need.total
    return best


def free_memory(gpu: bool) -> int:
    """Bytes that can be taken now."""
    if gpu:
        return torch.cuda.mem_get_info()[0]
    import psutil

    return psutil.virtual_memory().available


def check_memory(stack: Stack, quantisation: Quantisation, gpu: bool) -> None:
    """Raises OutOfMemory where `stack` cannot fit, with the cheapest fix."""
    need = footprint(stack, quantisation, gpu)
    free = free_memory(gpu)
    if need is None or need.total * _ACTIVATIONS <= free:
        return
    smaller = footprint(stack, "nf4", gpu)
    fits = smaller and smaller.total * _ACTIVATIONS <= free and quantisation != "nf4"
    fix = "--quantisation nf4" if fits else "--stack nano"
    raise OutOfMemory(
        f"The stack {stack.name} needs about {need.total * _ACTIVATIONS / 1e9:.1f} GB of "
        f"{'GPU ' if gpu else ''}memory in {quantisation}, {free / 1e9:.1f} GB are free: use {fix}."
    )


def tensor_bytes(model: torch.nn.Module) -> int:
    """Bytes of all tensors that `model` and its adapters hold, each storage counted once."""
    found: dict[int, int] = {}
    for module in model.modules():
        together = getattr(module, "together", None)
        holders = [module.__dict__, module._parameters, module._buffers]
        for holder in [*holders, *([together.__dict__] if together else [])]:
            for tensor in _tensors(holder.values()):
                storage = tensor.untyped_storage()
                found[storage.data_ptr()] = storage.nbytes()
    return sum(found.values())


def _tensors(values: Any) -> list[torch.Tensor]:
    flat = []
    for value in values:
        if isinstance(value, list | tuple):
            flat += [item for item in value if isinstance(item, torch.Tensor)]
        elif isinstance(value, torch.Tensor):
            flat += [value, *_scales(value)]
    return flat


def _scales(weight: torch.Tensor) -> list[torch.Tensor]:
    """What bitsandbytes keeps beside a quantised weight: scales, and what scales the scales."""
    beside = [getattr(weight, "SCB", None)]
    state = getattr(weight, "quant_state", None)
    while state is not None:
        beside += [state.absmax, state.code]
        state = state.state2
    return [tensor for tensor in beside if tensor is not None]


def _folder(stack: Stack, source: Source) -> Path:
    return next(item.folder for item in items(stack) if item.source == source)


def _fetch(stack: Stack, report: Report) -> None:
    """Download what is not here from the Hub, safetensors only."""
    for item in missing(stack):
        if item.source.folder:
            continue  # a local folder that lacks something: said below
        report(f"Downloading {item.source.path}", 0.05)
        try:
            from huggingface_hub import snapshot_download

            snapshot_download(
                item.source.path, revision=item.source.revision, allow_patterns=list(_WANTED)
            )
        except Exception as error:  # the Hub's many errors, network errors, invalid ids
            reason = str(error).strip().splitlines()[0][:200]
            raise StackError(
                f"The stack {stack.name}: {item.role} ({item.source.path}) is not on this machine "
                f"and cannot be downloaded ({reason}). Check the network, or use --stack nano."
            ) from error
    if still := missing(stack):
        raise StackError(
            f"The stack {stack.name}: {still[0].role} ({still[0].source.path}) has no safetensors "
            "with its configuration; only safetensors are loaded, for a pickle can run code."
        )


def _load_base(
    folder: Path, quantisation: Quantisation, gpu: bool, context: int | None
) -> tuple[PreTrainedModel, Encoder]:
    from safetensors import SafetensorError
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from transformers.utils import logging

    logging.disable_progress_bar()
    options: dict[str, Any] = {"dtype": torch.bfloat16 if gpu else torch.float32}
    if quantisation != "none":
        options["quantization_config"] = quantisation_config(quantisation)
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
        model = AutoModelForCausalLM.from_pretrained(
            folder,
            use_safetensors=True,
            trust_remote_code=False,
            device_map="cuda" if gpu else "cpu",
            **options,
        )
    except (
        OSError, ValueError, KeyError, RuntimeError, ImportError, SafetensorError
    ) as error:  # fmt: skip
        reason = str(error).strip().splitlines()[0][:200]
        raise StackError(f"The base in {folder} cannot be loaded: {reason}") from error
    model.eval().requires_grad_(False)
    limit = getattr(model.config, "max_position_embeddings", None) or 2048
    return model, Encoder(tokenizer, min(context or limit, limit))


def quantisation_config(quantisation: Quantisation) -> Any:
    """How bitsandbytes is to hold a base in nf4 (Dettmers et al. 2023) or int8."""
    from transformers import BitsAndBytesConfig

    if quantisation == "int8":
        return BitsAndBytesConfig(load_in_8bit=True)
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.bfloat16,
    )


def _ends(model: PreTrainedModel, encoder: Encoder) -> frozenset[int]:
    """Ids that end a reply."""
    ends = getattr(model.generation_config, "eos_token_id", None)
    ends = ends if isinstance(ends, list) else [ends]
    return frozenset(id_ for id_ in [*ends, encoder.tokenizer.eos_token_id] if id_ is not None)
