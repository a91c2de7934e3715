"""The network back from its graph: what was shipped can be refitted without training it again.

The weights are those that the graph computes with, already rounded; rounding them again changes
nothing (`train/scoring/quantise.py`).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import Tensor
from transformers import BertConfig

from empo.errors import DataError
from train.scoring.network import Network
from train.scoring.quantise import Blocks, bits_of, restored

# Layers that lie side by side in the graph, and the encoder's names for its parts.
TOGETHER = {
    "qkv": ("attention.self.query", "attention.self.key", "attention.self.value"),
    "out": ("attention.output.dense",),
    "up": ("intermediate.dense",),
    "down": ("output.dense",),
}
EPSILON = 1e-12
NORMS = {"norm1": "attention.output.LayerNorm", "norm2": "output.LayerNorm"}


def shipped_network(path: Path, low: int, encoder_bits: int) -> Network:
    """The network in the graph at `path`; its evidence is new where the graph has none.

    Raises:
        DataError: the graph lacks a weight of such a network; names it.
    """
    graph = onnx.load(path).graph
    weights = {w.name: numpy_helper.to_array(w) for w in graph.initializer}
    try:
        network = Network(_config(graph, weights), len(weights["feeling.bias"]), low).eval()
        network.load_state_dict(_state(network, weights, encoder_bits))
    except KeyError as error:
        raise DataError(f"{path} has no {error}: it is not a graph of this scorer.") from error
    return network


def _config(graph: onnx.GraphProto, weights: dict[str, np.ndarray]) -> BertConfig:
    """The sizes that the graph's weights and nodes show."""
    attributes = {a.name: a for node in graph.node for a in node.attribute}
    return BertConfig(
        vocab_size=len(weights["words"]),
        hidden_size=weights["words"].shape[1],
        num_hidden_layers=sum(name.endswith(".up.bias") for name in weights),
        num_attention_heads=attributes["num_heads"].i,
        intermediate_size=len(weights["encoder.0.up.bias"]),
        max_position_embeddings=len(weights["positions"]),
        layer_norm_eps=float(weights.get("shared.epsilon", EPSILON)),
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )


def _state(network: Network, weights: dict[str, np.ndarray], bits: int) -> dict[str, Tensor]:
    state = dict(network.state_dict())

    def linear(name: str, layers: tuple[str, ...]) -> None:
        weight = _linear(weights, name, bits_of(name, bits))
        bias = torch.tensor(weights[f"{name}.bias"])
        parts = zip(layers, weight.chunk(len(layers)), bias.chunk(len(layers)), strict=True)
        for layer, own, start in parts:
            state[f"{layer}.weight"], state[f"{layer}.bias"] = own, start

    def norm(name: str, layer: str) -> None:
        state[f"{layer}.weight"] = torch.tensor(weights[f"{name}.g"])
        state[f"{layer}.bias"] = torch.tensor(weights[f"{name}.b"])

    for table in ("words", "positions"):
        rows = weights[table].astype(np.float32) * weights[f"{table}.scales"]
        name = "word" if table == "words" else "position"
        state[f"encoder.embeddings.{name}_embeddings.weight"] = torch.tensor(rows)
    state["encoder.embeddings.token_type_embeddings.weight"] = torch.tensor(weights["types"])
    norm("embeddings.norm", "encoder.embeddings.LayerNorm")
    for i in range(len(network.encoder.encoder.layer)):
        for name, layers in TOGETHER.items():
            linear(f"encoder.{i}.{name}", tuple(f"encoder.encoder.layer.{i}.{x}" for x in layers))
        for name, layer in NORMS.items():
            norm(f"encoder.{i}.{name}", f"encoder.encoder.layer.{i}.{layer}")
    linear("query", ("query",))
    linear("kv", ("key", "value"))
    linear("out", ("out",))
    norm("norm", "norm")
    for i in range(len(network.dense)):
        linear(f"dense.{i}", (f"dense.{i}",))
    plain = ["rationale", "pool", "feeling", *(f"level.{i}" for i in range(len(network.level)))]
    for name in plain + ["evidence"] * ("evidence.weight" in weights):
        state[f"{name}.weight"] = torch.tensor(weights[f"{name}.weight"].T.copy())
        state[f"{name}.bias"] = torch.tensor(weights[f"{name}.bias"])
    return state


def _linear(weights: dict[str, np.ndarray], name: str, bits: int | None) -> Tensor:
    """The weight (rows, columns) that the graph unfolds."""
    values = torch.tensor(weights[f"{name}.values"])
    if bits == 4:
        values = torch.cat([values & 15, values >> 4], 2)
    scales = torch.tensor(weights[f"{name}.scales"]).squeeze(2).to(torch.float32)
    return restored(Blocks(values, scales), bits)
