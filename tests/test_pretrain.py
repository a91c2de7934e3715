"""Pretraining: windows of whole documents, the loss, the schedule, and a run that goes on."""

from __future__ import annotations

import lzma
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch.nn.functional import cross_entropy

from empo.errors import Busy, DataError, UsageError
from empo.settings import settings
from empo.training.checkpoints import last_whole, step_of
from empo.training.folder import RunFolder, whole_lines
from empo.training.process import take
from empo.training.recipe import load_recipe
from empo.training.status import LOCK
from tests.tiny_models import plain, save_base
from train.pretrain import main, pretrain
from train.pretraining.loop import _listening
from train.pretraining.network import Network, _HeadLoss, in_parts
from train.pretraining.recipe import PretrainRecipe, Steps
from train.pretraining.state import rate
from train.pretraining.windows import IGNORED, read_tokens, stacked, windows

WIDTH = 16


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_base(tmp_path_factory.mktemp("base"))


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Documents that count upwards, 2 to 40 tokens long: something that can be learnt."""
    folder = tmp_path / "data"
    folder.mkdir()
    for name, count, seed in (("train", 60, 0), ("valid", 12, 1)):
        draw = np.random.default_rng(seed)
        texts = [
            np.r_[1, np.arange(n) + a] for n, a in draw.integers((1, 10), (40, 60), (count, 2))
        ]
        packed = folder / f"pretraining_tokens_{name}.npy.xz"
        with lzma.open(packed, "wb") as file:
            np.save(file, np.concatenate(texts).astype(np.uint16))
    monkeypatch.setenv("EMPO_DATA", str(folder))
    settings.cache_clear()
    return folder


def recipe_of(base: Path, out: Path, *changes: str) -> PretrainRecipe:
    """Twelve steps of four windows, on the CPU and uncompiled."""
    usual = [f"tokens={48 * WIDTH}", f"window={WIDTH}", "compiled=false", "average=0.9"]
    usual += ["share=1", "of_base=0"]
    usual += ["evaluations=3", "checkpoints=3", "watched=6", "steps.learning_rate=0.01"]
    usual += ["steps.batch=4", "steps.late_batch=8", "steps.late=0.5", "steps.micro=4"]
    return load_recipe(
        "nano-base", PretrainRecipe, [f"base={base}", f"out={out}", *usual, *changes]
    )


def test_windows_hold_whole_documents_and_every_token_once() -> None:
    tokens = np.array([1, 10, 11, 1, 20, 1, *range(30, 41)], np.uint16)
    found = list(windows(tokens, 8))
    # the document of 12 is cut into 8 and 4; the pieces of 4, 3 and (none left) 2 go together
    assert found[0].tokens.tolist() == [[1, 30, 31, 32, 33, 34, 35, 36]]
    assert found[0].targets.tolist() == [[30, 31, 32, 33, 34, 35, 36, 37]]
    assert found[1].tokens.tolist() == [[37, 38, 39, 40, 1, 10, 11, 0]]
    assert found[1].targets.tolist() == [[38, 39, 40, IGNORED, 10, 11, IGNORED, IGNORED]]
    assert found[1].documents.tolist() == [[1, 1, 1, 1, 2, 2, 2, 0]]
    assert found[2].tokens.tolist() == [[1, 20, 0, 0, 0, 0, 0, 0]] and len(found) == 3


def test_the_order_is_drawn_anew_each_pass_and_can_be_entered_anywhere() -> None:
    tokens = np.concatenate([np.r_[1, 10 + n] for n in range(40)]).astype(np.uint16)
    stream = windows(tokens, 4, seed=3)
    rows = [next(stream).tokens[0].tolist() for _ in range(40)]  # two passes of 20 windows
    assert sorted(rows[0] + rows[1]) != sorted(rows[20] + rows[21])
    for one in (rows[:20], rows[20:]):
        assert sorted(t for row in one for t in row if t > 1) == list(range(10, 50))
    for skipped in (7, 20, 33):
        later = windows(tokens, 4, seed=3, skip=skipped)
        assert next(later).tokens[0].tolist() == rows[skipped]


def test_what_is_no_file_of_tokens_is_said(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"There is no a\.npy\.xz"):
        read_tokens(tmp_path / "a.npy.xz")
    (tmp_path / "b.npy.xz").write_bytes(b"no archive")
    with pytest.raises(DataError, match=r"b\.npy\.xz cannot be read"):
        read_tokens(tmp_path / "b.npy.xz")
    np.save(tmp_path / "c.npy", np.zeros((2, 2), np.uint16))
    with pytest.raises(DataError, match="one row of uint16"):
        read_tokens(tmp_path / "c.npy")


def test_documents_of_a_window_do_not_see_each_other(base: Path) -> None:
    draw = np.random.default_rng(0)
    texts = [np.r_[1, draw.integers(10, 8000, n)].astype(np.uint16) for n in (8, 4)]
    together = stacked(list(windows(np.concatenate(texts), WIDTH)))
    assert len(together.tokens) == 1
    network, model = Network(base, compiled=False), plain(base)
    loss, count = network.loss(together)
    alone = 0.0
    for text in texts:
        ids = torch.from_numpy(text.astype(np.int64))[None]
        alone += cross_entropy(model(ids).logits[0, :-1], ids[0, 1:], reduction="sum").item()
    assert count == 12
    assert float(loss.detach()) == pytest.approx(alone, rel=0.01)  # bf16 has eight bits


def test_the_loss_by_chunks_has_the_slopes_of_the_plain_one() -> None:
    torch.manual_seed(0)
    hidden, weight = torch.randn(600, 8, requires_grad=True), torch.randn(50, 8, requires_grad=True)
    targets = torch.randint(0, 50, (600,))
    found = _HeadLoss.apply(hidden, weight, targets)
    slopes = torch.autograd.grad(found / 600, (hidden, weight))
    plainly = cross_entropy(hidden @ weight.t(), targets, reduction="sum")
    expected = torch.autograd.grad(plainly / 600, (hidden, weight))
    assert found.item() == pytest.approx(plainly.item(), rel=1e-5)
    for one, other in zip(slopes, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)
    with torch.no_grad():
        assert _HeadLoss.apply(hidden, weight, targets).item() == pytest.approx(found.item())


def test_windows_that_fill_up_a_part_do_not_count(base: Path) -> None:
    rows = stacked(list(windows(np.array([1, 10, 11, 12], np.uint16), WIDTH)))
    parts = in_parts(rows, 3)
    network = Network(base, compiled=False)
    assert parts[0].tokens.shape == (3, WIDTH)
    assert network.measure(parts) == pytest.approx(network.measure([rows]), rel=1e-3)


def test_the_rate_rises_holds_and_falls_to_nothing() -> None:
    steps = Steps(learning_rate=1, warmup=0.1, decay=0.5)
    found = [rate(done, steps) for done in (0, 0.05, 0.1, 0.4, 0.5, 0.75, 1)]
    assert found == pytest.approx([0, 0.5, 1, 1, 1, 0.5, 0])
    assert rate(0.3, Steps(learning_rate=1, warmup=0, decay=0)) == 1


@pytest.mark.parametrize("optimiser", ["muon", "adamw"])
def test_a_run_that_goes_on_ends_as_one_that_was_not_broken_off(
    base: Path, data: Path, tmp_path: Path, optimiser: str
) -> None:
    recipe = recipe_of(base, tmp_path / "out", f"steps.optimiser={optimiser}")
    unbroken = RunFolder(tmp_path / "unbroken")
    unbroken = RunFolder(tmp_path / "unbroken")
    result = pretrain(recipe, unbroken)
    weights = load_file(tmp_path / "out" / "model.safetensors")
    assert result and min(result["last"], result["mean"]) < result["before"]
    rows = list(whole_lines(unbroken / "metrics.jsonl"))
    assert [row["tokens"] for row in rows][-1] == result["tokens"] == recipe.tokens
    # batches of 4 until half is done, then of 8: 6 + 3 steps
    assert len(rows) == 9 and rows[-1]["rate"] < rows[1]["rate"] and "valid_mean" in rows[-1]
    assert not unbroken.checkpoints.exists()

    shutil.rmtree(tmp_path / "out")
    broken = RunFolder(tmp_path / "broken")
    broken.path.mkdir()
    for step in (1, 2, 3):
        broken.stop_file.touch()
        assert pretrain(recipe, broken) is None and not (tmp_path / "out").exists()
        assert step_of(last_whole(broken)) == step and not broken.stop_file.exists()
    assert {p.suffix for p in last_whole(broken).iterdir()} == {".json", ".safetensors"}
    again = pretrain(recipe, broken)
    assert again and all(again[key] == result[key] for key in ("before", "last", "mean", "kept"))
    for name, value in load_file(tmp_path / "out" / "model.safetensors").items():
        assert torch.equal(value, weights[name])
    assert [row["step"] for row in whole_lines(broken / "metrics.jsonl")] == list(range(1, 10))


def test_a_checkpoint_is_whole_and_of_this_recipe_or_not_gone_on_from(
    base: Path, data: Path, tmp_path: Path
) -> None:
    recipe = recipe_of(base, tmp_path / "out")
    folder = RunFolder(tmp_path / "run")
    folder.path.mkdir()
    folder.stop_file.touch()
    assert pretrain(recipe, folder) is None
    with pytest.raises(UsageError, match="another recipe"):
        pretrain(recipe.model_copy(update={"seed": 5}), folder)
    with (last_whole(folder) / "weights.safetensors").open("ab") as file:
        file.write(b"x")
    folder.stop_file.touch()
    assert pretrain(recipe, folder) is None and step_of(last_whole(folder)) == 1  # from the start


def test_a_signal_asks_for_the_end_and_is_then_anothers_again() -> None:
    usual = signal.getsignal(signal.SIGTERM)
    with _listening() as told:
        signal.raise_signal(signal.SIGTERM)
        assert told == [signal.SIGTERM]
    assert signal.getsignal(signal.SIGTERM) is usual


def test_one_at_a_time_and_only_the_loss(
    base: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--set", f"out={base}", "--set", f"window={WIDTH}", "--set", "share=1"]
    words += ["--run", str(tmp_path)]
    assert main(["--measure", *words]) == 0
    assert "nats a token" in capsys.readouterr().out
    lock = take(tmp_path / LOCK)
    assert lock
    with lock, pytest.raises(Busy, match="Another process"):
        main(words)


def test_the_result_lies_between_the_base_and_the_end(
    base: Path, data: Path, tmp_path: Path
) -> None:
    ends = {}
    for share in (0, 0.25):
        out = tmp_path / f"out-{share}"
        changes = ["average=0", f"of_base={share}"]
        assert pretrain(recipe_of(base, out, *changes), RunFolder(tmp_path / f"run-{share}"))
        ends[share] = load_file(out / "model.safetensors")
    for name, began in load_file(base / "model.safetensors").items():
        expected = 0.75 * ends[0][name].float() + 0.25 * began.float()
        torch.testing.assert_close(ends[0.25][name].float(), expected, rtol=0.02, atol=1e-3)
    with pytest.raises(UsageError, match="fresh does not begin there"):
        recipe_of(base, tmp_path / "out", "fresh=true", "of_base=0.5")


def test_the_finished_model_loads_as_any_other(base: Path, data: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = pretrain(recipe_of(base, out, "fresh=true", "average=0"), RunFolder(tmp_path / "run"))
    assert result and result["kept"] == "last" and "mean" not in result
    assert not torch.equal(
        plain(out).get_input_embeddings().weight, plain(base).get_input_embeddings().weight
    )
    assert (out / "tokenizer.json").read_bytes() == (base / "tokenizer.json").read_bytes()
