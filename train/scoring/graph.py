"""The network as an ONNX graph with few-bit weights, written out by hand.

Texts of a call are *packed*: linear layers see only real tokens, (T, H); attention alone works on
padded rows, gathered by index and scattered back. So padding costs next to nothing, one pass takes
posts and replies of any length together, and each weight is stored once. Weights are few-bit
integers in the file. The encoder's products are of 8-bit integers: each token's state has a scale
of its own and integer sums are exact, so that a text's scores do not depend on its neighbours in
the batch. Weights keep to 7 of the 8 bits in them, for processors whose integer products would
overflow (no VNNI). All else is float32.

Inputs (see `empo/scoring/packing.py`, which builds them): `ids`, `places`, `roles` (T);
`rows` (B, L) token numbers, `row_lengths` (B), `back` (T) places of the tokens in B * L;
`replies` (N, R), `reply_lengths` (N), `posts` (N, P), `post_lengths` (N);
`speakers` (S, Q), `speaker_lengths` (S).
Outputs: `levels` (N, mechanisms, 3), `rationales` and `evidence` (N, R, mechanisms), `emotions`
(S, emotions).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

from empo.types import MECHANISMS
from train.scoring.network import LEVELS, Network
from train.scoring.quantise import bits_of, blocks

MICROSOFT = "com.microsoft"
OPSET = 18
# The largest weight of a column, and the largest part of a state, as integers.
WEIGHT, STATE = 64, 127
SMALLEST = 1e-9


def write(network: Network, path: Path, encoder_bits: int, integers: bool = True) -> None:
    """Save `network` as an ONNX file whose encoder has `encoder_bits` (4 or 8) a weight.

    Without `integers` its products are of float32: slower, and what training computed.
    """
    graph = _Graph(encoder_bits, integers)
    size = network.encoder.config.hidden_size
    tokens, low = _encoder(graph, network)
    _heads(graph, network, tokens, size)
    evidence = graph.plain("evidence", low, network.evidence)
    graph.rename(graph.add("Gather", [evidence, "replies"]), "evidence")
    names = {
        "ids": ["T"], "places": ["T"], "roles": ["T"], "rows": ["B", "L"], "back": ["T"],
        "replies": ["N", "R"], "posts": ["N", "P"], "speakers": ["S", "Q"],
    }  # fmt: skip
    inputs = [helper.make_tensor_value_info(n, TensorProto.INT64, s) for n, s in names.items()]
    inputs += [
        helper.make_tensor_value_info(f"{name}_lengths", TensorProto.INT32, [dimension])
        for name, dimension in (("row", "B"), ("reply", "N"), ("post", "N"), ("speaker", "S"))
    ]
    mechanisms = len(MECHANISMS)
    emotions = network.feeling.out_features
    outputs = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        for name, shape in (
            ("levels", ["N", mechanisms, LEVELS]),
            ("rationales", ["N", "R", mechanisms]),
            ("evidence", ["N", "R", mechanisms]),
            ("emotions", ["S", emotions]),
        )
    ]
    model = helper.make_model(
        helper.make_graph(graph.nodes, "scorer", inputs, outputs, graph.weights),
        opset_imports=[helper.make_opsetid("", OPSET), helper.make_opsetid(MICROSOFT, 1)],
        ir_version=9,
    )
    onnx.save_model(model, str(path))


class _Graph:
    """Nodes and weights so far. Each method adds a node and gives its output's name."""

    def __init__(self, encoder_bits: int, integers: bool) -> None:
        self.encoder_bits = encoder_bits
        self.integers = integers
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []

    def add(self, op: str, inputs: list[str], domain: str = "", outputs: int = 1, **kw) -> str:
        name = f"{op}_{len(self.nodes)}"
        names = [name, *(f"{name}.{i}" for i in range(1, outputs))]
        self.nodes.append(helper.make_node(op, inputs, names, name=name, domain=domain, **kw))
        return name

    def rename(self, output: str, name: str) -> None:
        """Give `output` of the last node its name in the graph's outputs."""
        assert self.nodes[-1].output[0] == output
        self.nodes[-1].output[0] = name

    def constant(self, name: str, value: np.ndarray | Tensor) -> str:
        array = value.detach().numpy() if isinstance(value, Tensor) else value
        self.weights.append(numpy_helper.from_array(np.array(array, order="C"), name))
        return name

    def shared(self, name: str, value: float | list[int], kind: type = np.int64) -> str:
        """A constant that several nodes use."""
        name = f"shared.{name}"
        if all(weight.name != name for weight in self.weights):
            self.constant(name, np.array(value, kind))
        return name

    def table(self, name: str, ids: str, weight: Tensor) -> str:
        """Rows `ids` of an embedding table kept in 8 bits, one scale a row."""
        scales = weight.abs().amax(1, keepdim=True).clamp_min(1e-8) / 127
        values = (weight / scales).round().to(torch.int8)
        rows = self.add("Gather", [self.constant(name, values), ids])
        rows = self.add("Cast", [rows], to=TensorProto.FLOAT)
        return self.add(
            "Mul", [rows, self.add("Gather", [self.constant(f"{name}.scales", scales), ids])]
        )

    def linear(self, name: str, x: str, layers: list[nn.Linear]) -> str:
        """x W' + b for the layers side by side."""
        weight = torch.cat([layer.weight for layer in layers]).detach()
        bias = self.constant(f"{name}.bias", torch.cat([layer.bias for layer in layers]))
        unpacked = self._unpacked(name, weight)
        if self.integers and not name.startswith("dense"):
            product = self._integer_product(name, x, unpacked)
        else:
            product = self.add("MatMul", [x, unpacked])
        return self.add("Add", [product, bias])

    def _integer_product(self, name: str, x: str, weight: str) -> str:
        """x W' with 8-bit integers: a scale for each row of x and for each column of W'.

        The largest part of a row becomes +-STATE, of a column +-WEIGHT. W' and its scales are
        constant: they, too, are worked out while loading.
        """
        columns = self.add("ReduceMax", [self.add("Abs", [weight]), self.shared("axis", [0])])
        steps = self.add("Div", [columns, self.shared("weight", WEIGHT, np.float32)])
        values = self.add("Round", [self.add("Div", [weight, steps])])
        values = self.add("Cast", [values], to=TensorProto.INT8)
        flat = self.add("Squeeze", [steps, self.shared("axis", [0])])
        rows = self.add("ReduceMax", [self.add("Abs", [x]), self.shared("last", [-1])])
        rows = self.add("Max", [rows, self.shared("smallest", SMALLEST, np.float32)])
        middle = self.shared("middle", 128, np.uint8)
        step = self.shared("state", 1 / STATE, np.float32)
        state = self.add("QuantizeLinear", [self.add("Div", [x, rows]), step, middle])
        inputs = [state, values, step, flat, middle]
        return self.add("Mul", [self.add("MatMulIntegerToFloat", inputs, MICROSOFT), rows])

    def _unpacked(self, name: str, weight: Tensor) -> str:
        """`weight` (rows, columns) stored in few bits, given as float32 (columns, rows).

        All of it is constant: ONNX Runtime folds these nodes into one matrix while loading.
        """
        bits = bits_of(name, self.encoder_bits)
        packed = blocks(weight, bits)
        values = self._integers(name, packed.values, bits)
        middle = self.constant(f"{name}.middle", np.array(2 ** (bits - 1), np.float32))
        steps = self.add("Sub", [self.add("Cast", [values], to=TensorProto.FLOAT), middle])
        scales = self.constant(f"{name}.scales", packed.scales.to(torch.float16).unsqueeze(2))
        scales = self.add("Cast", [scales], to=TensorProto.FLOAT)
        shape = self.constant(f"{name}.shape", np.array(weight.shape, np.int64))
        rows = self.add("Reshape", [self.add("Mul", [steps, scales]), shape])
        return self.add("Transpose", [rows], perm=[1, 0])

    def _integers(self, name: str, values: Tensor, bits: int) -> str:
        """uint8 (rows, blocks, BLOCK); at 4 bits the halves of a block share their bytes."""
        if bits == 8:
            return self.constant(f"{name}.values", values)
        low, high = values.chunk(2, 2)
        both = self.constant(f"{name}.values", low | (high << 4))
        low = self.add("BitwiseAnd", [both, self.constant(f"{name}.low", np.array(15, np.uint8))])
        four = self.constant(f"{name}.four", np.array(4, np.uint8))
        high = self.add("BitShift", [both, four], direction="RIGHT")
        return self.add("Concat", [low, high], axis=2)

    def plain(self, name: str, x: str, layer: nn.Linear) -> str:
        """x W' + b in float32, for the small last layers."""
        product = self.add("MatMul", [x, self.constant(f"{name}.weight", layer.weight.T)])
        return self.add("Add", [product, self.constant(f"{name}.bias", layer.bias)])

    def norm(self, name: str, x: str, skip: str, layer: nn.LayerNorm) -> str:
        """LayerNorm(x + skip)."""
        x = self.add("Add", [x, skip])
        apart = self.add("Sub", [x, self.add("ReduceMean", [x, self.shared("last", [-1])])])
        # Not the fused operator: it works through a row number by number.
        squares = self.add("ReduceSumSquare", [apart, self.shared("last", [-1])])
        size = self.shared("size", layer.normalized_shape[0], np.float32)
        variance = self.add("Add", [self.add("Div", [squares, size]), self._epsilon(layer)])
        scaled = self.add("Div", [apart, self.add("Sqrt", [variance])])
        scaled = self.add("Mul", [scaled, self.constant(f"{name}.g", layer.weight)])
        return self.add("Add", [scaled, self.constant(f"{name}.b", layer.bias)])

    def _epsilon(self, layer: nn.LayerNorm) -> str:
        return self.shared("epsilon", layer.eps, np.float32)

    def attention(self, q: str, k: str, v: str, lengths: str, heads: int) -> str:
        """Attention of rows (B, L, H) over the first `lengths` (B) places of `k` and `v`."""
        inputs = [q, k, v, "", lengths]
        return self.add("MultiHeadAttention", inputs, MICROSOFT, num_heads=heads)


def _encoder(graph: _Graph, network: Network) -> tuple[str, str]:
    """BERT over packed tokens (T, H): the last states, and those the evidence is read from."""
    bert = network.encoder
    size = bert.config.hidden_size
    flat = graph.constant("flat", np.array([-1, size], np.int64))
    e = bert.embeddings
    words = graph.table("words", "ids", e.word_embeddings.weight)
    places = graph.table("positions", "places", e.position_embeddings.weight)
    types = graph.constant("types", e.token_type_embeddings.weight)
    places = graph.add("Add", [places, graph.add("Gather", [types, "roles"])])
    x = graph.norm("embeddings.norm", words, places, e.LayerNorm)
    states = [x]
    for i, layer in enumerate(bert.encoder.layer):
        name = f"encoder.{i}"
        own = layer.attention.self
        qkv = graph.linear(f"{name}.qkv", x, [own.query, own.key, own.value])
        # One gather for all three, then split.
        padded = graph.add("Gather", [qkv, "rows"])
        split = graph.add(
            "Split", [padded, graph.constant(f"{name}.split", np.array([size] * 3, np.int64))],
            outputs=3, axis=2,
        )  # fmt: skip
        parts = [split, f"{split}.1", f"{split}.2"]
        seen = graph.attention(*parts, "row_lengths", network.heads)
        seen = graph.add("Gather", [graph.add("Reshape", [seen, flat]), "back"])
        out = layer.attention.output
        seen = graph.linear(f"{name}.out", seen, [out.dense])
        x = graph.norm(f"{name}.norm1", seen, x, out.LayerNorm)
        wide = graph.linear(f"{name}.up", x, [layer.intermediate.dense])
        wide = graph.add("Gelu", [wide], MICROSOFT)
        down = graph.linear(f"{name}.down", wide, [layer.output.dense])
        x = graph.norm(f"{name}.norm2", down, x, layer.output.LayerNorm)
        states.append(x)
    return x, states[network.low]


def _mask(graph: _Graph, name: str, tokens: str, lengths: str) -> str:
    """(N, L, 1) booleans, true at the first `lengths` places of `tokens` (N, L)."""
    second = graph.constant(f"{name}.1", _int(1))
    width = graph.add("Gather", [graph.add("Shape", [tokens]), second])
    zero, one = graph.constant(f"{name}.zero", _int(0)), graph.constant(f"{name}.step", _int(1))
    places = graph.add("Range", [zero, width, one])
    ends = graph.add("Cast", [lengths], to=TensorProto.INT64)
    axis = graph.constant(f"{name}.axis", np.array([1], np.int64))
    real = graph.add("Less", [places, graph.add("Unsqueeze", [ends, axis])])
    return graph.add("Unsqueeze", [real, graph.constant(f"{name}.last", np.array([2], np.int64))])


def _int(value: int) -> np.ndarray:
    return np.array(value, np.int64)


def _heads(graph: _Graph, network: Network, tokens: str, size: int) -> None:
    reply = graph.add("Gather", [tokens, "replies"])
    q = graph.add("Gather", [graph.linear("query", tokens, [network.query]), "replies"])
    kv = graph.add("Gather", [graph.linear("kv", tokens, [network.key, network.value]), "posts"])
    split = graph.add(
        "Split", [kv, graph.constant("kv.split", np.array([size] * 2, np.int64))], outputs=2, axis=2
    )
    seen = graph.attention(q, split, f"{split}.1", "post_lengths", network.heads)
    r = graph.norm("norm", graph.linear("out", seen, [network.out]), reply, network.norm)
    graph.rename(graph.plain("rationale", r, network.rationale), "rationales")
    real = _mask(graph, "reply.mask", "replies", "reply_lengths")
    low = graph.constant("low", np.array(-1e4, np.float32))
    scores = graph.add("Where", [real, graph.plain("pool", r, network.pool), low])
    weights = graph.add("Softmax", [scores], axis=1)
    pooled = graph.add("MatMul", [graph.add("Transpose", [weights], perm=[0, 2, 1]), r])
    first = graph.add("Gather", [r, graph.constant("first", _int(0))], axis=1)
    levels = []
    for i, (dense, level) in enumerate(zip(network.dense, network.level, strict=True)):
        own = graph.add("Gather", [pooled, graph.constant(f"mechanism.{i}", _int(i))], axis=1)
        features = graph.add("Concat", [first, own], axis=1)
        hidden = graph.add("Tanh", [graph.linear(f"dense.{i}", features, [dense])])
        levels.append(graph.plain(f"level.{i}", hidden, level))
    stacked = graph.add("Concat", levels, axis=1)
    shape = graph.constant("levels.shape", np.array([-1, len(MECHANISMS), LEVELS], np.int64))
    graph.rename(graph.add("Reshape", [stacked, shape]), "levels")
    _emotion(graph, network, tokens)


def _emotion(graph: _Graph, network: Network, tokens: str) -> None:
    real = _mask(graph, "speaker.mask", "speakers", "speaker_lengths")
    share = graph.add("Cast", [real], to=TensorProto.FLOAT)
    states = graph.add("Mul", [graph.add("Gather", [tokens, "speakers"]), share])
    axis = graph.constant("speaker.sum", np.array([1], np.int64))
    total = graph.add("ReduceSum", [states, axis], keepdims=0)
    count = graph.add("ReduceSum", [share, axis], keepdims=0)
    mean = graph.add("Div", [total, count])
    graph.rename(graph.plain("feeling", mean, network.feeling), "emotions")
