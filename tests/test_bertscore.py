"""The published encoder's way, on a tiny random RoBERTa that lies in the cache as roberta-large."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from tokenizers import ByteLevelBPETokenizer
from torchmetrics.functional.text.bert import bert_score
from transformers import AutoTokenizer, RobertaConfig, RobertaForMaskedLM

from empo.metrics.bertscore import LAYER, PUBLISHED
from empo.settings import ROOT

ROWS = (
    ("I lost my job.", "I am so sorry to hear that!", "Oh no, how did that happen?"),
    ("I won the race!", "Great.", "Congratulations, you must be very proud of yourself today."),
    ("She left me.", "Oh no, how did that happen?", "Oh no, how did that happen?"),
)
SPECIAL = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]


def cached(home: Path) -> Path:
    """A random RoBERTa of 18 narrow layers in `home`, laid out as the Hub's cache lays it out."""
    model = home / "hub" / f"models--{PUBLISHED}"
    folder = model / "snapshots" / "abc123"
    folder.mkdir(parents=True)
    (model / "refs").mkdir()
    (model / "refs" / "main").write_text("abc123")
    bpe = ByteLevelBPETokenizer()
    texts = [text for row in ROWS for text in row]
    bpe.train_from_iterator(texts, vocab_size=300, special_tokens=SPECIAL, show_progress=False)
    bpe.save_model(str(folder))
    torch.manual_seed(0)
    config = RobertaConfig(
        vocab_size=bpe.get_vocab_size(), hidden_size=16, num_hidden_layers=18,
        num_attention_heads=2, intermediate_size=32, max_position_embeddings=130,
        initializer_range=0.2, pad_token_id=1, bos_token_id=0, eos_token_id=2,
    )  # fmt: skip
    RobertaForMaskedLM(config).save_pretrained(folder)
    return folder


@pytest.mark.slow
def test_where_roberta_large_is_cached_it_is_what_scores(tmp_path: Path) -> None:
    """In a process of its own, with no network: the report's numbers are torchmetrics' own."""
    folder = cached(tmp_path / "hf")
    replies = tmp_path / "mine.jsonl"
    rows = [{"context": a, "reply": b, "human": c} for a, b, c in ROWS]
    replies.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    out = tmp_path / "out"
    command = [sys.executable, "-m", "empo", "evaluate", "--replies", str(replies)]
    done = subprocess.run(
        [*command, "--metrics", "bertscore_f1", "--out", str(out)],
        cwd=ROOT,
        env={**os.environ, "HF_HOME": str(tmp_path / "hf"), "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    report = json.loads((out / "report.json").read_text("utf-8"))
    system = report["systems"]["mine"]
    assert system["bertscore_f1"]["n"] == 3 and "bertscore_f1_embedded" not in system
    lines = [json.loads(x) for x in (out / "replies.jsonl").read_text("utf-8").splitlines()]
    found = [x["scores"]["bertscore_f1"] for x in lines if x["system"] == "mine"]
    tokenizer = AutoTokenizer.from_pretrained(folder)
    assert tokenizer(ROWS[0][0])["input_ids"][0] == 0, "markers are set around a text"
    expected = [
        float(
            bert_score(
                [reply], [human], model_name_or_path=str(folder), num_layers=LAYER, max_length=128
            )["f1"]
        )
        for _, reply, human in ROWS
    ]
    assert found == pytest.approx(expected, abs=1e-4)
    assert found[2] == 1.0 and max(found[:2]) < 0.999
