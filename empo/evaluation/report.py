"""What an evaluation leaves in its folder, each file whole or not at all.

`report.json`: `{"systems": {NAME: METRICS}, "baselines": {NAME: METRICS}, "comparisons": [...],
"run": {...}}`; `replies.jsonl`: one line a reply with its scores; `report.md`: tables;
`report.html`: the same as pictures, in one file.
"""

from __future__ import annotations

import gzip
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from empo.data.replies import HUMAN, MECHANISM_KEYS
from empo.errors import EmpoError
from empo.evaluation.baselines import Baseline
from empo.evaluation.catalogue import GROUPS, Entry, measured
from empo.evaluation.generate import FILE as GENERATED
from empo.evaluation.measure import Columns
from empo.evaluation.page import page
from empo.evaluation.request import Item, Work

REPORT, REPLIES, TABLES, PAGE = "report.json", "replies.jsonl", "report.md", "report.html"
NOT_MEASURED = "not measured"
COLUMNS = 4


def write(
    work: Work,
    report: Mapping[str, Any],
    columns: Mapping[str, Columns],
    others: Sequence[Baseline],
) -> None:
    """Write all files of `report` to the request's folder.

    Raises:
        EmpoError: the folder cannot be written to.
    """
    folder = work.request.out
    lines = list(_lines(work, columns, others))
    written = "".join(f"{json.dumps(line, ensure_ascii=False)}\n" for line in lines)
    try:
        if work.request.texts:
            save(folder / REPLIES, written)
        else:
            # To be published: numbers alone, packed, and the models' replies do not stay behind.
            _pack(folder / f"{REPLIES}.gz", written)
            (folder / GENERATED).unlink(missing_ok=True)
        save(folder / TABLES, markdown(report) + "\n")
        save(folder / PAGE, page(report, lines))
        save(folder / REPORT, json.dumps(report, ensure_ascii=False, indent=2) + "\n")
    except OSError as error:
        raise EmpoError(f"{folder} cannot be written to: {error.strerror or error}.") from error


def save(path: Path, text: str) -> None:
    """Write beside, then rename: a reader never sees half a file."""
    half = path.with_name(f".{path.name}.part")
    half.write_text(text, "utf-8", errors="replace")
    half.replace(path)


def _pack(path: Path, text: str) -> None:
    half = path.with_name(f".{path.name}.part")
    half.write_bytes(gzip.compress(text.encode("utf-8", "replace"), mtime=0))
    half.replace(path)


def _lines(
    work: Work, columns: Mapping[str, Columns], others: Sequence[Baseline]
) -> Iterator[dict[str, Any]]:
    """Each reply of each system, then the human's, with what was measured of it."""
    texts = work.request.texts
    for system in work.systems:
        yield from _of(work.items, system.name, system.replies, columns[system.name], texts)
    for baseline in others:
        if baseline.name == HUMAN:
            yield from _of(work.items, HUMAN, baseline.replies, baseline.compared(), texts)


def _of(
    items: Sequence[Item],
    name: str,
    replies: Sequence[str | None],
    columns: Columns,
    texts: bool,
) -> Iterator[dict[str, Any]]:
    for i, item in enumerate(items):
        scores = {key: plain(column[i]) for key, column in columns.items()}
        if replies[i] is None and not any(value is not None for value in scores.values()):
            continue
        line: dict[str, Any] = {"system": name, "id": item.id, "emotion": item.emotion}
        if texts:
            line |= {
                "context": [turn.text for turn in item.turns],
                "human": item.human,
                "reply": replies[i],
            }
        levels = [scores.get(f"level.{key}") for key in MECHANISM_KEYS]
        line["levels"] = _levels(levels)
        line["human_levels"] = _levels(item.human_levels)
        yield {**line, "scores": scores}


def _levels(values: Sequence[float | None] | None) -> dict[str, int] | None:
    if values is None or any(value is None for value in values):
        return None
    return {key: int(value or 0) for key, value in zip(MECHANISM_KEYS, values, strict=True)}


def plain(value: float | np.floating) -> float | None:
    """A number as JSON holds it, to six digits; nan is null."""
    return None if math.isnan(value) else round(float(value), 6)


def markdown(report: Mapping[str, Any]) -> str:
    """The report as Markdown: a table for each group of metrics, then the findings."""
    run = report["run"]
    lines = [_head(run), ""]
    entries = measured(report)
    for group in (*GROUPS, "General knowledge"):
        own = [entry for entry in entries if entry.group == group]
        for chunk in _chunks(own):
            lines += [*_table(report, chunk), ""]
    lines += _findings(report)
    return "\n".join(lines).rstrip()


def _chunks(entries: Sequence[Entry]) -> list[list[Entry]]:
    """Runs of at most four columns; metrics of one family stay together."""
    found: list[list[Entry]] = []
    for entry in entries:
        family = [other for other in entries if other.family == entry.family]
        begins = entry is family[0] and (not found or len(found[-1]) + len(family) > COLUMNS)
        if begins or len(found[-1]) == COLUMNS:
            found.append([])
        found[-1].append(entry)
    return found


def _head(run: Mapping[str, Any]) -> str:
    counts = run["counts"]
    data = run["data"] if isinstance(run["data"], str) else ", ".join(run["data"])
    held = "" if run.get("quantisation") in (None, "none") else f" in {run['quantisation']}"
    stack = f"stack {run['stack']}{held}, prompt {run['prompt']}, " if run["stack"] else ""
    return (
        f"{stack}{counts['dialogues']} dialogues of {data}, seed {run['seeds']['sample']}, levels: "
        f"{run['levels']}; 95 % intervals." + (f" {run['left_out']}" if run.get("left_out") else "")
    )


def _table(report: Mapping[str, Any], entries: Sequence[Entry]) -> list[str]:
    rows = [
        f"| {name} | {' | '.join(cell(entry, metrics) for entry in entries)} |"
        for kind in ("systems", "baselines")
        for name, metrics in report[kind].items()
        if kind == "systems" or any(_value(entry, metrics) is not None for entry in entries)
    ]
    head = f"| {entries[0].group} | {' | '.join(entry.title for entry in entries)} |"
    return [head, "|---" * (len(entries) + 1) + "|", *rows]


def _signed(value: float) -> str:
    return f"{value:+.3f}".replace("-", "−")


def _value(entry: Entry, metrics: Mapping[str, Any]) -> float | None:
    return (entry.of(metrics) or {}).get("value")


def cell(entry: Entry, metrics: Mapping[str, Any]) -> str:
    """value (low–high), or *not measured*."""
    number = entry.of(metrics)
    if not number or number["value"] is None:
        return NOT_MEASURED
    if number["low"] is None:
        return entry.written(number["value"])
    low, high = entry.written(number["low"]), entry.written(number["high"])
    return f"{entry.written(number['value'])} ({low} to {high})"


def _findings(report: Mapping[str, Any]) -> list[str]:
    """diff-EPITOME in words: where a baseline that understands nothing does better."""
    rows = [
        row
        for row in report["comparisons"]
        if row["metric"] == "diff_epitome.mean" and row["p_holm"] < 0.05
    ]
    return [
        f"- diff-EPITOME of {row['a']} is {'higher' if row['difference']['value'] > 0 else 'lower'}"
        f" (lower is better) than that of {row['b']} by {abs(row['difference']['value']):.3f}"
        f" ({_signed(row['difference']['low'])} to {_signed(row['difference']['high'])},"
        f" p {row['p_holm']:.2g} after Holm)."
        for row in rows
    ]
