"""The NRC Emotion Intensity lexicon (Mohammad, LREC 2018), where a person has fetched it.

Tab or space separated: word, emotion, intensity 0..1, with or without a header line, plain or
gzipped. It may not be redistributed, so the project ships none.
"""

from __future__ import annotations

import gzip
from pathlib import Path

from empo.errors import DataError

NAMES = ("NRC-Emotion-Intensity-Lexicon-v1.txt", "nrc_intensity_lexicon.txt.gz", "intensity.txt")


def find_intensity(folder: Path) -> Path | None:
    """The lexicon in `folder`; None where it is not."""
    return next((path for name in NAMES if (path := folder / name).is_file()), None)


def read_intensity(path: Path) -> dict[str, float]:
    """Word → intensity; a word with several emotions has its last line's, as in the paper's code.

    Raises:
        DataError: a line is not a word, an emotion and a number in 0..1; names the line.
    """
    found: dict[str, float] = {}
    opened = gzip.open if path.suffix == ".gz" else open
    try:
        with opened(path, "rt", encoding="utf-8-sig") as lines:
            for number, line in enumerate(lines, 1):
                parts = line.split()
                if not parts or (number == 1 and not _number(parts[-1])):
                    continue
                if len(parts) != 3 or not _number(parts[2]):
                    raise DataError(
                        f"{path.name}, line {number}: not a word, an emotion and a number in 0..1."
                    )
                found[parts[0].lower()] = float(parts[2])
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise DataError(f"The lexicon {path} cannot be read: {error}.") from error
    if not found:
        raise DataError(f"The lexicon {path.name} holds no word.")
    return found


def _number(text: str) -> bool:
    try:
        return 0 <= float(text) <= 1
    except ValueError:
        return False
