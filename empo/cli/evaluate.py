"""Measure the models of a stack on recorded dialogues, with baselines and intervals."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from empo.cli.terminal import ProgressLine, print_json
from empo.errors import UsageError
from empo.sampling import LIMITS
from empo.settings import settings


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--stack", default="nano", help="a stack's name or its YAML file")
    parser.add_argument("--models", metavar="A,B", help="which models (default: all)")
    parser.add_argument(
        "--data",
        type=Path,
        metavar="PATH",
        help="a file of dialogues, or a folder with the splits (default: EMPO_DATA)",
    )
    parser.add_argument("--limit", type=int, metavar="N", help="only N, drawn by the seed")
    parser.add_argument(
        "--replies", type=int, default=500, metavar="N", help="how many of them are answered (500)"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the JSON there too")


def run(args: argparse.Namespace) -> int:
    for name in ("limit", "replies"):
        if (value := getattr(args, name)) is not None and value < 1:
            raise UsageError(f"--{name} must be at least 1, not {value}.")
    if args.seed not in LIMITS["seed"]:
        raise UsageError(f"--seed must be {LIMITS['seed']}, not {args.seed}.")
    if args.out and not args.out.absolute().parent.is_dir():
        raise UsageError(f"There is no folder {args.out.absolute().parent} to write the report to.")
    from empo.evaluation import evaluate, markdown

    line = ProgressLine()
    report = evaluate(
        args.stack,
        args.models.split(",") if args.models else None,
        args.data or settings().data_dir,
        limit=args.limit,
        seed=args.seed,
        replies=args.replies,
        progress=lambda text, share: line.show(f"{text} {share:.0%}", last=share >= 1),
    )
    if args.out:
        args.out.write_text(json.dumps(report, ensure_ascii=False, indent=2) + "\n", "utf-8")
        print(f"Written to {args.out}.", file=sys.stderr)
    if args.json:
        print_json(report)
    else:
        print(markdown(report))
    return 0
