"""Where the dialogues come from: EmpatheticDialogues, the starter set, a file of one's own.

Splits do not mix: of a training split what shares a conversation or a text with the validation or
the test split beside it is left out, of a validation split what it shares with the test split.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from empo.data.dialogues import SPLITS, find_split, read_dialogues
from empo.data.splits import apart
from empo.errors import DataError
from empo.settings import ASSETS, settings
from empo.types import Dialogue

STARTER = ASSETS / "starter_dialogues.jsonl"
_OTHERS = {"train": ("valid", "test"), "valid": ("test",), "test": ()}


@dataclass(frozen=True, slots=True)
class Source:
    """Dialogues to make pairs of, and `others` of another split, for what has to be fitted.

    `left_out`: how many were dropped because another split has them too.
    """

    name: str
    dialogues: tuple[Dialogue, ...]
    others: tuple[Dialogue, ...] = ()
    left_out: int = 0


def read_source(path: Path) -> Source:
    """The dialogues of the file `path`; a folder stands for the training split in it.

    Raises:
        DataError: it cannot be read, or holds no dialogue.
    """
    if path.is_dir():
        path = find_split(path, "train")
    split = _split_of(path)
    every = dialogues = read_dialogues(path).dialogues
    for other in _OTHERS.get(split or "", ()):
        dialogues = apart(dialogues, _split(path.parent, other))
    fit_on = "train" if split in ("valid", "test") else "valid"
    others = _split(path.parent if split else settings().data_dir, fit_on)
    return Source(
        path.name,
        dialogues,
        others if split else apart(others, dialogues),
        len(every) - len(dialogues),
    )


def _split_of(path: Path) -> str | None:
    """Which split of EmpatheticDialogues the file is, by its name and place."""
    for split in SPLITS:
        with suppress(DataError, OSError):
            if find_split(path.parent, split).samefile(path):
                return split
    return None


def _split(folder: Path, split: str) -> tuple[Dialogue, ...]:
    """The split in `folder`; nothing where it has not been fetched."""
    try:
        return read_dialogues(find_split(folder, split)).dialogues
    except DataError:
        return ()
