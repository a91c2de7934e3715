"""EPITOME's splits from its owners' three files, as `python -m empo fetch epitome` brings them.

Each file has one mechanism: `sp_id, rp_id, seeker_post, response_post, level, rationales`, about
3,084 replies. The authors publish no split; this is the one that the EmPO authors used
(2,418/303/302 pairs, 61 replies left out). `epitome_split.txt` names its rows, in their order, by
the first six hexadecimal digits of the SHA-256 of `rp_id`.
"""

from __future__ import annotations

import csv
import hashlib
import sys
from pathlib import Path

from empo.errors import DataError

SPLIT = Path(__file__).with_name("epitome_split.txt")
DIGITS = 6
FILES = {
    "ER": "emotional-reactions-reddit.csv",
    "EX": "explorations-reddit.csv",
    "IP": "interpretations-reddit.csv",
}


def owners_rows(folder: Path, split: str) -> list[dict[str, str]] | None:
    """The rows of `split` (train, val, test) with the columns of the split files.

    None where the owners' files are not in `folder`/epitome.

    Raises:
        DataError: they lack a reply of the split, or a column; names it.
    """
    paths = {short: folder / "epitome" / name for short, name in FILES.items()}
    if not all(path.is_file() for path in paths.values()):
        return None
    files = {short: _by_fingerprint(path) for short, path in paths.items()}
    found = []
    for print_ in fingerprints(split):
        try:
            own = {short: rows[print_] for short, rows in files.items()}
            row = {name: own["ER"][name] for name in ("seeker_post", "response_post")}
            for short, part in own.items():
                row |= {f"{short}_{name}": part[name] for name in ("level", "rationales")}
        except KeyError as error:
            raise DataError(
                f"{folder / 'epitome'} has no {error} of EPITOME's {split} split: fetch it again."
            ) from error
        found.append(row)
    return found


def fingerprint(reply: str) -> str:
    """What stands for the reply with the identifier `reply`."""
    return hashlib.sha256(reply.encode()).hexdigest()[:DIGITS]


def fingerprints(split: str) -> list[str]:
    """Those of `split`'s replies, in order."""
    parts = dict(part.strip().split(":") for part in SPLIT.read_text("ascii").split(";"))
    return parts[split].split()


def _by_fingerprint(path: Path) -> dict[str, dict[str, str]]:
    csv.field_size_limit(sys.maxsize)
    with path.open(encoding="utf-8", newline="") as lines:
        try:
            return {fingerprint(row["rp_id"]): row for row in csv.DictReader(lines)}
        except KeyError as error:
            raise DataError(f"{path} has no column {error}: fetch it again.") from error
