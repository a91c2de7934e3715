"""Does a reply name a model or a maker of models? Then the vote is not blind, and does not count.

Names are looked for as words in a text from which disguises are taken: NFKC, invisible characters
(Cf) and combining marks out, letters of other alphabets that look Latin (Unicode's confusables,
through confusable_homoglyphs) replaced by what they look like, case folding; then once more with
digits read as letters, and with letters that stand apart put together.

The list follows FastChat's for cleaning battles (clean_battle_data.py); words that people use in
their own right (apple, orca, haiku, solar) are left out.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache, lru_cache
from typing import Final

NAMES: Final = (
    *("chatgpt", "openai", "gpt", "gpt 3", "gpt 4", "gpt 5", "claude", "anthropic", "google"),
    *("gemini", "gemma", "bard", "deepmind", "lamda", "llama", "llama 2", "llama 3", "meta ai"),
    *("mistral", "mistral ai", "mixtral", "zephyr", "hugging face", "huggingface h 4", "qwen"),
    *("qwq", "alibaba", "alibaba cloud", "deepseek", "vicuna", "lmsys", "alpaca", "koala 13 b"),
    *("falcon", "cohere", "command r", "command a", "copilot", "microsoft", "phi 2", "phi 3"),
    *("phi 4", "grok", "xai", "chatglm", "glm 4", "zhipu", "baichuan", "kimi", "moonshot"),
    *("moonshot ai", "minimax", "nemotron", "nvidia", "granite 3", "pythia", "eleutherai"),
    *("stablelm", "stability ai", "bloomz", "bigscience", "tulu", "olmo", "ai2", "allenai"),
    *("databricks", "dbrx", "inflection ai", "replika", "character ai", "perplexity ai"),
    *("open assistant", "laion", "01 ai", "yi 34 b", "smollm", "nous hermes", "ernie bot"),
    *("tinyllama", "blenderbot", "dialogpt", "empo", "empo space", "dpo", "sft"),
)
_DIGITS = str.maketrans("034578@$", "oeastbas")
# The capital of i looks like an l; so does the digit 1, which may stand for either.
_UPRIGHT = re.compile(r"[il1]")


def names_itself(reply: str) -> bool:
    """Whether `reply` names a known model or maker, disguised or not."""
    shown = plain(reply)
    return any(_pattern().search(text) for text in (shown, shown.translate(_DIGITS)))


@cache
def _pattern() -> re.Pattern[str]:
    """Every name, its words together or apart, or all its letters apart."""
    whole = (r"[\W_]*".join(name.split()) for name in NAMES)
    apart = (r"[\W_][\W_]{,2}".join(name.replace(" ", "")) for name in NAMES)
    spelled = (_UPRIGHT.sub(r"[il1|!]", name) for name in (*whole, *apart))
    return re.compile(rf"(?<![a-z])(?:{'|'.join(spelled)})(?:[\W_]?\d+)?(?![a-z])")


def plain(text: str) -> str:
    """`text` without disguises: lower-case Latin letters where it looks like such."""
    apart = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", text))
    shown = (c for c in apart if unicodedata.category(c) not in ("Cf", "Cc", "Mn", "Me"))
    return "".join(c if c.isascii() else _latin(c) for c in shown).casefold()


@lru_cache(10_000)
def _latin(character: str) -> str:
    """The Latin letter that `character`, or its other case, looks like; else itself."""
    from confusable_homoglyphs import confusables

    for shape in dict.fromkeys((character, character.casefold(), character.upper())):
        for found in confusables.is_confusable(shape, greedy=True) or ():
            for other in found["homoglyphs"]:
                if len(other["c"]) == 1 and other["c"].isascii() and other["c"].isalpha():
                    return other["c"]
    return character
