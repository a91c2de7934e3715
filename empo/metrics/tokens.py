"""Word tokens as the paper's code counts them: sentences by Punkt, words by NLTK's Treebank rules.

`nltk.word_tokenize` (Bird, Klein & Loper 2009) needs a downloaded Punkt model; an untrained
`PunktSentenceTokenizer` gives the paper's figures to within their last digit. Splitting the whole
text at once does not: only a sentence's last full stop is a token of its own.
"""

from __future__ import annotations

import re
from functools import cache, lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nltk.tokenize import NLTKWordTokenizer
    from nltk.tokenize.punkt import PunktSentenceTokenizer

# Two out of three sentences are plain words, commas and a mark at the end: for these the rules come
# down to a split, a tenth of the work of two dozen substitutions (tests hold both together).
_WORD = r"[A-Za-z]+(?:'[A-Za-z]+)?"
_PLAIN = re.compile(rf"{_WORD}(?:,? {_WORD})*(?:\.|[?!]*)")
# One sentence for sure: nothing that could end one but a single mark at the end ("Oh!!" is two).
_ONE = re.compile(r"[^.?!\s](?:[^.?!]*[^.?!\s])?[.?!]?")
_PIECES = re.compile(r"[A-Za-z']+|[^ ]")
_CLITIC = re.compile(r"(.+?)(n't|N'T|'(?:[sSmMdD]|ll|LL|re|RE|ve|VE))")
_RULED = re.compile(
    r"\b(?:cannot|d'ye|gimme|gonna|gotta|lemme|more'n|wanna|[a-z]*n't)\b", re.IGNORECASE
)
_PLAIN_NOT = re.compile(r"n't|N'T")


def tokens(text: str) -> list[str]:
    """The tokens of `text`, in order, their case kept."""
    return [word for sentence in sentences(text) for word in words(sentence)]


def sentences(text: str) -> list[str]:
    """The sentences of `text`."""
    return [text] if _ONE.fullmatch(text) else _sentences().tokenize(text)


@lru_cache(maxsize=65536)
def lower_tokens(text: str) -> tuple[str, ...]:
    """The tokens of the lower-cased `text`; several metrics ask for the same ones."""
    return tuple(tokens(text.lower()))


def words(sentence: str) -> list[str]:
    """The tokens of one sentence."""
    if not _PLAIN.fullmatch(sentence) or _odd(sentence):
        return _words().tokenize(sentence)
    found: list[str] = []
    for piece in _PIECES.findall(sentence):
        split = _CLITIC.fullmatch(piece) if "'" in piece else None
        found += split.groups() if split else (piece,)
    return found


def _odd(sentence: str) -> bool:
    """Whether some word has a rule of its own (cannot → can not), or a clitic in mixed case."""
    return any(not _PLAIN_NOT.search(hit[0]) for hit in _RULED.finditer(sentence))


@cache
def _sentences() -> PunktSentenceTokenizer:
    from nltk.tokenize.punkt import PunktSentenceTokenizer

    return PunktSentenceTokenizer()


@cache
def _words() -> NLTKWordTokenizer:
    from nltk.tokenize import NLTKWordTokenizer

    return NLTKWordTokenizer()
