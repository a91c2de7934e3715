"""Drawing tokens: distributions against transformers' own, seeds, argmax."""

from __future__ import annotations

import pytest
import torch
from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM

from empo.models.token_sampling import Draw, _probabilities, next_tokens
from empo.types import Sampling

VOCABULARY = 50
SEEN = [3, 7, 7, 11, 48]


@pytest.fixture(scope="module")
def model() -> LlamaForCausalLM:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        initializer_range=0.5,
        eos_token_id=2,
        pad_token_id=0,
    )
    return LlamaForCausalLM(config).eval()


SETTINGS = [
    Sampling(temperature=1.0, top_p=1.0, repetition_penalty=1.0),
    Sampling(),
    Sampling(temperature=0.3, top_p=1.0, top_k=5),
    Sampling(temperature=1.7, top_p=0.5, top_k=20, repetition_penalty=1.8),
    Sampling(temperature=0.9, top_p=0.95, min_p=0.1, repetition_penalty=1.2),
    Sampling(temperature=1.0, top_p=0.01, top_k=1),
]


@pytest.mark.parametrize("sampling", SETTINGS)
def test_the_distribution_is_that_of_generate(model: LlamaForCausalLM, sampling: Sampling) -> None:
    """`generate` returns its processed scores; their softmax is what it draws from."""
    config = GenerationConfig(
        do_sample=True,
        max_new_tokens=1,
        temperature=sampling.temperature,
        top_p=sampling.top_p,
        top_k=sampling.top_k,
        min_p=sampling.min_p or None,
        repetition_penalty=sampling.repetition_penalty,
        pad_token_id=0,
        return_dict_in_generate=True,
        output_scores=True,
        output_logits=True,
    )
    out = model.generate(torch.tensor([SEEN]), generation_config=config)
    ours = _probabilities(out.logits[0], sampling, [SEEN])
    torch.testing.assert_close(ours, out.scores[0].softmax(-1))


def logits(rows: int, seed: int = 1) -> torch.Tensor:
    return torch.randn(rows, VOCABULARY, generator=torch.Generator().manual_seed(seed)) * 3


def drawn(sampling: Sampling, steps: int = 30) -> list[int]:
    draw, scores, seen = Draw(sampling), logits(1), list(SEEN)
    for _ in range(steps):
        seen += next_tokens(scores, [draw], [seen])
    return seen[len(SEEN) :]


def test_the_same_seed_draws_the_same_and_others_differ() -> None:
    first = drawn(Sampling(temperature=1.0, seed=5))
    assert first == drawn(Sampling(temperature=1.0, seed=5))
    assert len({tuple(drawn(Sampling(temperature=1.0, seed=seed))) for seed in range(5)}) == 5


def test_a_row_draws_alone_what_it_draws_among_others() -> None:
    """Groups of settings, unequal histories, and generators that others do not advance."""
    settings = [
        Sampling(temperature=0.8, seed=1),
        Sampling(temperature=0),
        Sampling(temperature=0.8, seed=2),
        Sampling(temperature=1.5, top_k=9, seed=1),
        Sampling(temperature=0.8, seed=1),
    ]
    scores = logits(5)
    seen = [SEEN[: i + 1] for i in range(5)]
    together, alone = [Draw(s) for s in settings], [Draw(s) for s in settings]
    for _ in range(20):
        batch = next_tokens(scores, together, seen)
        single = [next_tokens(scores[i : i + 1], [alone[i]], [seen[i]])[0] for i in range(5)]
        assert batch == single
        seen = [[*own, token] for own, token in zip(seen, batch, strict=True)]


def test_temperature_0_is_argmax_with_no_penalty() -> None:
    scores = torch.zeros(1, VOCABULARY)
    scores[0, 7], scores[0, 8] = 2.0, 1.9
    greedy = Sampling(temperature=0, repetition_penalty=2.0, top_k=5, min_p=0.9)
    assert next_tokens(scores, [Draw(greedy)], [SEEN]) == [7]
    warm = Sampling(temperature=0.01, repetition_penalty=2.0, top_p=1.0)
    assert next_tokens(scores, [Draw(warm)], [SEEN]) == [8], "7 was said, and is penalised"


def test_a_masked_id_is_never_drawn() -> None:
    scores = torch.zeros(1, VOCABULARY)
    scores[0, 10:] = -torch.inf
    draw = Draw(Sampling(temperature=2.0, top_p=1.0, repetition_penalty=2.0))
    assert {next_tokens(scores, [draw], [SEEN])[0] for _ in range(300)} == set(range(10))


def test_half_precision_logits_do_not_shift_the_draw() -> None:
    """Probabilities are taken in fp32: a bf16 softmax of many ids would not add up."""
    half = logits(1).bfloat16()
    found = _probabilities(half, Sampling(temperature=1.0, top_p=1.0), [SEEN])
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.sum(), torch.tensor(1.0))


def test_whole_numbers_are_settings_too() -> None:
    logits = torch.randn(1, VOCABULARY, generator=torch.Generator().manual_seed(1))
    drawn = [
        next_tokens(logits, [Draw(Sampling(two, repetition_penalty=two))], [SEEN])
        for two in (2, 2.0)
    ]
    assert drawn[0] == drawn[1]
