"""The original EPITOME network, on a small random model of the published layout."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch
from tokenizers import ByteLevelBPETokenizer
from torch import nn
from transformers import RobertaConfig, RobertaModel

from empo.scoring.card import ScorerError
from empo.scoring.epitome_roberta import EpitomeRoberta
from empo.scoring.scorer import load_scorer
from empo.scoring.valence import ValenceMeter
from empo.types import MECHANISMS

HIDDEN = 32
FILES = ("reddit_emotional-reactions.pth", "reddit_interpretations.pth", "reddit_explorations.pth")
PAIRS = [
    ("My dog died last week.", "I'm so sorry to hear that. How old was he?"),
    ("I got the job!", "Great"),
    ("I have been feeling down for months and nothing I try seems to help me at all. " * 3, "Why?"),
    ("ok", "I understand. I went through the same thing, it hurts, and I wish you the best. " * 9),
]


class Published(nn.Module):
    """The authors' network, one pair at a time and without masks: what must be agreed with."""

    def __init__(self, config: RobertaConfig) -> None:
        super().__init__()
        for side in ("seeker_encoder", "responder_encoder"):
            setattr(self, side, nn.Module())
            getattr(self, side).roberta = RobertaModel(config)
        self.attn = nn.Module()
        for name in ("q_linear", "k_linear", "v_linear", "out"):
            setattr(self.attn, name, nn.Linear(HIDDEN, HIDDEN))
        self.norm = nn.Module()
        self.norm.alpha = nn.Parameter(torch.ones(HIDDEN))
        self.norm.bias = nn.Parameter(torch.zeros(HIDDEN))
        self.rationale_classifier = nn.Linear(HIDDEN, 2)
        self.empathy_classifier = nn.Module()
        self.empathy_classifier.dense = nn.Linear(HIDDEN, HIDDEN)
        self.empathy_classifier.out_proj = nn.Linear(HIDDEN, 3)

    def forward(self, post: torch.Tensor, reply: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        s = self.seeker_encoder.roberta(post)[0]
        r = self.responder_encoder.roberta(reply)[0]
        q, k, v = self.attn.q_linear(r), self.attn.k_linear(s), self.attn.v_linear(s)
        weights = torch.softmax(q @ k.transpose(1, 2) / math.sqrt(HIDDEN), -1)
        r = r + self.attn.out(weights @ v)
        head = self.empathy_classifier
        return head.out_proj(torch.relu(head.dense(r[:, 0, :]))), self.rationale_classifier(r)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three random checkpoints, a byte-level tokenizer trained on the pairs, the config."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    path = tmp_path_factory.mktemp("checkpoints")
    tokenizer = ByteLevelBPETokenizer()
    tokenizer.train_from_iterator(
        [text for pair in PAIRS for text in pair],
        vocab_size=400,
        special_tokens=["<s>", "<pad>", "</s>", "<unk>"],
    )
    tokenizer.save_model(str(path))
    config = RobertaConfig(
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=HIDDEN,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=80,
        type_vocab_size=1,
        pad_token_id=1,
    )
    (path / "config.json").write_text(json.dumps(config.to_dict()))
    for name in FILES:
        network = Published(config).eval()
        # Untrained heads hardly tell levels apart: spread them.
        nn.init.normal_(network.empathy_classifier.out_proj.weight, std=2.0)
        nn.init.normal_(network.rationale_classifier.weight, std=1.0)
        torch.save(network.state_dict(), path / name)
    return path


@pytest.fixture(scope="module")
def scorer(folder: Path) -> EpitomeRoberta:
    return EpitomeRoberta(folder, ValenceMeter())


def test_a_batch_agrees_with_the_published_forward_pass_one_pair_at_a_time(
    scorer: EpitomeRoberta, folder: Path
) -> None:
    config = RobertaConfig.from_json_file(folder / "config.json")
    posts, replies = (scorer._encode([pair[i] for pair in PAIRS]) for i in (0, 1))
    for name, file in zip(MECHANISMS, FILES, strict=True):
        network = Published(config).eval()
        network.load_state_dict(torch.load(folder / file, weights_only=True))
        levels, tokens = scorer._models[name](posts, replies)
        for i, (post, reply) in enumerate(zip(posts, replies, strict=True)):
            with torch.inference_mode():
                level, token = network(torch.tensor([post.ids]), torch.tensor([reply.ids]))
            assert torch.allclose(levels[i], level[0], atol=1e-5)
            assert torch.allclose(tokens[i, : len(reply.ids)], token[0], atol=1e-5)


def test_scores_in_a_batch_are_those_alone(scorer: EpitomeRoberta) -> None:
    together = scorer.score(PAIRS)
    for pair, scores in zip(PAIRS, together, strict=True):
        (alone,) = scorer.score([pair])
        for name in MECHANISMS:
            a, b = scores.mechanism(name), alone.mechanism(name)
            assert a.probabilities == pytest.approx(b.probabilities, abs=1e-5)
            assert (a.level, a.rationale) == (b.level, b.rationale)
    levels = {scores.mechanism(name).level for scores in together for name in MECHANISMS}
    assert len(levels) > 1


def test_spans_are_words_of_the_reply_as_it_was_written(scorer: EpitomeRoberta) -> None:
    found = []
    for (_, reply), scores in zip(PAIRS, scorer.score(PAIRS), strict=True):
        for name in MECHANISMS:
            found += [reply[a:b] for a, b in scores.mechanism(name).rationale]
            assert scores.mechanism(name).level or not scores.mechanism(name).rationale
    assert found
    assert all(text == text.strip() and text for text in found)


def test_texts_are_lower_cased_and_cut_to_64_pieces(scorer: EpitomeRoberta) -> None:
    upper, lower = scorer.score([("MY DOG", "SO SORRY"), ("my dog", "so sorry")])
    assert upper.emotional_reaction == lower.emotional_reaction
    assert len(scorer._encode([PAIRS[3][1]])[0].ids) == 64
    # İ has a two-character lower case: offsets must not move.
    scorer.score([("a", "İİ so sorry")])


def test_emotions_are_not_measured(scorer: EpitomeRoberta) -> None:
    assert scorer.score_emotions(["I am sad", "ok"]) == [(), ()]
    assert scorer.score(PAIRS[:1])[0].emotion == ()


def test_what_is_missing_or_wrong_is_named(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ScorerError, match="no RoBERTa tokenizer"):
        load_scorer("epitome-roberta", tmp_path)
    for name in ("vocab.json", "merges.txt", "config.json"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    with pytest.raises(ScorerError, match="emotional-reactions"):
        load_scorer("epitome-roberta", tmp_path)
    torch.save({"attn.out.weight": torch.zeros(2, 2)}, tmp_path / FILES[0])
    with pytest.raises(ScorerError, match="is no EPITOME checkpoint"):
        load_scorer("epitome-roberta", tmp_path)
