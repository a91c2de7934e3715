"""Loading a base for training, and saving an adapter as the project ships it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from empo.errors import StackError
from empo.training.folder import run_folder
from empo.training.recipe import Lora, Recipe, rooted

if TYPE_CHECKING:
    from peft import LoraConfig, PeftModel
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


def load_base(recipe: Recipe) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """The recipe's base model and its tokenizer: fp32 on a CPU, bf16 on a GPU, or quantised.

    The base is a folder of the project, or a Hub id. Only safetensors are loaded.

    Raises:
        StackError: it cannot be loaded.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from empo.models.loading import quantisation_config
    from train.processes import processes

    base = recipe.base
    source = str(rooted(base)) if rooted(base).is_dir() else base
    cuda = torch.cuda.is_available()
    options: dict[str, Any] = {"dtype": torch.bfloat16 if cuda else torch.float32}
    if recipe.quantisation != "none":
        options["quantization_config"] = quantisation_config(recipe.quantisation)
        options["device_map"] = {"": processes().process_index} if cuda else "cpu"
    try:
        tokenizer = AutoTokenizer.from_pretrained(source, trust_remote_code=False)
        model = AutoModelForCausalLM.from_pretrained(
            source, use_safetensors=True, trust_remote_code=False, **options
        )
    except (OSError, ValueError, ImportError) as error:
        raise StackError(
            f"The base {base} cannot be loaded: {str(error).splitlines()[0]}"
        ) from error
    if recipe.pad_token:
        tokenizer.add_special_tokens({"pad_token": recipe.pad_token})
        if len(tokenizer) > model.get_input_embeddings().num_embeddings:
            model.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return model, tokenizer


def load_policy(base: PreTrainedModel, recipe: Recipe) -> tuple[Any, LoraConfig | None]:
    """`base` with the adapter that training goes on from, or the shape of a new one beside it."""
    if recipe.quantisation != "none":
        from peft import prepare_model_for_kbit_training

        base = prepare_model_for_kbit_training(
            base, use_gradient_checkpointing=recipe.gradient_checkpointing
        )
    if recipe.start is None:
        return base, lora_config(recipe.lora)
    return load_start(base, recipe.start), None


def load_start(base: PreTrainedModel, start: str) -> PeftModel:
    """`base` with the adapter `start` on it, to train further.

    `start`: a folder (of the project, or absolute), `run:NAME` for that run's adapter, or a Hub id.
    The adapter must be called `default`: TRL then freezes a copy of it as the reference.

    Raises:
        StackError: there is no such adapter, or its weights are no safetensors.
    """
    from peft import PeftModel

    path = start_folder(start)
    if path is None or not (path / "adapter_config.json").is_file():
        raise StackError(f"There is no adapter in {start}; train it first: python -m train.sft.")
    if not (path / "adapter_model.safetensors").is_file():
        raise StackError(f"The adapter {start} has no safetensors; nothing else is loaded.")
    return PeftModel.from_pretrained(base, str(path), adapter_name="default", is_trainable=True)


def start_folder(start: str) -> Path | None:
    """Where the adapter `start` lies; a Hub id is fetched (safetensors and configuration only)."""
    if start.startswith("run:"):
        return run_folder(start.removeprefix("run:")).adapter
    if rooted(start).is_dir() or not re.fullmatch(r"[\w.-]+/[\w.-]+", start):
        return rooted(start)
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(start, allow_patterns=["*.safetensors", "*.json"]))
    except Exception:  # the Hub's many errors, network errors
        return None


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
        modules_to_save=list(lora.full) or None,
        task_type="CAUSAL_LM",
    )


def save_adapter(model: PeftModel, folder: Path, base: str) -> None:
    """Write the adapter `default` of `model` to `folder`: bf16 safetensors and its config.

    The config names the base by the recipe's own relative path and comes last; other files in
    `folder` (a model card) stay as they are.
    """
    import torch
    from peft import get_peft_model_state_dict
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    state = get_peft_model_state_dict(
        model,
        adapter_name="default",
        save_embedding_layers=False,  # only copies that were trained
    )
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
