"""Tiny random bases and adapters on disk, engines over them, and PEFT's own replies beside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    PreTrainedModel,
)

from empo.models.engine import Row, Step
from empo.models.loading import load_engine
from empo.models.local import LocalEngine
from empo.models.stacks import Source, Stack, load_stack
from empo.types import ModelSpec, Quantisation, Reply, Sampling, Turn

NANO = load_stack("nano").base.folder
VOCABULARY = 8192
LAYERS = 2
ALL_LINEAR = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
OWN_TABLES = ("embed_tokens", "lm_head")
_SHAPE = {
    "vocab_size": VOCABULARY,
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": 4,
    "max_position_embeddings": 256,
    "initializer_range": 0.1,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 3,
}


def save_base(folder: Path, mistral: bool = False, seed: int = 0) -> Path:
    """A random Llama (or Mistral, with grouped heads) with the embedded base's tokenizer."""
    torch.manual_seed(seed)
    if mistral:
        config = MistralConfig(**_SHAPE, num_key_value_heads=2, sliding_window=None)
        model: PreTrainedModel = MistralForCausalLM(config)
    else:
        model = LlamaForCausalLM(LlamaConfig(**_SHAPE))
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(NANO).save_pretrained(folder)
    return folder


def plain(base: Path, extra: int = 0) -> PreTrainedModel:
    """The base alone in fp32, as transformers loads it, its vocabulary `extra` ids longer."""
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32).eval()
    if extra:
        torch.manual_seed(7)
        model.resize_token_embeddings(VOCABULARY + extra, mean_resizing=False)
    return model


def save_adapter(
    base: Path, folder: Path, seed: int, extra: int = 0, start: Path | None = None, **options: Any
) -> Path:
    """A PEFT adapter with random weights on both sides, as PEFT saves it.

    `start` is an adapter that this one continues: its weights and a little noise.
    """
    model = plain(base, extra)
    torch.manual_seed(seed)
    if start:
        tuned = PeftModel.from_pretrained(model, start, is_trainable=True)
    else:
        settings = {"r": 8, "lora_alpha": 16, "target_modules": list(ALL_LINEAR), **options}
        config = LoraConfig(task_type="CAUSAL_LM", init_lora_weights=False, **settings)
        tuned = get_peft_model(model, config)
    with torch.no_grad():
        for parameter in tuned.parameters():
            if parameter.requires_grad:
                parameter += 0.02 * torch.randn_like(parameter)
    tuned.save_pretrained(folder)
    return folder


def stack_of(base: Path, adapters: Mapping[str, Path], context: int | None = None) -> Stack:
    """A stack with a voice for the base and one for each adapter."""
    voices = [ModelSpec("base", "Base", "", "base")]
    voices += [ModelSpec(name, name, "", "sft", {name: 1.0}) for name in adapters]
    sources = {name: Source(str(folder)) for name, folder in adapters.items()}
    return Stack("tiny", "Tiny", Source(str(base)), sources, tuple(voices), "none", context=context)


def engine_of(
    stack: Stack, quantisation: Quantisation = "none", max_queue: int = 64
) -> LocalEngine:
    """`stack` loaded on the CPU, whatever this machine has."""
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.cuda, "is_available", lambda: False)
        patch.setenv("EMPO_MAX_QUEUE", str(max_queue))
        return load_engine(stack, quantisation)


def row(text: str, adapters: Mapping[str, float] | None = None, **options: Any) -> Row:
    """One voice with one user message; greedy, 12 tokens, unless `options` say otherwise."""
    stop = options.pop("stop", ())
    sampling = Sampling(**{"temperature": 0, "max_new_tokens": 12, **options})
    return Row("voice", (Turn("user", text),), adapters or {}, sampling, stop)


def answer(engine: LocalEngine, rows: Sequence[Row]) -> list[Reply]:
    """All replies, in the order of `rows`; what was streamed must add up to them."""
    return gather(engine.stream(rows), len(rows))


def gather(steps: Any, rows: int) -> list[Reply]:
    """The replies of `steps`, whose texts must add up to theirs."""
    texts = [""] * rows
    replies: dict[int, Reply] = {}
    step: Step
    for step in steps:
        for index, text in step.texts.items():
            assert index not in replies, "an ended row has no more text"
            texts[index] += text
        replies |= step.replies
    assert texts == [replies[index].text for index in range(rows)]
    return [replies[index] for index in range(rows)]


def peft_stack(base: Path, adapters: Mapping[str, Path], extra: int = 0) -> PeftModel:
    """The same stack as PEFT loads it, on a base whose vocabulary is `extra` ids longer."""
    first, *others = adapters
    tuned = PeftModel.from_pretrained(plain(base, extra), adapters[first], adapter_name=first)
    for name in others:
        tuned.load_adapter(adapters[name], adapter_name=name)
    return tuned.eval()


def greedy(model: Any, prompt: Sequence[int], tokens: int, adapter: str | None = None) -> list[int]:
    """The ids that transformers' `generate` gives for one prompt alone, end marker included."""
    if isinstance(model, PeftModel) and adapter:
        model.set_adapter(adapter, inference_mode=True)
    off = isinstance(model, PeftModel) and adapter is None
    ids = torch.tensor([list(prompt)])
    with torch.inference_mode(), model.disable_adapter() if off else nullcontext():
        out = model.generate(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            do_sample=False,
            max_new_tokens=tokens,
            pad_token_id=3,
        )
    return out[0, len(prompt) :].tolist()


def logits(engine: LocalEngine, rows: Sequence[Mapping[str, float]], ids: Any) -> torch.Tensor:
    """The engine's own logits at every position of `ids` for each blend of `rows`."""
    decoder = engine.decoder
    with torch.inference_mode():
        decoder.blend.use(rows, decoder.device)
        return decoder.model(input_ids=torch.tensor([list(ids)] * len(rows))).logits


class Tokens:
    """Records the ids that every row draws, end markers included, in one call of `stream`."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        from empo.models.decoding import Voice

        self.drawn: dict[int, list[int]] = {}
        accept = Voice.accept

        def recorded(voice: Voice, token: int, ends: frozenset[int]) -> str:
            self.drawn.setdefault(voice.index, []).append(token)
            return accept(voice, token, ends)

        patch.setattr(Voice, "accept", recorded)

    def of(self, engine: LocalEngine, rows: Sequence[Row]) -> list[list[int]]:
        self.drawn = {}
        answer(engine, rows)
        return [self.drawn[index] for index in range(len(rows))]
