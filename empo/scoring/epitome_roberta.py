"""The original EPITOME checkpoints (Sharma et al. 2020), for numbers comparable with the paper's.

One folder holds a state dict for each mechanism, found by its name (`*emotional-reactions*`,
`*interpretations*`, `*explorations*`; .pth, .pt, .bin or, converted, .safetensors), RoBERTa's
tokenizer (tokenizer.json, or vocab.json and merges.txt), and, where the encoder is not
RoBERTa-base, its config.json.

The forward pass is that of the authors' `BiEncoderAttentionWithRationaleClassification`
(github.com/behavioral-data/Empathy-Mental-Health, src/models/models.py): r = R + attn(R, S, S) with
one head, levels from r's first token through dense, ReLU and projection, rationales from every
token. There, pairs run one at a time and nothing is masked in the attention; here padding is, so
that a batch agrees with one pair at a time. Texts are lower-cased and cut to 64 pieces, as there.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from empo.scoring.card import Listener, ScorerError
from empo.scoring.checkpoints import converted, find_checkpoint
from empo.scoring.rationale import Reading, spans
from empo.scoring.scorer import Pair
from empo.scoring.valence import ValenceMeter
from empo.types import MECHANISMS, EmotionGuess, Mechanism, MechanismScore, Scores

if TYPE_CHECKING:
    import torch
    from tokenizers import Encoding, Tokenizer
    from torch import Tensor
    from transformers import RobertaModel

PIECES = 64
BATCH = 32
# A piece is in where its second logit is the larger: a probability of a half.
ARGMAX = Reading(threshold=0.5, window=0, gap=0)
HEAD_SIZE = 64


class EpitomeRoberta:
    """Scores with the checkpoints in `folder`; emotions are not measured.

    Raises:
        ScorerError: a checkpoint or the tokenizer is missing or not of this layout; names it.
    """

    name = "epitome-roberta"
    listener: Listener | None = None

    def __init__(self, folder: Path, meter: ValenceMeter) -> None:
        self._meter = meter
        self._tokenizer = _tokenizer(folder)
        self._models = {
            mechanism: _Model(converted(find_checkpoint(folder, mechanism)), folder / "config.json")
            for mechanism in MECHANISMS
        }

    def score(self, pairs: Sequence[Pair]) -> list[Scores]:
        """See `Scorer.score`."""
        found: dict[Mechanism, list[MechanismScore]] = {name: [] for name in MECHANISMS}
        for start in range(0, len(pairs), BATCH):
            batch = pairs[start : start + BATCH]
            posts = self._encode([context for context, _ in batch])
            replies = self._encode([reply for _, reply in batch])
            texts = [reply for _, reply in batch]
            for name, model in self._models.items():
                found[name] += _read(texts, replies, *model(posts, replies))
        return [
            Scores(
                **{name: found[name][i] for name in MECHANISMS},
                valence=self._meter(reply),
            )
            for i, (_, reply) in enumerate(pairs)
        ]

    def score_emotions(self, texts: Sequence[str]) -> list[tuple[EmotionGuess, ...]]:
        """No emotion is measured: these checkpoints know none."""
        return [() for _ in texts]

    def _encode(self, texts: Sequence[str]) -> list[Encoding]:
        # A character whose lower case is longer would shift the spans: it stays as it is.
        lowered = ["".join(_lower(c) for c in text) for text in texts]
        return self._tokenizer.encode_batch(lowered)


class _Model:
    """One mechanism's network: weights by their published names, and the forward pass."""

    def __init__(self, weights: Path, config: Path) -> None:
        from safetensors.torch import load_file

        state = load_file(weights)
        try:
            self._seeker = _encoder(state, "seeker_encoder.roberta.", config)
            self._responder = _encoder(state, "responder_encoder.roberta.", config)
            self._linear = {
                name: (state[f"{name}.weight"].float(), state[f"{name}.bias"].float())
                for name in (
                    "attn.q_linear",
                    "attn.k_linear",
                    "attn.v_linear",
                    "attn.out",
                    "rationale_classifier",
                    "empathy_classifier.dense",
                    "empathy_classifier.out_proj",
                )
            }
        except (KeyError, RuntimeError) as error:
            said = " ".join(str(error).split())[:200]
            raise ScorerError(f"{weights.name} is no EPITOME checkpoint: {said}.") from error

    def __call__(
        self, posts: Sequence[Encoding], replies: Sequence[Encoding]
    ) -> tuple[Tensor, Tensor]:
        """Level logits (N, 3) and rationale logits (N, L, 2)."""
        import torch

        padding = self._seeker.config.pad_token_id
        with torch.inference_mode():
            ids, post_mask = _padded(posts, padding)
            s = self._seeker(ids, attention_mask=post_mask).last_hidden_state
            ids, mask = _padded(replies, padding)
            r = self._responder(ids, attention_mask=mask).last_hidden_state
            r = r + self._attend(r, s, post_mask)
            hidden = torch.relu(self._apply("empathy_classifier.dense", r[:, 0, :]))
            return (
                self._apply("empathy_classifier.out_proj", hidden),
                self._apply("rationale_classifier", r),
            )

    def _attend(self, r: Tensor, s: Tensor, mask: Tensor) -> Tensor:
        q, k, v = (
            self._apply(f"attn.{name}_linear", states)
            for name, states in (("q", r), ("k", s), ("v", s))
        )
        scores = q @ k.transpose(1, 2) / math.sqrt(q.shape[-1])
        scores = scores.masked_fill(mask[:, None, :] == 0, float("-inf"))
        return self._apply("attn.out", scores.softmax(-1) @ v)

    def _apply(self, name: str, x: Tensor) -> Tensor:
        weight, bias = self._linear[name]
        return x @ weight.T + bias


def _encoder(state: dict[str, Tensor], prefix: str, config: Path) -> RobertaModel:
    """RoBERTa with the weights under `prefix`; its shape is read off them, or from `config`."""
    from transformers import RobertaConfig, RobertaModel

    own = {k.removeprefix(prefix): v.float() for k, v in state.items() if k.startswith(prefix)}
    own = {k: v for k, v in own.items() if not k.startswith("pooler.") and "position_ids" not in k}
    if config.is_file():
        settings = RobertaConfig.from_json_file(config)
    else:
        settings = RobertaConfig(**_shape(own))
    # Positions are few here, and one attention everywhere keeps a batch equal to its parts.
    settings._attn_implementation = "eager"
    encoder = RobertaModel(settings, add_pooling_layer=False)
    encoder.load_state_dict(own)
    return encoder.eval()


def _shape(weights: dict[str, Tensor]) -> dict[str, Any]:
    """RoBERTa's sizes as the weights show them; heads are 64 wide, as in all published sizes."""
    words, hidden = weights["embeddings.word_embeddings.weight"].shape
    layers = {k.split(".")[2] for k in weights if k.startswith("encoder.layer.")}
    return {
        "vocab_size": words,
        "hidden_size": hidden,
        "num_hidden_layers": len(layers),
        "num_attention_heads": max(1, hidden // HEAD_SIZE),
        "intermediate_size": weights["encoder.layer.0.intermediate.dense.weight"].shape[0],
        "max_position_embeddings": weights["embeddings.position_embeddings.weight"].shape[0],
        "type_vocab_size": weights["embeddings.token_type_embeddings.weight"].shape[0],
        "layer_norm_eps": 1e-5,
        "pad_token_id": 1,
    }


def _padded(encodings: Sequence[Encoding], padding: int) -> tuple[Tensor, Tensor]:
    """Ids and mask (N, L), padded on the right."""
    import torch

    longest = max(len(e.ids) for e in encodings)
    ids = [e.ids + [padding] * (longest - len(e.ids)) for e in encodings]
    mask = [[1] * len(e.ids) + [0] * (longest - len(e.ids)) for e in encodings]
    return torch.tensor(ids), torch.tensor(mask)


def _read(
    texts: Sequence[str], encodings: Sequence[Encoding], levels: Tensor, tokens: torch.Tensor
) -> Iterator[MechanismScore]:
    probabilities = levels.double().softmax(-1)
    marks = tokens.softmax(-1)[..., 1].numpy()
    for i, (text, encoding) in enumerate(zip(texts, encodings, strict=True)):
        own = tuple(map(float, probabilities[i]))
        level = int(levels[i].argmax())
        offsets = [_trimmed(text, *span) for span in encoding.offsets[1:-1]]
        found = spans(text, offsets, marks[i, 1 : len(offsets) + 1], ARGMAX) if level else ()
        yield MechanismScore(level, own, found)


def _trimmed(text: str, start: int, end: int) -> tuple[int, int]:
    """Byte-level pieces may begin with the space before the word."""
    while start < end and text[start].isspace():
        start += 1
    return start, end


def _lower(character: str) -> str:
    lowered = character.lower()
    return lowered if len(lowered) == 1 else character


def _tokenizer(folder: Path) -> Tokenizer:
    from tokenizers import ByteLevelBPETokenizer, Tokenizer
    from tokenizers.processors import RobertaProcessing

    whole, vocab, merges = (folder / n for n in ("tokenizer.json", "vocab.json", "merges.txt"))
    try:
        if whole.is_file():
            tokenizer = Tokenizer.from_file(str(whole))
        else:
            tokenizer = ByteLevelBPETokenizer.from_file(str(vocab), str(merges))._tokenizer
            ids = {token: tokenizer.token_to_id(token) for token in ("</s>", "<s>")}
            tokenizer.post_processor = RobertaProcessing(*ids.items(), trim_offsets=True)
    except Exception as error:
        # The library raises plain Exception for a missing and for a broken file.
        raise ScorerError(
            f"There is no RoBERTa tokenizer in {folder} (tokenizer.json, or vocab.json and "
            f"merges.txt): {error}."
        ) from error
    tokenizer.no_padding()
    tokenizer.enable_truncation(PIECES)
    return tokenizer
