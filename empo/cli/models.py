"""Show the stacks, their models, whether their files are here, and the memory they need."""

from __future__ import annotations

import argparse
from typing import Any

from empo.cli.terminal import print_json
from empo.models.inventory import items
from empo.models.stacks import Stack, load_stack, stack_names


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--stack", help="only this one: a name or a YAML file")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    names = (args.stack,) if args.stack else stack_names()
    found = [describe(load_stack(name)) for name in names]
    if args.json:
        print_json({"stacks": found})
    else:
        print("\n\n".join(as_text(stack) for stack in found))
    return 0


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
    }


def as_text(stack: dict[str, Any]) -> str:
    """The same for a person."""
    lines = [f"{stack['stack']} – {stack['title']}", f"  {stack['about']}"]
    for model in stack["models"]:
        lines.append(f"  {model['model']:<6} {model['label']}, {model['plain']}")
    for part in stack["files"]:
        where = "here" if part["here"] else "not on this machine: downloaded when it is used"
        lines.append(f"  {part['role']}: {part['path']} ({where})")
    return "\n".join(line for line in lines if line.strip())
