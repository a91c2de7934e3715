"""Show the stacks, their models, whether their files are here, and the memory they need."""

from __future__ import annotations

import argparse
import re
from typing import Any

from empo.cli.terminal import megabytes, print_json
from empo.models.catalogue import fitting, stacks_of_runs
from empo.models.footprint import footprint
from empo.models.inventory import choose_stack, items
from empo.models.stacks import Stack, load_stack, stack_names
from empo.types import Quantisation


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--stack", help="only this one: a name, run:NAME or a YAML file")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    if args.stack:
        stacks: tuple[Stack, ...] = (choose_stack(args.stack),)
    else:
        stacks = tuple(map(load_stack, stack_names()))
        stacks += stacks_of_runs(stacks)
    found = [describe(stack) for stack in stacks]
    if args.json:
        print_json({"stacks": found})
    else:
        print("\n\n".join(as_text(stack) for stack in found))
    return 0


# (name in the JSON, quantisation, on a GPU?, what it is called)
SETTINGS: tuple[tuple[str, Quantisation, bool, str], ...] = (
    ("cpu_none", "none", False, "without a GPU"),
    ("gpu_nf4", "nf4", True, "on a GPU in nf4"),
    ("gpu_int8", "int8", True, "in int8"),
    ("gpu_none", "none", True, "not quantised"),
)


def describe(stack: Stack) -> dict[str, Any]:
    """The stack as `--json` prints it."""
    parts = [
        {
            "role": item.role,
            "path": item.source.path,
            "revision": item.source.revision,
            "here": item.folder is not None,
        }
        for item in items(stack)
    ]
    return {
        "stack": stack.name,
        "title": stack.title,
        "about": stack.about,
        "prompt": stack.prompt,
        "here": all(part["here"] for part in parts),
        "files": parts,
        "memory_bytes": {name: _memory(stack, how, gpu) for name, how, gpu, _ in SETTINGS},
        "models": [
            {
                "model": spec.name,
                "label": spec.label,
                "plain": spec.plain,
                "stage": spec.stage,
                "adapters": dict(spec.adapters),
                "note": spec.note,
            }
            for spec in stack.models
        ],
        "runs": [
            {"model": found.spec.name, "stage": found.spec.stage, "plain": found.spec.plain}
            for found in fitting(stack)
        ],
    }


def _where(part: dict[str, Any]) -> str:
    if part["here"]:
        return "here"
    on_the_hub = re.fullmatch(r"[\w.-]+/[\w.-]+", part["path"])
    return "not on this machine: downloaded when it is used" if on_the_hub else "missing"


def _memory(stack: Stack, quantisation: Quantisation, gpu: bool) -> int | None:
    """Bytes of tensors; None where not all files are here."""
    found = footprint(stack, quantisation, gpu)
    return found.total if found else None


def as_text(stack: dict[str, Any]) -> str:
    """The same for a person."""
    lines = [f"{stack['stack']} – {stack['title']}", f"  {stack['about']}"]
    for model in stack["models"]:
        lines.append(f"  {model['model']:<6} {model['label']}, {model['plain']}")
    for found in stack["runs"]:
        lines.append(f"  {found['model']:<6} {found['plain']} ({found['stage']}, a finished run)")
    for part in stack["files"]:
        lines.append(f"  {part['role']}: {part['path']} ({_where(part)})")
    needs = stack["memory_bytes"]
    if stack["here"]:
        figures = (f"{megabytes(needs[name])} {said}" for name, _, _, said in SETTINGS)
        lines.append(f"  memory of the weights: {', '.join(figures)}")
    else:
        lines.append("  memory: worked out when the files are here")
    return "\n".join(line for line in lines if line.strip())
