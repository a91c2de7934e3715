"""The models' replies: generated in batches, each written down at once, so that a run can go on.

`generated.jsonl` in the output folder begins with what the replies depend on (stack, weights,
prompt, sampling, dialogues); a run that depends on the same things goes on after its last whole
line. A reply depends on nothing else in its batch, so the replies are those of an unbroken run.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from empo.errors import DataError, UsageError
from empo.evaluation.request import Item, System, Work
from empo.models.engine import Engine, Row
from empo.prompts import system_prompt, with_system
from empo.types import ModelSpec, Sampling

ROWS_AT_ONCE = 24
FILE = "generated.jsonl"
Done = dict[tuple[str, str], str]


def fingerprint(items: Sequence[Item], facts: dict[str, Any]) -> dict[str, Any]:
    """What the replies depend on; `facts` are the run's own (stack, revisions, sampling …)."""
    text = "\x1e".join(part for item in items for part in (item.id, *(t.text for t in item.turns)))
    digest = hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:16]
    return {**facts, "dialogues": digest}


def generate(
    work: Work,
    engine: Engine,
    specs: Sequence[ModelSpec],
    prompt: str,
    sampling: Sampling,
    facts: dict[str, Any],
) -> list[System]:
    """What each of `specs` replies to each item; goes on where an earlier run was interrupted.

    Raises:
        UsageError: the folder holds replies that depend on other things.
        Stopped: somebody stopped it; the replies so far are kept.
    """
    path = work.request.out / FILE
    done = _earlier(path, fingerprint(work.items, facts))
    wanted = [
        (spec, item)
        for item in sorted(work.items, key=lambda item: sum(len(t.text) for t in item.turns))
        for spec in specs
    ]
    left = [key for key in wanted if (key[0].name, key[1].id) not in done]
    with path.open("a", encoding="utf-8") as file:
        for start in range(0, len(left), ROWS_AT_ONCE):
            work.pause()
            batch = left[start : start + ROWS_AT_ONCE]
            rows = [_row(spec, item, prompt, sampling) for spec, item in batch]
            for (spec, item), text in zip(batch, _texts(work, engine, rows), strict=True):
                done[spec.name, item.id] = text
                line = {"model": spec.name, "id": item.id, "reply": text}
                file.write(json.dumps(line, ensure_ascii=False) + "\n")
            file.flush()
            so_far = len(wanted) - len(left) + start + len(batch)
            work.tell("replies", so_far / len(wanted))
    return [System(spec.name, [done[spec.name, item.id] for item in work.items]) for spec in specs]


def _row(spec: ModelSpec, item: Item, prompt: str, sampling: Sampling) -> Row:
    messages = with_system(item.turns, system_prompt(prompt, spec.stage))
    return Row(spec.name, messages, spec.adapters, sampling)


def _texts(work: Work, engine: Engine, rows: Sequence[Row]) -> list[str]:
    texts = [""] * len(rows)
    for step in engine.stream(rows, work.stop):
        for row, reply in step.replies.items():
            texts[row] = reply.text
    # A batch that was cut short holds half replies, which must not be kept.
    work.pause()
    return texts


def _earlier(path: Path, facts: dict[str, Any]) -> Done:
    """The replies of an interrupted run with the same `facts`; starts the file where none is."""
    head = json.dumps(facts, ensure_ascii=False, sort_keys=True)
    whole, _, _ = path.read_bytes().rpartition(b"\n") if path.is_file() else (b"", b"", b"")
    if not whole:
        path.write_text(head + "\n", "utf-8")
        return {}
    lines = whole.decode("utf-8", "replace").split("\n")
    if lines[0] != head:
        raise UsageError(
            f"{path} holds replies made in another way ({_difference(lines[0], facts)}): choose "
            "another --out, or delete that file."
        )
    # What follows the last line end is the half line of an interruption.
    path.write_bytes(whole + b"\n")
    try:
        rows = [json.loads(line) for line in lines[1:] if line]
        return {(row["model"], row["id"]): row["reply"] for row in rows}
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path} is damaged: delete it, and the replies are made anew.") from error


def _difference(head: str, facts: dict[str, Any]) -> str:
    try:
        before = json.loads(head)
        keys = [key for key in facts if before.get(key) != facts[key]]
    except (ValueError, AttributeError):
        keys = []
    return f"{keys[0]} differs" if keys else "the file is damaged"
