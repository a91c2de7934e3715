"""What is to be measured: dialogues of a split, situations, or the replies of files."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from empo.data.dialogues import Dialogues, find_split, read_dialogues
from empo.data.preferences import last_exchange
from empo.data.replies import Answered, read_answers
from empo.errors import DataError, UsageError
from empo.evaluation.request import Item, Request, System
from empo.sampling import check_message
from empo.types import Dialogue, Turn

OWN = "situations"  # what a report calls them


def dialogues_of(request: Request) -> tuple[Dialogues, list[Dialogue]]:
    """What the file holds, and those of its dialogues that are evaluated.

    Raises:
        DataError: there is no such file, nothing in it, or a dialogue twice.
    """
    found = read_dialogues(data_file(request))
    twice = [name for name, n in Counter(d.id for d in found.dialogues).items() if n > 1]
    if twice:
        raise DataError(f"{found.path.name}: the conv_id {twice[0][:60]} stands twice.")
    return found, sample(found.dialogues, request.limit, request.seed)


def data_file(request: Request) -> Path:
    """The file of dialogues that the request means."""
    return request.data if request.data.is_file() else find_split(request.data, request.split)


def sample(dialogues: Sequence[Dialogue], count: int | None, seed: int) -> list[Dialogue]:
    """`count` of `dialogues` (all, where there are no more), in their order."""
    if count is None or count >= len(dialogues):
        return list(dialogues)
    places = sorted(random.Random(seed).sample(range(len(dialogues)), count))
    return [dialogues[place] for place in places]


def items_of(dialogues: Sequence[Dialogue]) -> list[Item]:
    """Each dialogue up to its last listener turn, which is the human's reply."""
    found = []
    for dialogue in dialogues:
        turns, human = last_exchange(dialogue)
        found.append(Item(dialogue.id, turns, human, dialogue.emotion))
    return found


def situations_of(request: Request) -> list[Item]:
    """The request's own situations; nobody has answered them.

    Raises:
        UsageError: one is empty or too long.
    """
    return [
        Item(f"situation-{n}", (Turn("user", check_message(text)),))
        for n, text in enumerate(request.situations, 1)
    ]


def recorded_of(request: Request) -> tuple[list[Item], list[System]]:
    """The dialogues of all files, and what each file's system replied to them.

    Raises:
        DataError: a file is damaged, or two have a system of the same name.
    """
    answers: dict[str, tuple[Answered, ...]] = {}
    for path in request.replies:
        for name, rows in read_answers(path).items():
            if name in answers:
                raise DataError(f"{path.name}: there is a system called {name} already.")
            answers[name] = rows
    items: dict[str, Item] = {}
    for rows in answers.values():
        for row in rows:
            found = items.setdefault(
                row.id, Item(row.id, row.turns, row.human, row.emotion, row.human_levels)
            )
            found.human_levels = found.human_levels or row.human_levels
    chosen = _limited(list(items.values()), request)
    place = {item.id: i for i, item in enumerate(chosen)}
    return chosen, [_system(name, rows, place) for name, rows in answers.items()]


def _limited(items: list[Item], request: Request) -> list[Item]:
    if request.limit is None or request.limit >= len(items):
        return items
    places = random.Random(request.seed).sample(range(len(items)), request.limit)
    return [items[place] for place in sorted(places)]


def _system(name: str, rows: Sequence[Answered], place: dict[str, int]) -> System:
    system = System(name, [None] * len(place), [None] * len(place))
    for row in rows:
        if (at := place.get(row.id)) is not None:
            system.replies[at], system.levels[at] = row.reply, row.levels
    if all(reply is None for reply in system.replies):
        raise UsageError(f"{name} answers none of the dialogues that were drawn: raise --limit.")
    return system
