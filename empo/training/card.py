"""The model card of a finished run, from its folder."""

from __future__ import annotations

import json
from typing import Any

from empo.training.folder import RunFolder
from empo.training.recipe import Recipe
from empo.training.signs import signs

_HEAD = """---
library_name: peft
pipeline_tag: text-generation
base_model: {base}
tags:
- empo
- dialogue
- lora
- {kind}
---
"""
_METHODS = {
    "sft": "supervised fine-tuning on the listener's turns of EmpatheticDialogues",
    "dpo": "direct preference optimisation on emotion-grounded pairs",
    "kto": "KTO on replies that are wished for or not",
}


def card(folder: RunFolder, spec: Recipe, result: dict[str, Any]) -> str:
    """The card as Markdown; figures that were not measured are said not to be."""
    rows = folder.rows("metrics.jsonl")
    last = next((row for row in reversed(rows) if "loss" in row), {})
    parts = [
        _HEAD.format(base=spec.base, kind=spec.kind),
        f"# {folder.name}\n",
        f"A LoRA adapter over `{spec.base}`, made by {_METHODS[spec.kind]}"
        + (f", going on from `{spec.start}`." if spec.start else "."),
        f"\nIt took {last.get('step', 0)} steps and {last.get('seconds', 0) / 60:.1f} minutes of "
        f"training; seed {spec.seed}; the last loss was {_number(last.get('loss'))}.",
        "\n## Did it help?\n",
        result["sentence"],
    ]
    if table := result.get("table"):
        parts += ["", *_table(table)]
    if found := signs(rows, folder.rows("samples.jsonl"), spec.kind):
        parts += ["\n## Signs of trouble\n", *(f"- {sign}" for sign in found)]
    text = json.dumps(spec.model_dump(mode="json", exclude_none=True), indent=1)
    parts += ["\n## What was asked for\n", f"```json\n{text}\n```\n"]
    return "\n".join(parts)


def _table(rows: list[dict[str, Any]]) -> list[str]:
    lines = ["| | before | after | difference (95 % interval) | human |", "|---|---|---|---|---|"]
    for row in rows:
        low, high = row.get("low"), row.get("high")
        ends = f" ({_number(low)} – {_number(high)})" if low is not None else ""
        cells = (_number(row.get(key)) for key in ("before", "after", "difference"))
        before, after, difference = cells
        human = _number(row["human"]) if row.get("human") is not None else ""
        lines.append(f"| {row['what']} | {before} | {after} | {difference}{ends} | {human} |")
    return lines


def _number(value: Any) -> str:
    return f"{value:.3f}" if isinstance(value, int | float) else "not measured"
