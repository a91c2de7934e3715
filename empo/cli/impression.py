"""What the models first answer to the project's own situations: is its mood the right one?

Every situation is answered --draws times by each model of the stack, at the usual sampling. The
share of replies whose valence (VADER) has the sign of the situation's emotion is printed with a
95 % interval by situation, beside what replies get that are dealt to any situation.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from empo.cli.terminal import ProgressLine, print_json
from empo.types import QUANTISATIONS, Sampling


def add(parser: argparse.ArgumentParser) -> None:
    option = parser.add_argument
    option("--stack", default="nano", help="a stack's name, or its YAML file")
    option("--quantisation", choices=QUANTISATIONS)
    option("--draws", type=int, default=2, metavar="N", help="replies to each situation")
    option("--limit", type=int, metavar="N", help="only the first N situations")
    option("--seed", type=int, default=0, help="seed of the first draw")
    option("--samples", type=int, default=0, metavar="N", help="show N situations' first replies")
    option("--out", type=Path, metavar="FILE.jsonl", help="write every reply")
    option("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    from empo.data.situations import situations
    from empo.impression import as_row, first_replies, right_signs, samples
    from empo.models.inventory import choose_stack
    from empo.models.loading import load_engine

    told = situations()[: args.limit]
    engine = load_engine(choose_stack(args.stack), args.quantisation)
    line = ProgressLine()
    try:
        replies = first_replies(
            engine,
            told,
            Sampling(seed=args.seed),
            args.draws,
            lambda done: line.show(f"{done} of {len(told)} situations answered"),
        )
    finally:
        engine.close()
    if args.out:
        lines = (json.dumps(as_row(reply), ensure_ascii=False) for reply in replies)
        args.out.write_text("\n".join(lines) + "\n", "utf-8")
    found = right_signs(replies)
    if args.json:
        print_json(found)
    else:
        print(as_text(found))
    if args.samples:
        print("\n" + samples(replies, args.samples))
    return 0


def as_text(found: dict[str, dict[str, Any]]) -> str:
    """The figures as a Markdown table, in per cent."""
    lines = [
        "| | right sign | by chance | pleasant | unpleasant | not measured | replies |",
        "|---|---|---|---|---|---|---|",
    ]
    for model, row in found.items():
        shares = [
            "" if row[key] is None else f"{100 * row[key]:.1f} %"
            for key in ("chance", "pleasant", "unpleasant", "unmeasured")
        ]
        right = f"{100 * row['right']:.1f} % ({100 * row['low']:.1f}–{100 * row['high']:.1f})"
        lines.append(f"| {model} | {right} | {' | '.join(shares)} | {row['replies']} |")
    return "\n".join(lines)
