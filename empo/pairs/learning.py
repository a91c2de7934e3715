"""The dialogues that a training run learns from, and those that it is watched and measured on.

`ed` is EmpatheticDialogues with its own splits; `starter` the project's own small set, of which
every third dialogue (one of each feeling) is kept for watching.
"""

from __future__ import annotations

from typing import Literal

from empo.data.dialogues import load_split, read_dialogues
from empo.pairs.sources import STARTER
from empo.settings import settings
from empo.types import Dialogue

Data = Literal["ed", "starter"]
Part = Literal["train", "valid"]
KEPT = 3  # of the starter set one dialogue in so many is not learnt from


def learning_split(data: Data, part: Part) -> tuple[Dialogue, ...]:
    """The dialogues of `part` of `data`; the two parts share none.

    Raises:
        DataError: they are not on this machine, or cannot be read.
    """
    if data == "ed":
        return load_split(settings().data_dir, part)
    dialogues = read_dialogues(STARTER).dialogues
    return tuple(
        dialogue
        for at, dialogue in enumerate(dialogues)
        if (at % KEPT == KEPT - 1) == (part == "valid")
    )
