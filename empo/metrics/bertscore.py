"""BERTScore F1: greedy matching of the reply's and the human reply's contextual token vectors.

Zhang, Kishore, Wu, Weinberger & Artzi 2020 (arXiv 1904.09675), by torchmetrics, without idf weights
and without rescaling. Values of different encoders are not comparable: `roberta-large` (layer 17)
is what papers report; any other encoder belongs into a column of another name.

One pair a call: torchmetrics 1.9 sorts replies and references by length, each in its own order,
and does not put them back, so that in a longer list a reply meets another reply's reference.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor, nn

PUBLISHED = "roberta-large"
LAYER = 17  # what BERTScore's authors chose for roberta-large
MAX_PIECES = 256
BATCH = 32
SPECIAL = 2  # markers around each text, which do not take part
Encode = Callable[[Sequence[str]], list["np.ndarray"]]
"""Texts → for each its token vectors, (pieces, width), with a marker's at both ends."""


def bertscore(encode: Encode, replies: Sequence[str], human: Sequence[str]) -> list[float]:
    """F1 of each reply, by the token vectors of `encode`; a text without a token scores 0."""
    from torchmetrics.functional.text.bert import bert_score

    texts = list(dict.fromkeys([*replies, *human]))
    vectors, place = encode(texts), {text: i for i, text in enumerate(texts)}

    def look_up(_: nn.Module, batch: dict[str, Tensor]) -> Tensor:
        import torch

        return torch.from_numpy(vectors[int(batch["input_ids"][0, 0])].copy())[None]

    model, found = _given(), []
    for reply, reference in zip(replies, human, strict=True):
        a, b = place[reply], place[reference]
        if min(len(vectors[a]), len(vectors[b])) <= SPECIAL:
            found.append(0.0)
            continue
        score = bert_score(
            _numbered(a, vectors[a]),
            _numbered(b, vectors[b]),
            model=model,
            user_forward_fn=look_up,
        )
        found.append(float(score["f1"]))
    return found


def _numbered(number: int, vectors: np.ndarray) -> dict[str, Tensor]:
    """A text whose "token ids" are its place in the list: its vectors are known already."""
    import torch

    shape = (1, len(vectors))
    return {
        "input_ids": torch.full(shape, number),
        "attention_mask": torch.ones(shape, dtype=torch.long),
    }


def _given() -> nn.Module:
    """A model that is never run: torchmetrics looks at its configuration only."""
    from torch import nn

    model = nn.Identity()
    model.config = SimpleNamespace(num_hidden_layers=LAYER)
    return model


def published_encoder() -> Encode:
    """roberta-large, from the Hub's cache or the Hub.

    Raises:
        OSError: it is not on this machine and cannot be downloaded.
    """
    import torch
    from transformers import AutoModel, AutoTokenizer

    device = "cuda" if torch.cuda.is_available() else "cpu"
    tokenizer = AutoTokenizer.from_pretrained(PUBLISHED)
    model = AutoModel.from_pretrained(PUBLISHED, use_safetensors=True).to(device).eval()

    def encode(texts: Sequence[str]) -> list[np.ndarray]:
        found: list[np.ndarray] = []
        for start in range(0, len(texts), BATCH):
            batch = tokenizer(
                list(texts[start : start + BATCH]),
                padding=True,
                truncation=True,
                max_length=MAX_PIECES,
                return_tensors="pt",
            ).to(device)
            with torch.inference_mode():
                hidden = model(**batch, output_hidden_states=True).hidden_states[LAYER]
            lengths = batch["attention_mask"].sum(1).tolist()
            found += [row[:n].cpu().numpy() for row, n in zip(hidden, lengths, strict=True)]
        return found

    return encode
