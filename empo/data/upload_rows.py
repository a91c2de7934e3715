"""One row of an uploaded preference file: what it may hold, and what it means.

Two forms, as in TRL's dataset formats. *Explicit*: `prompt`, `chosen`, `rejected`; a prompt is a
text (one message of the user) or a list of messages, a reply a text or a list of one assistant
message. *Implicit*: no `prompt`; `chosen` and `rejected` are whole dialogues, lists of messages or
texts with "Human:" and "Assistant:" turns, that differ in their last reply only. `emotion` and
`opposite` may stand beside. Nothing is guessed at: what is not of these forms is a `RowError`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from empo.data.emotions import EMOTIONS
from empo.sampling import MAX_CHARACTERS, clean_message

ROLES = ("system", "user", "assistant")
MAX_TURNS = 40
_MARK = re.compile(r"(?:\A|\n\n)(Human|Assistant): ?")
_HALF = re.compile(r"[\ud800-\udfff]")


class RowError(Exception):
    """Why a file is refused: the row, from 1 (None: the file as a whole), the field, the reason."""

    def __init__(self, reason: str, field: str | None = None, row: int | None = None) -> None:
        super().__init__(reason)
        self.reason, self.field, self.row = reason, field, row

    def sentence(self, name: str) -> str:
        """One sentence about the file called `name`."""
        where = [name]
        if self.row is not None:
            where.append(f"row {self.row:,}")
        if self.field is not None:
            where.append(f"field {self.field}")
        return f"{', '.join(where)}: {self.reason}."


class Message(NamedTuple):
    role: str
    content: str


@dataclass(frozen=True, slots=True)
class UploadedPair:
    """A row that is good, as it will be used."""

    prompt: tuple[Message, ...]
    chosen: str
    rejected: str
    emotion: str | None
    opposite: str | None


def read_row(row: Mapping[str, Any]) -> UploadedPair:
    """The pair that `row` holds; texts cleaned as every message is.

    Raises:
        RowError: it holds none; names the field.
    """
    for name in ("chosen", "rejected"):
        if row.get(name) is None:
            raise RowError("it is missing", name)
    if row.get("prompt") is None:
        prompt, chosen, rejected = _implicit(row)
    else:
        prompt = _prompt(row["prompt"])
        chosen, rejected = _reply(row["chosen"], "chosen"), _reply(row["rejected"], "rejected")
    if prompt[-1].role != "user":
        raise RowError("it must end with a message of the user, whom the replies answer", "prompt")
    if " ".join(chosen.split()) == " ".join(rejected.split()):
        raise RowError("it is the same text as chosen", "rejected")
    return UploadedPair(
        prompt, chosen, rejected, _emotion(row, "emotion"), _emotion(row, "opposite")
    )


def _text(value: Any, field: str) -> str:
    if not isinstance(value, str):
        raise RowError(f"it must be a text, not {_kind(value)}", field)
    if "\x00" in value:
        raise RowError("it holds a NUL character", field)
    if _HALF.search(value):
        raise RowError("it holds half a character (a lone surrogate)", field)
    if len(value) > MAX_CHARACTERS:
        raise RowError(
            f"it has {len(value):,} characters, at most {MAX_CHARACTERS:,} are taken", field
        )
    if not (text := clean_message(value)):
        raise RowError("it is empty", field)
    return text


def _kind(value: Any) -> str:
    kinds = {dict: "an object", list: "a list", bool: "true or false", type(None): "nothing"}
    return kinds.get(type(value), "a number" if isinstance(value, int | float) else "other data")


def _messages(value: Any, field: str) -> tuple[Message, ...]:
    if not isinstance(value, list):
        raise RowError(f"it must be a text or a list of messages, not {_kind(value)}", field)
    if not 1 <= len(value) <= MAX_TURNS:
        raise RowError(f"it has {len(value):,} messages, 1 to {MAX_TURNS} are taken", field)
    found = []
    for number, item in enumerate(value, 1):
        if not isinstance(item, dict) or item.get("role") not in ROLES:
            raise RowError(f"message {number} has no role among {', '.join(ROLES)}", field)
        found.append(Message(item["role"], _text(item.get("content"), field)))
    return tuple(found)


def _prompt(value: Any) -> tuple[Message, ...]:
    if isinstance(value, str):
        return (Message("user", _text(value, "prompt")),)
    return _messages(value, "prompt")


def _reply(value: Any, field: str) -> str:
    if isinstance(value, str):
        return _text(value, field)
    messages = _messages(value, field)
    if len(messages) != 1 or messages[0].role != "assistant":
        raise RowError("beside a prompt it must be one message of the assistant", field)
    return messages[0].content


def _implicit(row: Mapping[str, Any]) -> tuple[tuple[Message, ...], str, str]:
    """Prompt and replies of two dialogues that differ in their last reply only."""
    chosen, rejected = _dialogue(row["chosen"], "chosen"), _dialogue(row["rejected"], "rejected")
    if len(chosen) < 2:
        raise RowError("it is missing, and chosen holds no dialogue to take it from", "prompt")
    if chosen[:-1] != rejected[:-1]:
        raise RowError("it must be the dialogue of chosen with another last reply", "rejected")
    for messages, field in ((chosen, "chosen"), (rejected, "rejected")):
        if messages[-1].role != "assistant":
            raise RowError("it must end with a message of the assistant", field)
    return chosen[:-1], chosen[-1].content, rejected[-1].content


def _dialogue(value: Any, field: str) -> tuple[Message, ...]:
    if not isinstance(value, str):
        return _messages(value, field)
    if len(value) > MAX_TURNS * MAX_CHARACTERS:
        raise RowError(f"it has {len(value):,} characters, which is too much", field)
    before, *parts = _MARK.split(value)
    if before.strip() or not parts:
        raise RowError(
            "it is missing, and chosen and rejected are no dialogues to take it from", "prompt"
        )
    who = {"Human": "user", "Assistant": "assistant"}
    turns = [
        {"role": who[name], "content": text}
        for name, text in zip(parts[::2], parts[1::2], strict=True)
    ]
    return _messages(turns, field)


def _emotion(row: Mapping[str, Any], field: str) -> str | None:
    value = row.get(field)
    if value is None or value == "":
        return None
    name = _text(value, field).lower()
    if name not in EMOTIONS:
        raise RowError("it is not one of the 32 emotions of EmpatheticDialogues", field)
    return name
