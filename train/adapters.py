"""Loading a base for training, and saving an adapter as the project ships it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from empo.errors import StackError
from train.recipe import Lora, rooted

if TYPE_CHECKING:
    from peft import LoraConfig, PeftModel
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


def load_base(base: str) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """The base model in fp32 and its tokenizer. `base`: a folder of the project, or a Hub id.

    Raises:
        StackError: it cannot be loaded.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    source = str(rooted(base)) if rooted(base).is_dir() else base
    try:
        model = AutoModelForCausalLM.from_pretrained(source, dtype=torch.float32)
        return model, AutoTokenizer.from_pretrained(source)
    except (OSError, ValueError) as error:
        raise StackError(
            f"The base {base} cannot be loaded: {str(error).splitlines()[0]}"
        ) from error


def load_start(base: PreTrainedModel, folder: str) -> PeftModel:
    """`base` with the adapter in `folder` (of the project, or absolute) on it, to train further.

    The adapter must be called `default`: TRL then freezes a copy of it as the reference.

    Raises:
        StackError: there is no such adapter.
    """
    from peft import PeftModel

    path = rooted(folder)
    if not (path / "adapter_config.json").is_file():
        raise StackError(f"There is no adapter in {folder}; train it first: python -m train.sft.")
    return PeftModel.from_pretrained(base, str(path), adapter_name="default", is_trainable=True)


def lora_config(lora: Lora) -> LoraConfig:
    """PEFT's own form of a recipe's `lora`."""
    from peft import LoraConfig

    targets = lora.targets if isinstance(lora.targets, str) else list(lora.targets)
    return LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        use_rslora=lora.rslora,
        target_modules=targets,
        task_type="CAUSAL_LM",
    )


def save_adapter(model: PeftModel, folder: Path, base: str) -> None:
    """Write the adapter `default` of `model` to `folder`: bf16 safetensors and its config.

    The config names the base by the recipe's own relative path; other files in `folder` (a model
    card) stay as they are.
    """
    import torch
    from peft import get_peft_model_state_dict
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    state = get_peft_model_state_dict(model, adapter_name="default")
    state = {
        key: value.detach().to("cpu", torch.bfloat16).contiguous() for key, value in state.items()
    }
    config = model.peft_config["default"].to_dict()
    config |= {"base_model_name_or_path": base, "inference_mode": True}
    config = {key: sorted(v) if isinstance(v, set) else v for key, v in config.items()}
    part = folder / "adapter_model.safetensors.part"
    save_file(state, part, metadata={"format": "pt"})
    part.replace(folder / "adapter_model.safetensors")
    text = json.dumps(config, indent=2, sort_keys=True, default=str)
    (folder / "adapter_config.json").write_text(text + "\n", "utf-8")
