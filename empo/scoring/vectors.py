"""Token vectors of the embedded scorer's encoder, for measures that compare texts by meaning.

The shipped graph gives levels, rationales and emotions only. Its last encoder layer is named as an
output as well by adding to the file's bytes in memory: a protobuf message that stands twice is
merged (protobuf.dev, "Last One Wins"), so a second, otherwise empty graph adds its output.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from empo.scoring.card import ScorerError
from empo.scoring.embedded import BATCH, MAX_CHARACTERS, REPLY, load_session, load_tokenizer
from empo.scoring.packing import pack
from empo.scoring.scorer import EMBEDDED

if TYPE_CHECKING:
    import numpy as np

PIECES = 128
"""Longer texts are cut to this many pieces, markers included."""
# A node's two inputs, as protobuf writes them: the speaker's pieces come from the last layer.
_LAYER = re.compile(rb"\n[\x01-\x7f]([A-Za-z0-9_./]+)\n\x08speakers\x12", re.DOTALL)
# Field numbers of ModelProto.graph, GraphProto.output, ValueInfoProto.name in onnx.proto.
_GRAPH, _OUTPUT, _NAME = 7, 12, 1


class TokenVectors:
    """The encoder of the scorer in `folder`; call it with texts.

    Raises:
        ScorerError: a file is missing, or the graph has no encoder that can be told.
    """

    name = "embedded"

    def __init__(self, folder: Path = EMBEDDED) -> None:
        self._tokenizer = load_tokenizer(folder / "tokenizer.json")
        self._end = self._tokenizer.token_to_id("[SEP]")
        try:
            graph = (folder / "scorer.onnx").read_bytes()
        except OSError as error:
            raise ScorerError("The scorer's scorer.onnx cannot be read.") from error
        self._layer = _last_layer(graph)
        self._session = load_session(graph + _as_output(self._layer), "scorer.onnx")

    def __call__(self, texts: Sequence[str]) -> list[np.ndarray]:
        """For each text an array (pieces, width), with a marker's vector at both ends."""
        ids = [self._ids(text) for text in texts]
        order = sorted(range(len(ids)), key=lambda i: len(ids[i]))
        found: dict[int, np.ndarray] = {}
        for start in range(0, len(order), BATCH):
            chosen = order[start : start + BATCH]
            for i, vectors in zip(chosen, self._run([ids[i] for i in chosen]), strict=True):
                found[i] = vectors
        return [found[i] for i in range(len(ids))]

    def _ids(self, text: str) -> list[int]:
        ids = self._tokenizer.encode(text[:MAX_CHARACTERS]).ids
        return ids if len(ids) <= PIECES else [*ids[: PIECES - 1], self._end]

    def _run(self, ids: Sequence[Sequence[int]]) -> Iterator[np.ndarray]:
        # The graph wants a pair and a speaker's text; the shortest text serves as all of them.
        arrays = pack(ids, [REPLY] * len(ids), [(0, 0)], [0])
        (vectors,) = self._session.run([self._layer], arrays)
        start = 0
        for row in ids:
            yield vectors[start : start + len(row)]
            start += len(row)


def _last_layer(graph: bytes) -> str:
    found = _LAYER.search(graph)
    if not found:
        raise ScorerError("scorer.onnx gathers no speaker's pieces: its encoder is not known.")
    return found[1].decode()


def _as_output(name: str) -> bytes:
    """The bytes that add the tensor `name` to a model's outputs."""
    return _field(_GRAPH, _field(_OUTPUT, _field(_NAME, name.encode())))


def _field(number: int, content: bytes) -> bytes:
    """A protobuf field of kind 2 (length-delimited); `content` is shorter than 128 bytes."""
    return bytes([number << 3 | 2, len(content)]) + content
