"""Does a reply name its maker or its model? Then the vote is not blind, and does not count.

Names are looked for as words in a text from which disguises are taken: NFKC, case folding,
invisible characters (Cf) and combining marks out, and letters of other alphabets that look Latin
(Unicode's confusables, through confusable_homoglyphs) replaced by what they look like.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache
from typing import Final

NAMES: Final = (
    *("chatgpt", "openai", "open ai", "gpt 3", "gpt 4", "gpt 5", "gpt", "claude", "anthropic"),
    *("gemini", "google bard", "deepmind", "llama", "meta ai", "mistral", "mixtral", "zephyr"),
    *("hugging face", "qwen", "alibaba cloud", "deepseek", "vicuna", "lmsys", "alpaca ai"),
    *("falcon llm", "cohere", "copilot", "grok", "chatglm", "baichuan", "kimi k2", "moonshot ai"),
    *("pythia", "bloomz", "stablelm", "gemma", "nemotron", "tulu", "olmo", "empo", "dpo", "sft"),
)


def names_itself(reply: str) -> bool:
    """Whether `reply` names a known model or maker, disguised or not."""
    return _pattern().search(plain(reply)) is not None


@cache
def _pattern() -> re.Pattern[str]:
    spelled = (r"[\W_]*".join(map(re.escape, name.split())) for name in NAMES)
    return re.compile(rf"(?<![a-z])(?:{'|'.join(spelled)})(?![a-z])")


def plain(text: str) -> str:
    """`text` without disguises: lower-case Latin letters where it looks like such."""
    folded = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", text).casefold())
    shown = (c for c in folded if unicodedata.category(c) not in ("Cf", "Mn", "Me"))
    return "".join(c if c.isascii() else _latin(c) for c in shown)


@cache
def _latin(character: str) -> str:
    """The Latin letter that `character` looks like, or itself."""
    from confusable_homoglyphs import confusables

    for found in confusables.is_confusable(character, greedy=True, preferred_aliases=[]) or ():
        for other in found["homoglyphs"]:
            if len(other["c"]) == 1 and other["c"].isascii() and other["c"].isalpha():
                return other["c"].lower()
    return character
