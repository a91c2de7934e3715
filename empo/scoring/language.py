"""Is a text English, as far as the scorer can tell? Everything it knows, it knows in English.

English words are mostly single pieces of the scorer's vocabulary; words of other languages fall
into several, and other scripts into unknown ones. Short texts get the benefit of the doubt.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tokenizers import Encoding

SHORT = 3
"""Texts of fewer words are not judged, unless no piece of them is known at all."""
ENOUGH = 0.6
"""The share of whole words that English text reaches; see `tests/test_language.py`."""


def is_english(encoding: Encoding, unknown: int) -> bool:
    """Whether `encoding` (of the scorer's tokenizer) looks English; `unknown` is [UNK]'s id."""
    pieces = Counter(word for word in encoding.word_ids if word is not None)
    if not pieces:
        return True
    lost = {
        word
        for word, i in zip(encoding.word_ids, encoding.ids, strict=True)
        if word is not None and i == unknown
    }
    if len(lost) == len(pieces):
        return False
    starts: dict[int, int] = {}
    words = 0
    whole = 0
    for word, token in zip(encoding.word_ids, encoding.tokens, strict=True):
        if word is None or word in starts:
            continue
        starts[word] = 1
        if token[:1].isalnum() or word in lost:
            words += 1
            whole += pieces[word] == 1 and word not in lost
    return words < SHORT or whole / words >= ENOUGH
