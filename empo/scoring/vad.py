"""The NRC VAD lexicon (Mohammad, ACL 2018), where a person has accepted its terms and fetched it.

Tab separated: word, valence, arousal, dominance, each in 0..1, with or without a header line,
plain or gzipped. It may not be redistributed, so the project ships none.
"""

from __future__ import annotations

import gzip
import re
from pathlib import Path

from empo.errors import DataError
from empo.types import Vad

WORD = re.compile(r"[a-z]+(?:['’-][a-z]+)*")
Entry = tuple[float, float, float]


class Lexicon:
    """Words and their valence, arousal and dominance."""

    def __init__(self, entries: dict[str, Entry]) -> None:
        self._entries = entries

    def __len__(self) -> int:
        return len(self._entries)

    def find(self, word: str) -> Entry | None:
        """Valence, arousal and dominance of a lower-case word; None where it is unknown."""
        return self._entries.get(word)

    def score(self, text: str) -> Vad | None:
        """Means over the known words of `text` (repetitions count); None where there are none."""
        words = WORD.findall(text.lower())
        known = [entry for word in words if (entry := self._entries.get(word))]
        if not known:
            return None
        valence, arousal, dominance = (sum(part) / len(known) for part in zip(*known, strict=True))
        return Vad(valence, arousal, dominance, 1 - len(known) / len(words))


def read_lexicon(path: Path) -> Lexicon:
    """The lexicon at `path`.

    Raises:
        DataError: it is missing, or a line is not a word and three numbers in 0..1; names the line.
    """
    opened = gzip.open if path.suffix == ".gz" else open
    entries: dict[str, Entry] = {}
    try:
        with opened(path, "rt", encoding="utf-8-sig") as lines:
            for number, line in enumerate(lines, 1):
                if not line.strip() or (number == 1 and "valence" in line.lower()):
                    continue
                word, values = _entry(path.name, number, line)
                entries[word] = values
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise DataError(f"The NRC VAD lexicon {path} cannot be read: {error}.") from error
    if not entries:
        raise DataError(f"The NRC VAD lexicon {path.name} holds no word.")
    return Lexicon(entries)


def _entry(name: str, number: int, line: str) -> tuple[str, Entry]:
    word, *rest = line.rstrip("\r\n").split("\t")
    try:
        valence, arousal, dominance = map(float, rest)
    except ValueError:
        raise DataError(
            f"{name}, line {number}: not a word and three numbers, separated by tabs."
        ) from None
    if not all(0 <= value <= 1 for value in (valence, arousal, dominance)):
        raise DataError(f"{name}, line {number}: a value is outside 0..1 (use version 1 of it).")
    return word.strip().lower(), (valence, arousal, dominance)
