"""The scorer's training parts: data, batches, losses, rounding, graph; small, on the CPU."""

from __future__ import annotations

import csv
import gzip
import json
import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from tokenizers import Tokenizer
from transformers import BertConfig

from empo.data.emotions import EMOTIONS
from empo.errors import DataError, UsageError
from empo.scoring.packing import pack
from empo.scoring.scorer import EMBEDDED
from empo.training.recipe import load_recipe
from empo.types import MECHANISMS
from train.scoring import data, encoding, fit, graph, quantise
from train.scoring.minilm import minilm
from train.scoring.network import Network
from train.scoring.owners import FILES
from train.scoring.recipe import ScorerRecipe
from train.scoring.refit import refit_rationales
from train.scoring.replies import read_replies
from train.scoring.shipped import shipped_network
from train.scoring.vocabulary import trim

VOCABULARY = 60
HEADER = (
    "seeker_post,response_post,ER_level,ER_rationales,IP_level,IP_rationales,EX_level,EX_rationales"
)


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)


@pytest.fixture
def network() -> Network:
    config = BertConfig(
        vocab_size=VOCABULARY,
        hidden_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=128,
        max_position_embeddings=32,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )
    return Network(config, emotions=len(EMOTIONS), low=1)


def texts(*lengths: int) -> list[tuple[int, ...]]:
    rng = random.Random(1)
    return [tuple(rng.randrange(4, VOCABULARY) for _ in range(n)) for n in lengths]


def pairs(count: int) -> list[encoding.EncodedPair]:
    """Replies whose first piece is the level of every mechanism, and whose marks follow it."""
    rows = []
    for i, reply in enumerate(texts(*[4 + i % 5 for i in range(count)])):
        level = i % 3
        marks = ((0, 0, 0), *[(int(level > 0),) * 3] * (len(reply) - 1))
        rows.append(encoding.EncodedPair((7, 8, 9), (10 + level, *reply[1:]), marks, (level,) * 3))
    return rows


# Data


def test_rationales_are_found_in_the_reply_and_overlaps_are_joined() -> None:
    reply = "I am sorry. Really sorry. What now?"
    assert data.spans_of(reply, "I am sorry.|am sorry. Really|What now?|") == ((0, 18), (26, 35))
    assert data.spans_of(reply, "not there") == ()
    assert data.spans_of(reply, "") == ()


def test_epitome_rows_are_read_in_the_order_of_the_mechanisms(tmp_path: Path) -> None:
    row = '"A, b","So sorry. Why?",1,So sorry.|,0,,2,Why?'
    (tmp_path / "epitome_val.csv").write_text(f"{HEADER}\n{row}\n")
    (pair,) = data.read_epitome(tmp_path, "val")
    assert pair == data.Pair("A, b", "So sorry. Why?", (1, 0, 2), (((0, 9),), (), ((10, 14),)))
    (tmp_path / "epitome_val.csv").write_text(f"{HEADER}\n{row.replace(',2,', ',x,')}\n")
    with pytest.raises(DataError, match="row 1"):
        data.read_epitome(tmp_path, "val")
    with pytest.raises(DataError, match="epitome_test"):
        data.read_epitome(tmp_path, "test")


def test_the_owners_files_give_the_same_split(
    data_file: Callable[[str], Path], tmp_path: Path
) -> None:
    names = ("train", "val", "test")
    paths = [data_file(f"epitome_{name}.csv.gz") for name in names]
    rows = []
    for path in paths:
        with gzip.open(path, "rt", encoding="utf-8", newline="") as lines:
            rows += csv.DictReader(lines)
    # A reply that is in no split, as in the owners' files.
    rows.append({**rows[0], "rp_id": "other"})
    (tmp_path / "epitome").mkdir()
    columns = ("sp_id", "rp_id", "seeker_post", "response_post", "level", "rationales")
    for short, name in FILES.items():
        with (tmp_path / "epitome" / name).open("w", encoding="utf-8", newline="") as out:
            writer = csv.writer(out)
            writer.writerow(columns)
            for row in sorted(rows, key=lambda row: row["sp_id"]):
                parts = [f"{short}_level", f"{short}_rationales"]
                writer.writerow([row[column] for column in [*columns[:4], *parts]])
    for name in names:
        assert data.read_epitome(tmp_path, name) == data.read_epitome(paths[0].parent, name)
    last = tmp_path / "epitome" / FILES["IP"]
    last.write_text("\n".join(last.read_text("utf-8").splitlines()[:40]), "utf-8")
    with pytest.raises(DataError, match="train split: fetch it again"):
        data.read_epitome(tmp_path, "train")
    last.write_text("sp_id,level\n1,0\n", "utf-8")
    with pytest.raises(DataError, match=r"no column .rp_id.: fetch it again"):
        data.read_epitome(tmp_path, "train")


def test_the_real_files(data_file: Callable[[str], Path]) -> None:
    rows = data.read_epitome(data_file("epitome_test.csv.gz").parent, "test")
    counts = np.array(
        [[sum(row.levels[i] == k for row in rows) for k in range(3)] for i in range(3)]
    )
    assert counts.tolist() == [[201, 86, 15], [157, 11, 134], [254, 10, 38]]
    for i in range(3):
        with_level = sum(row.levels[i] > 0 for row in rows)
        assert sum(bool(row.rationales[i]) for row in rows) > 0.95 * with_level


def test_every_row_is_in_one_batch_and_lengths_are_alike() -> None:
    rows = list(range(1000))
    lengths = [random.Random(i).randrange(50) for i in rows]
    found = list(data.batches(rows, lengths, 32, random.Random(0)))
    assert sorted(row for batch in found for row in batch) == rows
    spread = np.mean([max(lengths[i] for i in b) - min(lengths[i] for i in b) for b in found])
    assert spread < 5
    assert found != list(data.batches(rows, lengths, 32, random.Random(1)))


def test_marks_follow_the_pieces_of_the_shipped_tokenizer() -> None:
    tokenizer = Tokenizer.from_file(str(EMBEDDED / "tokenizer.json"))
    pair = data.Pair("I lost it", "So sorry. Why?", (1, 0, 2), (((0, 9),), (), ((10, 14),)))
    (row,) = encoding.encode_pairs(tokenizer, [pair], 8, 32)
    # [CLS] so sorry . why ? [SEP]
    assert [m[0] for m in row.marks] == [0, 1, 1, 1, 0, 0, 0]
    assert [m[1] for m in row.marks] == [0] * 7
    assert [m[2] for m in row.marks] == [0, 0, 0, 0, 1, 1, 0]
    (cut,) = encoding.encode_pairs(tokenizer, [pair], 4, 4)
    assert len(cut.post) == len(cut.reply) == len(cut.marks) == 4
    assert cut.post[0] == tokenizer.token_to_id("[CLS]")
    assert cut.post[-1] == tokenizer.token_to_id("[SEP]")


def test_the_trimmed_vocabulary_still_spells_every_word() -> None:
    source = EMBEDDED / "tokenizer.json"
    small = trim(source, ["sorry sorry sorry happy happy happy"], 900)
    names = small.tokenizer.get_vocab()
    assert len(names) == len(small.kept) <= 900
    assert sorted(names.values()) == list(range(len(names)))
    full = Tokenizer.from_file(str(source)).get_vocab()
    assert all(full[piece] == small.kept[i] for piece, i in names.items())
    assert [small.tokenizer.token_to_id(t) for t in ("[PAD]", "[UNK]", "[CLS]", "[SEP]")] == [
        0, 1, 2, 3,
    ]  # fmt: skip
    encoded = small.tokenizer.encode("Sorry, Zubenelgenubi!")
    assert "sorry" in encoded.tokens
    assert "[UNK]" not in encoded.tokens
    assert encoded.tokens[0] == "[CLS]"


def test_replies_are_cut_into_sentences_with_their_marks_and_states(network: Network) -> None:
    tokenizer = Tokenizer.from_file(str(EMBEDDED / "tokenizer.json"))
    # The small network knows few pieces.
    network.eval().encoder.resize_token_embeddings(tokenizer.get_vocab_size())
    pair = data.Pair("I lost it", "So sorry. Why? ok", (1, 0, 2), (((0, 9),), (), ((13, 14),)))
    whole, cut = (read_replies(network, tokenizer, [pair], read)[0] for read in (32, 5))
    # So sorry . | why ? | ok
    assert whole.owners.tolist() == [0, 0, 0, 1, 1, 2]
    assert whole.lengths.tolist() == [3, 2, 1]
    assert [len(part) for part in whole.sentences()] == [3, 2, 1]
    # One of the four characters of the question is marked: too few.
    assert whole.marks.tolist() == [[True, False, False], [False] * 3, [False] * 3]
    assert not np.isnan(whole.states).any()
    # [CLS] so sorry . [SEP]
    assert np.isnan(cut.states[:, 0]).tolist() == [False, True, True]


# Rounding


def test_four_bits_by_hand() -> None:
    weight = torch.zeros(1, 32)
    weight[0, :4] = torch.tensor([-8.0, 7.0, 0.4, 2.6])
    packed = quantise.blocks(weight, 4)
    # The largest magnitude, -8, is the lower end: scale 1, values around 8.
    assert packed.scales.tolist() == [[1.0]]
    assert packed.values[0, 0, :5].tolist() == [0, 15, 8, 11, 8]
    assert quantise.restored(packed, 4)[0, :4].tolist() == [-8.0, 7.0, 0.0, 3.0]
    assert quantise.restored(quantise.blocks(torch.zeros(2, 64), 4), 4).abs().max() == 0


@pytest.mark.parametrize("bits, error", [(4, 1 / 8), (8, 1 / 128)])
def test_the_rounding_error_is_at_most_one_step(bits: int, error: float) -> None:
    weight = torch.randn(16, 128)
    found = quantise.restored(quantise.blocks(weight, bits), bits)
    peaks = weight.unflatten(1, (-1, quantise.BLOCK)).abs().amax(2, keepdim=True)
    gaps = (found - weight).unflatten(1, (-1, quantise.BLOCK)).abs()
    # Half a step, a whole one at the upper end; the scale itself is rounded to float16.
    assert (gaps <= peaks * error * 1.01).all()


def test_inside_rounded_the_weights_are_the_shipped_ones_and_still_learn(network: Network) -> None:
    layer = network.encoder.encoder.layer[0].intermediate.dense
    before = layer.weight.detach().clone()
    exact = quantise.restored(quantise.blocks(before, 4), 4)
    with quantise.rounded(network, 4):
        assert torch.allclose(layer.weight, exact, atol=1e-6)
        layer.weight.sum().backward()
        names = quantise.plain_names(network.state_dict())
    assert set(names) == set(network.state_dict())
    assert torch.equal(layer.weight, before)
    assert torch.equal(layer.weight.grad, torch.ones_like(before))


# The graph


def shippable(network: Network) -> Network:
    """`network` with embeddings that 8 bits hold exactly."""
    embeddings = network.eval().encoder.embeddings
    for table in (embeddings.word_embeddings, embeddings.position_embeddings):
        scale = table.weight.data.abs().amax(1, keepdim=True).clamp_min(1e-8) / 127
        table.weight.data = (table.weight.data / scale).round() * scale
    return network


def run(path: Path, rows: list[tuple[int, ...]], roles: list[int], *places) -> dict:
    """The outputs of the graph at `path` by their names; `places` as `pack` takes them."""
    session = onnxruntime.InferenceSession(str(path))
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, pack(rows, roles, *places)), strict=True))


@pytest.mark.parametrize(
    "bits, integers, error", [(4, False, 1e-5), (8, False, 1e-5), (4, True, 0.02)]
)
def test_the_graph_computes_what_the_network_does(
    network: Network, tmp_path: Path, bits: int, integers: bool, error: float
) -> None:
    graph.write(shippable(network), tmp_path / "small.onnx", bits, integers)
    rows, roles = texts(20, 9, 14, 3), [0, 1, 1, 0]
    found = run(tmp_path / "small.onnx", rows, roles, [(0, 1), (0, 2), (3, 2)], [0, 3])
    assert found["levels"].shape == (3, len(MECHANISMS), 3)
    with torch.inference_mode(), quantise.rounded(network, bits):
        states = []
        for row, role in zip(rows, roles, strict=True):
            batch = encoding.padded([row])
            states.append((network.encode(*batch, role=role), batch.mask))
        for n, (post, reply) in enumerate(((0, 1), (0, 2), (3, 2))):
            output = network.pair(*states[reply], *states[post])
            assert np.allclose(output.levels[0], found["levels"][n], atol=error)
            length = len(rows[reply])
            assert np.allclose(output.rationales[0], found["rationales"][n, :length], atol=error)
            low = network.low_states(*encoding.padded([rows[reply]]), role=1)
            evidence = network.evidence(low)[0]
            assert np.allclose(evidence, found["evidence"][n, :length], atol=error)
        for n, speaker in enumerate((0, 3)):
            emotion = network.emotion(*states[speaker])[0]
            assert np.allclose(emotion, found["emotions"][n], atol=error)


def test_integer_products_do_not_see_the_neighbours(network: Network, tmp_path: Path) -> None:
    graph.write(shippable(network), tmp_path / "small.onnx", 4)
    rows = texts(20, 9, 14, 30)
    loud = run(tmp_path / "small.onnx", rows, [0, 1, 1, 0], [(0, 1), (3, 2)], [0, 3])
    alone = run(tmp_path / "small.onnx", rows[:2], [0, 1], [(0, 1)], [0])
    assert np.allclose(loud["levels"][0], alone["levels"][0], atol=1e-6)
    assert np.allclose(loud["emotions"][0], alone["emotions"][0], atol=1e-6)


def test_the_network_comes_back_from_its_graph(network: Network, tmp_path: Path) -> None:
    graph.write(shippable(network), tmp_path / "first.onnx", 4)
    again = shipped_network(tmp_path / "first.onnx", network.low, 4)
    graph.write(again, tmp_path / "second.onnx", 4)
    first, second = (
        {w.name: w for w in onnx.load(tmp_path / f"{name}.onnx").graph.initializer}
        for name in ("first", "second")
    )
    assert set(first) == set(second)
    for name, weight in first.items():
        before, after = onnx.numpy_helper.to_array(weight), onnx.numpy_helper.to_array(second[name])
        assert np.allclose(before, after, rtol=1e-6), name
    empty = onnx.helper.make_model(onnx.helper.make_graph([], "none", [], []))
    onnx.save_model(empty, str(tmp_path / "none.onnx"))
    with pytest.raises(DataError, match="not a graph of this scorer"):
        shipped_network(tmp_path / "none.onnx", 0, 4)


def test_padding_changes_nothing_in_training_either(network: Network) -> None:
    network.eval()
    rows = pairs(6)
    together, _ = fit.forward_pairs(network, rows)
    for i, row in enumerate(rows):
        alone, _ = fit.forward_pairs(network, [row])
        assert torch.allclose(together.levels[i], alone.levels[0], atol=1e-5)


# Training


def test_class_weights_by_hand() -> None:
    rows = [row for row in pairs(3) for _ in range(2)] + [pairs(1)[0]] * 2
    # Level shares 1/2, 1/4, 1/4; at rarity 1 the weights are 2, 4, 4 over their mean of 3.
    found = fit.class_weights(rows, 1.0)
    assert found[0].tolist() == pytest.approx([2 / 3, 4 / 3, 4 / 3])
    assert fit.class_weights(rows, 0.0)[0].tolist() == pytest.approx([1, 1, 1])


def test_both_stages_learn_and_frozen_layers_stay(network: Network) -> None:
    losses: dict[str, list[float]] = {"emotions": [], "epitome": []}
    recipe = load_recipe("scorer", ScorerRecipe)
    feelings = [encoding.EncodedFeeling((2, 20 + i % 4, 3), i % 4) for i in range(64)]
    stage = recipe.emotions.model_copy(
        update={"epochs": 12, "batch": 16, "learning_rate": 2e-3, "smoothing": 0.0}
    )
    fit.fit_emotions(network, feelings, stage, 0, lambda *a: losses["emotions"].append(a[2]))
    assert np.mean(losses["emotions"][-4:]) < 0.5 * losses["emotions"][0]
    kept = network.encoder.encoder.layer[0].output.dense.weight.detach().clone()
    moved = network.encoder.encoder.layer[1].output.dense.weight.detach().clone()
    second = recipe.epitome.model_copy(
        update={"epochs": 20, "batch": 16, "learning_rate": 2e-3, "frozen": 1, "average": 0.5}
    )
    with quantise.rounded(network, 4):
        fit.fit_epitome(
            network, pairs(48), feelings, second, 0, lambda *a: losses["epitome"].append(a[2])
        )
        output, _ = fit.forward_pairs(network, pairs(48))
    assert np.mean(losses["epitome"][-4:]) < 0.6 * losses["epitome"][0]
    true = torch.tensor([row.levels for row in pairs(48)])
    assert (output.levels.argmax(-1) == true).float().mean() > 0.9
    assert torch.equal(network.encoder.encoder.layer[0].output.dense.weight, kept)
    assert not torch.equal(network.encoder.encoder.layer[1].output.dense.weight, moved)


def test_the_refitted_rationale_head_finds_what_the_states_show(network: Network) -> None:
    network.eval()
    rows = []
    for row in pairs(1500):
        # High numbers are marked; every third reply has no mark at all.
        some = any(map(any, row.marks))
        marks = ((0, 0, 0), *[(int(some and i > 32),) * 3 for i in row.reply[1:-1]], (0, 0, 0))
        rows.append(encoding.EncodedPair(row.post, row.reply, marks, row.levels))
    refit_rationales(network, rows, 0)
    right = total = 0
    with torch.inference_mode():
        for row in rows[:100]:
            if any(map(any, row.marks)):
                output, _ = fit.forward_pairs(network, [row])
                given = output.rationales[0, 1:-1] > 0
                right += (given == torch.tensor(row.marks[1:-1]).bool()).sum().item()
                total += given.numel()
    # Chance is a half.
    assert right / total > 0.8


def test_the_recipe_is_strict() -> None:
    recipe = load_recipe("scorer", ScorerRecipe, ["epitome.epochs=1"])
    assert recipe.epitome.epochs == 1
    with pytest.raises(UsageError, match="colour"):
        load_recipe("scorer", ScorerRecipe, ["colour=red"])


def test_another_minilm_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no model\.safetensors"):
        minilm(str(tmp_path), "0" * 64)
    (tmp_path / "model.safetensors").write_bytes(b"x")
    with pytest.raises(DataError, match="another SHA-256"):
        minilm(str(tmp_path), "0" * 64)


def test_the_shipped_card_says_what_the_recipe_does() -> None:
    recipe = load_recipe("scorer", ScorerRecipe)
    card = json.loads((EMBEDDED / "scorer.json").read_text())
    assert (card["post"], card["reply"]) == (recipe.post, recipe.read)
    assert card["emotions"] == list(EMOTIONS)
