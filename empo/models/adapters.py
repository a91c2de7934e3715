"""LoRA adapters from disk: checked before a single weight is read, and only ever safetensors.

The files are PEFT's (`adapter_config.json`, `adapter_model.safetensors`). What is taken is plain
LoRA on linear layers, and own copies of `embed_tokens` and `lm_head`; anything that would change
the base, run code or unpickle is refused with a reason. The adapter's tokenizer and chat template
are never used: all voices of a stack see the base's.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Annotated, Any

import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from safetensors import SafetensorError, safe_open

from empo.errors import StackError

WEIGHTS = "adapter_model.safetensors"
TABLES = ("embed_tokens", "lm_head")
_DTYPES = (torch.float32, torch.float16, torch.bfloat16)
# Initialisations after which the base itself is no longer the base.
_BASE_CHANGING = ("pissa", "olora", "corda", "loftq", "lora_ga")
# Fields of PEFT's LoraConfig that change what is computed in ways that are not served here.
_UNSUPPORTED = (
    "use_dora",
    "lora_bias",
    "fan_in_fan_out",
    "auto_mapping",
    "megatron_config",
    "layer_replication",
    "trainable_token_indices",
    "target_parameters",
    "alora_invocation_tokens",
    "arrow_config",
    "use_qalora",
    "use_bdlora",
    "monteclora_config",
)
# A pattern with more than a dotted name in it would have to be run as a regular expression.
_NAME = r"^[\w.-]{1,200}$"
_Rank = Annotated[int, Field(ge=1)]
_Alpha = Annotated[float, Field(allow_inf_nan=False)]
_KEY = re.compile(r"^base_model\.model\.(?P<module>.+)\.lora_(?P<side>[AB])\.weight$")
# Where the vocabulary was resized, PEFT saves a table three times: as `.weight`, as the copy in
# `.modules_to_save`, and the base's own as `.original_module`.
_TABLE_KEY = re.compile(
    r"^base_model\.model\.(?:.+\.)?(?P<table>embed_tokens|lm_head)"
    r"(?P<copy>\.modules_to_save(?:\.default)?|\.original_module)?\.weight$"
)


@dataclass(frozen=True, slots=True)
class LoraPair:
    """A of shape (rank, in), B of shape (out, rank), and B's scale alpha / rank."""

    a: torch.Tensor
    b: torch.Tensor
    scale: float


@dataclass(frozen=True, slots=True)
class Adapter:
    """An adapter's weights: LoRA pairs by module name, own tables by `embed_tokens`/`lm_head`."""

    name: str
    pairs: Mapping[str, LoraPair]
    tables: Mapping[str, torch.Tensor] = field(default_factory=dict)


class _Config(BaseModel):
    """What of `adapter_config.json` is used; the rest is looked at by `_refusal`."""

    model_config = ConfigDict(extra="ignore")
    peft_type: str
    r: _Rank
    lora_alpha: _Alpha
    base_model_name_or_path: str | None = None
    bias: str = "none"
    use_rslora: bool = False
    rank_pattern: dict[Annotated[str, Field(pattern=_NAME)], _Rank] = {}
    alpha_pattern: dict[Annotated[str, Field(pattern=_NAME)], _Alpha] = {}
    modules_to_save: list[str] | None = None

    def rank(self, module: str) -> int:
        return _matching(self.rank_pattern, module, self.r)

    def scale(self, module: str) -> float:
        rank = self.rank(module)
        alpha = _matching(self.alpha_pattern, module, self.lora_alpha)
        return alpha / (math.sqrt(rank) if self.use_rslora else rank)


def read_adapter(name: str, folder: Path, base: str, dtype: torch.dtype) -> Adapter:
    """Read the adapter in `folder`, made for the base called `base`.

    Raises:
        StackError: it is not an adapter that can be served on this base; says why.
    """
    config = _config(name, folder, base)
    path = folder / WEIGHTS
    if not path.is_file():
        pickled = any(folder.glob("*.bin")) or any(folder.glob("*.pt")) or any(folder.glob("*.pkl"))
        why = (
            "its weights are a pickle, which can run code; convert them to safetensors"
            if pickled
            else f"it has no {WEIGHTS}"
        )
        raise StackError(f"The adapter {name} in {folder} is refused: {why}.")
    sides: dict[str, dict[str, torch.Tensor]] = {}
    tables: dict[str, torch.Tensor] = {}
    try:
        with safe_open(path, framework="pt") as file:
            for key in file.keys():  # noqa: SIM118 - a safetensors handle is no mapping
                match = _KEY.match(key) or _TABLE_KEY.match(key)
                if match is None:
                    raise StackError(f"The adapter {name}: {key} is not a LoRA weight served here.")
                found = match.groupdict()
                copy = found.get("copy")
                if copy == ".original_module" or (copy and found["table"] in tables):
                    continue
                tensor = _sound(name, key, file.get_tensor(key)).to(dtype)
                if table := found.get("table"):
                    tables[table] = tensor
                else:
                    sides.setdefault(found["module"], {})[found["side"]] = tensor
    except (SafetensorError, OSError) as error:
        raise StackError(f"The adapter {name}: {path.name} cannot be read ({error}).") from error
    return Adapter(name, {m: _pair(name, m, s, config) for m, s in sides.items()}, tables)


def _sound(name: str, key: str, tensor: torch.Tensor) -> torch.Tensor:
    if tensor.dtype not in _DTYPES or tensor.dim() != 2:
        raise StackError(f"The adapter {name}: {key} is no matrix in fp32, fp16 or bf16.")
    if not torch.isfinite(tensor).all():
        raise StackError(f"The adapter {name}: {key} holds values that are no numbers.")
    return tensor


def _pair(name: str, module: str, sides: Mapping[str, torch.Tensor], config: _Config) -> LoraPair:
    rank = config.rank(module)
    if set(sides) != {"A", "B"} or not sides["A"].shape[0] == sides["B"].shape[1] == rank:
        raise StackError(
            f"The adapter {name}: the LoRA weights of {module} are not A and B of rank {rank}."
        )
    return LoraPair(sides["A"], sides["B"], config.scale(module))


def _config(name: str, folder: Path, base: str) -> _Config:
    path = folder / "adapter_config.json"
    try:
        raw: Any = json.loads(path.read_text("utf-8"))
        config = _Config.model_validate(raw)
    except FileNotFoundError:
        raise StackError(f"The adapter {name}: there is no {path}.") from None
    except (OSError, ValueError, RecursionError) as error:
        what = error.errors()[0]["msg"] if isinstance(error, ValidationError) else str(error)
        raise StackError(f"The adapter {name}: {path} cannot be read ({what}).") from error
    if why := _refusal(config, raw, base):
        raise StackError(f"The adapter {name} in {folder} is refused: {why}.")
    return config


def _refusal(config: _Config, raw: Mapping[str, Any], base: str) -> str | None:
    """Why the adapter must not be loaded; None where it may."""
    if config.peft_type != "LORA":
        return f"it is of type {config.peft_type[:40]}, only LORA is served"
    if used := [key for key in _UNSUPPORTED if raw.get(key)]:
        return f"it uses {used[0]}, which is not served"
    if config.bias != "none":
        return "it trains biases, which are not served"
    if str(raw.get("init_lora_weights", "")).lower().startswith(_BASE_CHANGING):
        return f"its initialisation {raw['init_lora_weights']} changes the base"
    if isinstance(raw.get("target_modules"), str) and raw["target_modules"] != "all-linear":
        return "its target_modules is a pattern; list the module names"
    if unknown := set(config.modules_to_save or ()) - set(TABLES):
        return f"it replaces {min(unknown)}; only {' and '.join(TABLES)} can be"
    theirs = config.base_model_name_or_path
    if theirs and PurePosixPath(theirs).name != PurePosixPath(base).name:
        return f"it was made for the base {theirs[:120]}, this stack's is {base}"
    return None


def _matching(pattern: Mapping[str, Any], module: str, default: Any) -> Any:
    """PEFT's patterns name a module by the end of its dotted name."""
    for key, value in pattern.items():
        if module == key or module.endswith(f".{key}"):
            return value
    return default
