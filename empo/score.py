"""Scores of replies given from outside: one pair, or a file of them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from empo.errors import DataError, UsageError
from empo.sampling import clean_message
from empo.scoring.as_json import scores_json
from empo.scoring.scorer import Scorer
from empo.types import Scores

# Enough for full batches, few enough to see lines come out while a long file is read.
CHUNK = 256
FIELDS = ("context", "reply")
_SURROGATES = re.compile(r"[\ud800-\udfff]")


def score_one(scorer: Scorer, context: str, reply: str) -> Scores:
    """The scores of `reply` to `context`; rationale offsets are characters of `reply` as given.

    Raises:
        UsageError: the context or the reply is empty.
        ScorerError: the scorer cannot run.
    """
    for name, text in zip(FIELDS, (context, reply), strict=True):
        if not clean_message(text):
            raise UsageError(f"The {name} is empty: there is nothing to score.")
    return scorer.score([(_sound(context), _sound(reply))])[0]


def score_file(scorer: Scorer, lines: Iterable[str]) -> Iterator[dict[str, Any]]:
    """Each JSON line of `lines` (fields `context` and `reply`, others kept) with `scores` added.

    Blank lines are left out; lines come out in order, in chunks scored together.

    Raises:
        DataError: a line is not such an object; names the line and the field.
        ScorerError: the scorer cannot run.
    """
    rows = (_row(number, line) for number, line in enumerate(lines, 1) if line.strip())
    while chunk := list(islice(rows, CHUNK)):
        pairs = [(_sound(row["context"]), _sound(row["reply"])) for row in chunk]
        for row, scores in zip(chunk, scorer.score(pairs), strict=True):
            yield {**row, "scores": scores_json(scores)}


def _row(number: int, line: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise DataError(f"Line {number} is not JSON: {error}.") from error
    if not isinstance(row, dict):
        raise DataError(f"Line {number} is not a JSON object with the fields context and reply.")
    for name in FIELDS:
        if not isinstance(row.get(name), str) or not clean_message(row[name]):
            raise DataError(f"Line {number}: field {name} is missing, empty or no text.")
    return row


def _sound(text: str) -> str:
    """`text` with lone surrogates replaced one for one, so that offsets stay true."""
    return _SURROGATES.sub("\ufffd", text)
