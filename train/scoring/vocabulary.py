"""A WordPiece vocabulary cut down to what empathetic dialogue needs.

Most of BERT's 30,522 pieces never occur in dialogue, and each costs a row of the embedding table.
Kept are the special tokens, every single character of the Latin script and ASCII (so that any
word can still be spelled), the pieces most frequent in the training texts, and, with what room is
left, BERT's own most common ones. A word whose piece was cut is split into shorter ones.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tokenizers import Tokenizer

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")
LAST_LATIN = 0x17F
# Typographic marks that people's keyboards make.
MARKS = "‘’“”–—…€£°•"
FREQUENT_ENOUGH = 3


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """`tokenizer` gives the new ids; `kept[i]` is the old id of the piece with new id i."""

    tokenizer: Tokenizer
    kept: tuple[int, ...]


def trim(tokenizer_json: Path, texts: Iterable[str], size: int) -> Vocabulary:
    """The tokenizer of `tokenizer_json` with at most `size` pieces, chosen by `texts`."""
    full = Tokenizer.from_file(str(tokenizer_json))
    full.no_truncation()
    full.no_padding()
    old = full.get_vocab()
    counts: Counter[int] = Counter()
    for encoding in full.encode_batch(list(texts), add_special_tokens=False):
        counts.update(encoding.ids)
    kept = [old[piece] for piece in SPECIAL]
    kept += sorted(i for piece, i in old.items() if _letter(piece) and i not in kept)
    chosen = set(kept)
    seen = [i for i, n in counts.most_common() if n >= FREQUENT_ENOUGH and i not in chosen]
    common = [i for i in sorted(old.values()) if i not in chosen and not counts[i]]
    names = {i: piece for piece, i in old.items()}
    common = [i for i in common if not names[i].startswith("[") and names[i].isascii()]
    kept = [*kept, *seen, *common][:size]
    return Vocabulary(_renumbered(full, [names[i] for i in kept]), tuple(kept))


def _letter(piece: str) -> bool:
    """One character (or `##` and one) that English text may hold."""
    letter = piece.removeprefix("##") or piece
    return len(letter) == 1 and (ord(letter) <= LAST_LATIN or letter in MARKS)


def _renumbered(full: Tokenizer, pieces: list[str]) -> Tokenizer:
    raw = json.loads(full.to_str())
    ids = {piece: i for i, piece in enumerate(pieces)}
    raw["model"]["vocab"] = ids
    raw["added_tokens"] = [
        {**token, "id": ids[token["content"]]}
        for token in raw["added_tokens"]
        if token["content"] in ids
    ]
    for name, special in raw["post_processor"]["special_tokens"].items():
        special["ids"] = [ids[name]]
    return Tokenizer.from_str(json.dumps(raw))
