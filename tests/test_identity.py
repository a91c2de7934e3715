"""empo/arena/identity.py: names behind every disguise, and clean replies left alone."""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from empo.arena.identity import names_itself, plain

# Thirty-three, as people write them; the list in the library is its own.
NAMES = (
    *("ChatGPT", "OpenAI", "GPT-4", "GPT-3.5", "Claude", "Anthropic", "Gemini", "Bard", "DeepMind"),
    *("LLaMA", "Llama 2", "Meta AI", "Mistral", "Mixtral", "Zephyr", "Hugging Face", "Qwen"),
    *("Alibaba", "DeepSeek", "Vicuna", "Alpaca", "Falcon", "Cohere", "Command R", "Copilot"),
    *("Grok", "ChatGLM", "Baichuan", "Gemma", "Phi-3", "xAI", "Google", "EmPO"),
)
CYRILLIC = str.maketrans("aceopxyiABCEHIKMOPTX", "асеорхуіАВСЕНІКМОРТХ")
GREEK = str.maketrans("oavABEZHIKMNOPTYX", "οανΑΒΕΖΗΙΚΜΝΟΡΤΥΧ")


def wide(text: str) -> str:
    return "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in text)


def mathematical(text: str) -> str:
    upper, lower = 0x1D5D4 - ord("A"), 0x1D5EE - ord("a")
    return "".join(
        chr(ord(c) + (upper if c.isupper() else lower)) if c.isascii() and c.isalpha() else c
        for c in text
    )


DISGUISES: dict[str, Callable[[str], str]] = {
    "none": str,
    "upper case": str.upper,
    "lower case": str.lower,
    "mixed case": lambda s: "".join(c.upper() if i % 2 else c.lower() for i, c in enumerate(s)),
    "zero-width spaces": "\u200b".join,
    "zero-width joiners": "\u200d".join,
    "word joiners": "\u2060".join,
    "soft hyphens": "\u00ad".join,
    "byte order marks between directions": lambda s: f"\u2066{chr(0xFEFF).join(s)}\u2069",
    "tag characters": lambda s: "".join(c + "\U000e0061" for c in s),
    "Cyrillic letters": lambda s: s.translate(CYRILLIC),
    "Greek letters": lambda s: s.translate(GREEK),
    "Cyrillic and invisible": lambda s: "\u200b".join(s.translate(CYRILLIC)),
    "full width": wide,
    "mathematical letters": mathematical,
    "struck through": lambda s: "".join(c + "\u0336" for c in s),
    "accents": lambda s: s.translate(str.maketrans("aeio", "äéïô")),
    "digits for letters": lambda s: s.translate(str.maketrans("oOeEaAiIsS", "0033441155")),
    "letters apart": " ".join,
    "dots between": ".".join,
    "bold": lambda s: f"**{s}**",
    "other spaces and hyphens": lambda s: s.replace(" ", "\u00a0").replace("-", "\u2011"),
}


@pytest.mark.parametrize("disguise", DISGUISES)
def test_every_name_is_found_in_every_disguise(disguise: str) -> None:
    shown = [DISGUISES[disguise](name) for name in NAMES]
    missed = [
        name
        for name in shown
        for reply in (f"Hello! I am {name}, and I am here to listen.", f"{name}: I'm so sorry.")
        if not names_itself(reply)
    ]
    assert missed == []


@pytest.mark.parametrize(
    "reply",
    [
        "Let's sit in the open air for a while.",
        "It was a claudication, the doctor said.",
        "The falconer and his son went home; a barding of horses.",
        "An embargo on grokking? Gemination of sounds!",
        "I am sorry. A I think he meant well. U S A",
        "ChatGP is not how one writes anything",
        "Это так грустно, мне очень жаль.",
        "Λυπάμαι πολύ για τον σκύλο σου.",
        "",
    ],
)
def test_what_only_looks_similar_is_left_alone(reply: str) -> None:
    assert not names_itself(reply)


def test_disguises_are_taken_off() -> None:
    assert plain("Ｃｈ\u200bа\u0336tGPТ – ОK") == "chatgpt – ok"


def test_at_most_one_in_a_hundred_human_replies_is_flagged(
    data_file: Callable[[str], Path],
) -> None:
    with gzip.open(data_file("ed_valid.jsonl.gz"), "rt", encoding="utf-8") as file:
        replies = [turn for line in file for turn in json.loads(line)["turns"][1::2]]
    sample = random.Random(0).sample(replies, 1000)
    flagged = [reply for reply in sample if names_itself(str(reply))]
    assert len(flagged) <= 10, flagged
