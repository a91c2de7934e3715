"""Row-masked LoRA: tokens against PEFT's, logits against weights merged by hand."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel

from empo.errors import StackError
from empo.models.adapters import Adapter, LoraPair, read_adapter
from empo.models.loading import tensor_bytes
from empo.models.local import LocalEngine
from empo.models.lora import Blend, install
from empo.models.stacks import load_stack
from tests.tiny_models import (
    LAYERS,
    OWN_TABLES,
    VOCABULARY,
    Tokens,
    engine_of,
    greedy,
    logits,
    peft_stack,
    plain,
    row,
    save_adapter,
    save_base,
    stack_of,
)

# Unequal on purpose: the batch pads, the reference never does.
PROMPTS = (
    "Hi.",
    "My dog died last week and I do not know what to do with myself any more.",
    "I won the race today!",
    "Why?",
    "I have been offered the job I wanted for years, and now I am afraid to move away.",
)


class Case:
    """A stack as the engine and as PEFT has it, side by side."""

    def __init__(self, base: Path, adapters: Mapping[str, Path], extra: int = 0) -> None:
        self.base, self.adapters = base, adapters
        self.engine: LocalEngine = engine_of(stack_of(base, adapters))
        self.peft: PeftModel = peft_stack(base, adapters, extra)

    def prompt(self, text: str) -> list[int]:
        return self.engine.decoder.encoder.encode(row(text).messages)

    def check(self, patch: pytest.MonkeyPatch, bare: Any = None, tokens: int = 12) -> None:
        """Every voice with every prompt, all in one batch, equals PEFT's one prompt at a time.

        `bare` is the base that the base's voice is held against, where PEFT's is not it.
        """
        voices = [None, *self.adapters]
        chosen = [(v, p) for p in PROMPTS[:3] for v in voices]
        rows = [row(p, {v: 1.0} if v else {}, max_new_tokens=tokens) for v, p in chosen]
        ours = Tokens(patch).of(self.engine, rows)
        for (voice, text), own in zip(chosen, ours, strict=True):
            model = bare if bare is not None and voice is None else self.peft
            assert own == greedy(model, self.prompt(text), tokens, voice), (voice, text)
        by_voice = [tuple(map(tuple, ours[i :: len(voices)])) for i in range(len(voices))]
        assert len(set(by_voice)) == len(voices), "the voices differ"


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.set_num_threads(1)
    return save_base(tmp_path_factory.mktemp("llama"))


@pytest.fixture(scope="module")
def mixed(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Case:
    """Ranks, module subsets and scalings that differ between the adapters."""
    folder = tmp_path_factory.mktemp("mixed")
    options: dict[str, dict[str, Any]] = {
        "small": {"r": 4, "lora_alpha": 8},
        "attention": {"r": 16, "target_modules": ["q_proj", "v_proj"]},
        "rest": {"r": 6, "target_modules": ["k_proj", "down_proj"], "use_rslora": True},
        "patterns": {
            "target_modules": ["q_proj", "k_proj", "up_proj"],
            "rank_pattern": {"layers.1.self_attn.q_proj": 3, "up_proj": 12},
            "alpha_pattern": {"q_proj": 40, "layers.0.mlp.up_proj": 5},
        },
    }
    paths = {
        name: save_adapter(base, folder / name, seed, **option)
        for seed, (name, option) in enumerate(options.items(), 1)
    }
    return Case(base, paths)


@pytest.fixture(scope="module")
def paper(tmp_path_factory: pytest.TempPathFactory) -> Case:
    """The paper's stack in small: a Mistral without its 7B, the rest as published.

    Rank above nano's, all linear layers, own embeddings and head, a [PAD] token more than the
    base; the DPO adapter continues the SFT adapter.
    """
    folder = tmp_path_factory.mktemp("paper")
    base = save_base(folder / "zephyr-7b-sft-full", mistral=True, seed=3)
    sft = save_adapter(
        base, folder / "sft", 11, extra=1, r=64, lora_alpha=4, modules_to_save=list(OWN_TABLES)
    )
    dpo = save_adapter(base, folder / "dpo", 12, extra=1, start=sft)
    return Case(base, {"sft": sft, "dpo": dpo}, extra=1)


def test_greedy_replies_equal_peft(mixed: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    mixed.check(monkeypatch)


def test_the_paper_s_stack_equals_peft(paper: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    assert read_adapter("sft", paper.adapters["sft"], "zephyr-7b-sft-full", torch.float32).tables
    paper.check(monkeypatch, bare=plain(paper.base))


@pytest.mark.slow
def test_the_embedded_stack_equals_peft(monkeypatch: pytest.MonkeyPatch) -> None:
    nano = load_stack("nano")
    adapters = {name: source.folder for name, source in nano.adapters.items()}
    Case(nano.base.folder, adapters).check(monkeypatch, tokens=24)


def test_added_ids_are_masked_for_rows_without_them(paper: Case) -> None:
    """The base's logits are those of the base that nobody resized; [PAD] is -inf there."""
    ids = paper.prompt(PROMPTS[1])
    base, sft, half = logits(paper.engine, [{}, {"sft": 1.0}, {"sft": 0.5}], ids)
    with torch.inference_mode():
        bare = plain(paper.base)(input_ids=torch.tensor([ids])).logits[0]
    torch.testing.assert_close(base[:, :VOCABULARY], bare, atol=1e-5, rtol=0)
    assert (base[:, VOCABULARY] == -torch.inf).all(), "the base has no [PAD]"
    assert sft[:, VOCABULARY].isfinite().all(), "the adapter has one"
    assert (half[:, VOCABULARY] == -torch.inf).all(), "half a base has none"


def test_a_base_among_adapters_answers_as_alone(paper: Case) -> None:
    """The same rows without and with neighbours whose tables are larger."""
    ids = paper.prompt(PROMPTS[0])
    alone = logits(paper.engine, [{}], ids)[0]
    among = logits(paper.engine, [{}, {"dpo": 1.0}], ids)[0]
    torch.testing.assert_close(alone[:, :VOCABULARY], among[:, :VOCABULARY], atol=1e-5, rtol=0)


@pytest.mark.parametrize("weights", [(0.3, 0.7), (-0.5, 1.5), (0.25, 0.25)])
def test_a_blend_equals_peft_s_concatenation(mixed: Case, weights: tuple[float, float]) -> None:
    names = ["small", "rest"]
    mixed.peft.base_model.add_weighted_adapter(names, list(weights), "mix", combination_type="cat")
    mixed.peft.set_adapter("mix", inference_mode=True)
    ids = mixed.prompt(PROMPTS[4])
    try:
        with torch.inference_mode():
            theirs = mixed.peft(input_ids=torch.tensor([ids])).logits[0]
    finally:
        mixed.peft.delete_adapter("mix")
    blend = dict(zip(names, weights, strict=True))
    ours = logits(mixed.engine, [{}, blend], ids)[1]
    torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=0)
    assert (ours - logits(mixed.engine, [{"small": 1.0}], ids)[0]).abs().max() > 0.1


def merged_by_hand(case: Case, weights: Mapping[str, float]) -> Any:
    """A plain model with W + Σ w s B A in its layers and (1 - Σ w) T + Σ w T_a as its tables."""
    model = plain(case.base)
    with torch.no_grad():
        for table, linear in (
            ("embed_tokens", model.model.embed_tokens),
            ("lm_head", model.lm_head),
        ):
            original = linear.weight.clone()
            linear.weight *= 1 - sum(weights.values())
            for name, weight in weights.items():
                own = read_adapter(name, case.adapters[name], case.base.name, torch.float32)
                linear.weight += weight * own.tables[table][:VOCABULARY]
            assert not torch.equal(original, linear.weight)
        for name, weight in weights.items():
            own = read_adapter(name, case.adapters[name], case.base.name, torch.float32)
            for module, pair in own.pairs.items():
                model.get_submodule(module).weight += weight * pair.scale * pair.b @ pair.a
    return model


@pytest.mark.parametrize(
    "weights",
    [{"sft": 0.4, "dpo": 0.6}, {"sft": -0.5, "dpo": 1.5}, {"sft": 0.5}, {"sft": 1.5}],
    ids=str,
)
def test_tables_blend_with_the_layers(paper: Case, weights: dict[str, float]) -> None:
    """Beyond 1 as well: a base whose share is negative must not give ids that it lacks."""
    ids = paper.prompt(PROMPTS[2])
    ours = logits(paper.engine, [{"dpo": 1.0}, weights, {}], ids)[1]
    with torch.inference_mode():
        theirs = merged_by_hand(paper, weights)(input_ids=torch.tensor([ids])).logits[0]
    torch.testing.assert_close(ours[:, :VOCABULARY], theirs, atol=1e-3, rtol=1e-4)
    all_have_it = sum(weights.values()) == 1
    pad = ours[:, VOCABULARY]
    assert pad.isfinite().all() if all_have_it else (pad == -torch.inf).all()


def test_shares_that_add_up_but_for_rounding_leave_no_base(paper: Case) -> None:
    paper.engine.decoder.blend.use([{"sft": -0.17, "dpo": 1.17}], "cpu")
    parts = paper.engine.decoder.model.lm_head._parts(1)
    assert len(parts) == 2


def test_the_mask_by_hand() -> None:
    """Ranks 2 and 1 in one member, then 0 and 1 in another: each weight so often."""
    blend = Blend(["a", "b"])
    blend.use([{"a": 0.5}, {"b": 2.0}, {}], "cpu")
    mask = blend.mask((2, 1, 0, 1))
    assert mask is not None
    assert mask[:, 0].tolist() == [[0.5, 0.5, 0, 0], [0, 0, 2, 2], [0, 0, 0, 0]]
    blend.keep(torch.tensor([1, 2]))
    kept = blend.mask((2, 1, 0, 1))
    assert kept is not None and kept[:, 0].tolist() == [[0, 0, 2, 2], [0, 0, 0, 0]]
    blend.keep(torch.tensor([1]))
    assert blend.mask((2, 1, 0, 1)) is None, "the base alone costs nothing more"


def test_one_base_in_memory_and_adapters_as_calculated(base: Path, tmp_path: Path) -> None:
    """Two adapters of rank 8 on all layers, per layer, in weights:

    q, k, v: A 3·16 × 64, B 3·16 × 3·64 (a block diagonal); o: A 16 × 64, B 16 × 64;
    gate, up: A 2·16 × 64, B 2·16 × 2·96; down: A 16 × 96, B 16 × 64.
    """
    paths = {name: save_adapter(base, tmp_path / name, i) for i, name in enumerate("ab")}
    model = plain(base)
    before = tensor_bytes(model)
    assert before == sum({p.data_ptr(): p.nbytes for p in model.parameters()}.values()) + sum(
        b.nbytes for b in model.buffers()
    )
    install(model, [read_adapter(n, p, base.name, torch.float32) for n, p in paths.items()])
    qkv = 48 * 64 + 48 * 192
    rest = 2 * 16 * 64 + 32 * 64 + 32 * 192 + 16 * 96 + 16 * 64
    assert tensor_bytes(model) - before == 4 * LAYERS * (qkv + rest)


def pair(out: int, inner: int) -> LoraPair:
    return LoraPair(torch.zeros(2, inner), torch.zeros(out, 2), 1.0)


@pytest.mark.parametrize(
    ("adapter", "why"),
    [
        (
            Adapter("a", {"model.layers.9.self_attn.q_proj": pair(64, 64)}),
            "no module model.layers.9",
        ),
        (Adapter("a", {"model.norm": pair(64, 64)}), "model.norm is no linear layer"),
        (Adapter("a", {"model.layers.0.mlp.up_proj": pair(64, 96)}), r"made for \(64, 96\)"),
        (Adapter("a", {}, {"embed_tokens": torch.zeros(VOCABULARY, 32)}), "does not fit"),
        (Adapter("a", {}, {"lm_head": torch.zeros(10, 64)}), "does not fit"),
        (
            Adapter("a", {"lm_head": pair(VOCABULARY, 64)}, {"lm_head": torch.zeros(8192, 64)}),
            "exchanged by row",
        ),
    ],
)
def test_what_does_not_fit_is_refused(base: Path, adapter: Adapter, why: str) -> None:
    with pytest.raises(StackError, match=why):
        install(plain(base), [adapter])
