"""The pairs that a preference run learns from, and those of the validation split it watches."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from empo.errors import DataError
from empo.pairs import make_pairs
from empo.pairs.learning import learning_split
from empo.prompts import system_prompt, with_system
from empo.training.folder import runs_home
from empo.training.recipe import DpoRecipe, KtoRecipe, rooted
from empo.types import PreferencePair, Turn
from train.entry import as_messages, markers_of, sample, tokens, within

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_SIDES = ("chosen", "rejected")


def training_pairs(
    recipe: DpoRecipe | KtoRecipe,
) -> tuple[Sequence[PreferencePair], Sequence[PreferencePair]]:
    """Pairs to learn from (the recipe's file, or made of the training split) and to watch.

    Raises:
        DataError: the file or the splits cannot be read.
    """
    how, seed = recipe.strategy, recipe.seed
    watched = make_pairs(learning_split(recipe.data, "valid"), how, seed)
    if recipe.pairs:
        pairs: Sequence[PreferencePair] = read_pairs(_found(recipe.pairs))
    else:
        pairs = make_pairs(learning_split(recipe.data, "train"), how, seed, recipe.draws)
    return sample(pairs, recipe.limit, seed), sample(watched, recipe.valid, seed)


def preference_rows(
    pairs: Sequence[PreferencePair],
    recipe: DpoRecipe | KtoRecipe,
    tokenizer: PreTrainedTokenizerBase,
) -> list[dict[str, Any]]:
    """`pairs` as TRL's conversational rows with their `length` in characters, longest last.

    Rows above the recipe's `length_percentile` of tokens are left out.
    """
    system, markers = system_prompt(recipe.prompt, recipe.kind), markers_of(tokenizer)
    rows, texts = [], []
    for pair in pairs:
        replies = {s: as_messages([Turn("assistant", getattr(pair, s))], markers) for s in _SIDES}
        prompt = as_messages(with_system(pair.prompt, system), markers)
        text = " ".join(turn.text for turn in pair.prompt)
        size = sum(len(turn.text) for turn in pair.prompt) + len(pair.chosen) + len(pair.rejected)
        rows.append({"prompt": prompt, **replies, "length": size})
        texts.append(f"{text} {max(pair.chosen, pair.rejected, key=len)}")
    if recipe.length_percentile is not None:
        rows = within(rows, tokens(tokenizer, texts), recipe.length_percentile)
    return sorted(rows, key=lambda row: row["length"])


def _found(path: str) -> Path:
    return runs_home() / path if (runs_home() / path).is_file() else rooted(path)


def read_pairs(path: Path) -> tuple[PreferencePair, ...]:
    """Pairs from JSON lines: `prompt` (messages), `chosen` and `rejected` (text or messages).

    Raises:
        DataError: there is no such file, or a line is not a pair; names the line and the field.
    """
    try:
        text = path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"The pairs in {path} cannot be read: {error}.") from error
    pairs = tuple(_pair(n, line) for n, line in enumerate(text.splitlines(), 1) if line.strip())
    if not pairs:
        raise DataError(f"{path} holds no pair.")
    return pairs


def _pair(number: int, line: str) -> PreferencePair:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise DataError(f"Line {number} is not JSON: {error}.") from error
    if not isinstance(row, dict):
        raise DataError(f"Line {number} is not a JSON object.")
    prompt = row.get("prompt")
    if not isinstance(prompt, list) or not prompt:
        raise DataError(f"Line {number}: field prompt is not a list of messages.")
    turns = tuple(_turn(number, message) for message in prompt)
    if turns[-1].role != "user":
        raise DataError(f"Line {number}: field prompt does not end with the user's message.")
    chosen, rejected = (_reply(number, row, name) for name in ("chosen", "rejected"))
    if chosen == rejected:
        raise DataError(f"Line {number}: chosen and rejected are the same text.")
    facts = {name: str(row.get(name) or "") for name in ("emotion", "opposite", "origin")}
    ids = {name: str(row.get(name) or "") for name in ("dialogue_id", "rejected_id")}
    return PreferencePair(turns, chosen, rejected, **facts, **ids)


def _turn(number: int, message: Any) -> Turn:
    role = message.get("role") if isinstance(message, dict) else None
    if role not in ("system", "user", "assistant") or not _text(message.get("content")):
        raise DataError(f"Line {number}: a message of prompt has no role or no content.")
    return Turn(role, message["content"])


def _reply(number: int, row: dict[str, Any], name: str) -> str:
    value = row.get(name)
    if isinstance(value, list) and len(value) == 1 and isinstance(value[0], dict):
        value = value[0].get("content")
    if not _text(value):
        raise DataError(f"Line {number}: field {name} is missing or empty.")
    return str(value)


def _text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())
