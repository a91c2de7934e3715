"""Is a text English, as far as the scorer can tell? Everything it knows, it knows in English.

English words are mostly single pieces of the scorer's vocabulary; words of other languages fall
into several, and other scripts into unknown ones. Short texts in Latin script get the benefit of
the doubt: names and slang fall to pieces, too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tokenizers import Encoding

SHORT = 5
"""Texts of fewer words are not judged by their pieces."""
ENOUGH = 0.5
"""The share of whole words that English text reaches."""


def is_english(text: str, encoding: Encoding, unknown: int) -> bool:
    """Whether `text` looks English; `encoding` is the scorer's of it, `unknown` is [UNK]'s id."""
    pieces: dict[int, int] = {}
    lost = set()
    for word, (start, end), token in zip(
        encoding.word_ids, encoding.offsets, encoding.ids, strict=True
    ):
        if word is None or not any(c.isalpha() for c in text[start:end]):
            continue
        pieces[word] = pieces.get(word, 0) + 1
        if token == unknown:
            lost.add(word)
    if not pieces:
        return True
    if len(lost) * 2 > len(pieces):
        return False
    whole = sum(count == 1 and word not in lost for word, count in pieces.items())
    return len(pieces) < SHORT or whole / len(pieces) >= ENOUGH
