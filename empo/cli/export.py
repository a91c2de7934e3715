"""Write a finished run's adapter to a folder, or with --merged base and adapter as one model."""

from __future__ import annotations

import argparse
from pathlib import Path

from empo.cli.terminal import print_json
from empo.deploy import export


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="RUN")
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--merged", action="store_true", help="one plain model, no adapter")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    export(args.name, args.out, args.merged)
    if args.json:
        print_json({"run": args.name, "out": str(args.out), "merged": args.merged})
    else:
        print(f"Written to {args.out}.")
    return 0
