"""The documents of a mix that are most like the dialogues."""

from __future__ import annotations

import lzma
from math import log
from pathlib import Path

import numpy as np
import pytest

from empo.settings import settings
from empo.training.folder import RunFolder, whole_lines
from empo.training.recipe import load_recipe
from tests.tiny_models import save_base
from train.pretrain import measure, pretrain
from train.pretraining.likeness import BUCKETS, likeness, most_like
from train.pretraining.network import Network
from train.pretraining.recipe import PretrainRecipe
from train.pretraining.windows import stacked, windows


def row(*tokens: int) -> np.ndarray:
    return np.array(tokens, np.uint16)


def test_by_hand() -> None:
    """Nine token ids, one of each added; no two of the five pairs share a bucket."""
    token = {1: log(2 / 12 * 15 / 3), 5: log(2 / 12 * 15 / 2), 7: log(1 / 12 * 15 / 2)}
    known, strange = (log(n / (BUCKETS + 2) * (BUCKETS + 5) / 2) for n in (2, 1))
    like = token[1] / 2 + 2 * (token[5] + known) / 2
    unlike = (token[1] + strange) / 2 + 2 * (token[7] + strange) / 2
    mean = (like + unlike) / 6
    found = likeness(row(1, 5, 6, 1, 7, 8), row(1, 5, 6))
    assert found == pytest.approx([(like - 3 * mean) / 35, (unlike - 3 * mean) / 35])


def test_the_most_alike_are_kept_in_their_order_and_no_more_than_the_share() -> None:
    draw = np.random.default_rng(0)
    kinds = {low: [row(1, *draw.integers(low, low + 20, 9)) for _ in range(30)] for low in (10, 50)}
    mix = np.concatenate([part for both in zip(*kinds.values(), strict=True) for part in both])
    kept = most_like(mix, np.concatenate(kinds[50][:10]), 0.5)
    assert np.array_equal(kept, np.concatenate(kinds[50])) and kept.dtype == np.uint16
    assert len(most_like(mix, kept, 0.199)) == 110 and np.array_equal(most_like(mix, kept, 1), mix)


def test_a_pretraining_on_a_share(
    data_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """On the real dialogues: a document of theirs is read, one of noise is not, nor measured."""
    base, data = save_base(tmp_path / "base"), tmp_path / "data"
    data.mkdir()
    (data / "ed_train.jsonl.gz").symlink_to(data_folder / "ed_train.jsonl.gz")
    from transformers import AutoTokenizer

    said = "I was so proud when my son finished school!"
    text = AutoTokenizer.from_pretrained(base).apply_chat_template(
        [{"role": "user", "content": said}], tokenize=True, return_dict=False
    )
    noise = [1, *np.random.default_rng(0).integers(300, 8000, len(text) - 1)]
    for name in ("train", "valid"):
        with lzma.open(data / f"pretraining_tokens_{name}.npy.xz", "wb") as file:
            np.save(file, row(*text, *noise))
    monkeypatch.setenv("EMPO_DATA", str(data))
    settings.cache_clear()
    changes = [f"base={base}", f"out={tmp_path / 'out'}", "share=0.5", "window=32", "tokens=32"]
    changes += ["compiled=false", "average=0", "evaluations=1", "steps.batch=1", "steps.micro=1"]
    recipe = load_recipe("nano-base", PretrainRecipe, changes)
    assert pretrain(recipe, RunFolder(tmp_path / "run"))
    (first,) = whole_lines(tmp_path / "run" / "metrics.jsonl")
    losses = {}
    for name, tokens in {"text": text, "noise": noise}.items():
        rows = stacked(list(windows(row(*tokens), 32)))
        losses[name] = Network(base, compiled=False).measure([rows])
    assert first["loss"] == pytest.approx(losses["text"], rel=1e-3)
    assert first["loss"] != pytest.approx(losses["noise"], rel=1e-3)
    measure(recipe.model_copy(update={"out": str(base)}))
    every, alike = capsys.readouterr().out.splitlines()[-2:]
    assert "all documents" in every and "the 50% most like the dialogues" in alike
    assert every.split()[-4] != alike.split()[-4]
