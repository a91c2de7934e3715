"""Compare systems from a file of human ratings, and say how far the raters agree.

The file is a CSV with the columns item, system and rater, then one for each dimension.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from empo.cli.terminal import print_json, table


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--ratings", type=Path, required=True, metavar="FILE.csv")
    parser.add_argument("--seed", type=int, default=0, help="of the resampling (default 0)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    # scipy takes half a second to import: not for every command.
    from empo.human_eval import agreement_report

    report = agreement_report(args.ratings, args.seed)
    if args.json:
        print_json(report)
    else:
        print(as_text(report))
    return 0


def as_text(report: Mapping[str, Any]) -> str:
    """The report for a person."""
    parts = []
    for name, entry in report["dimensions"].items():
        parts.append(f"{name}: Krippendorff's alpha {_number(entry['alpha'])}")
        rows = [
            (system, _number(s["mean"]), _number(s["sd"]), s["n"])
            for system, s in entry["systems"].items()
        ]
        parts.append(table(("system", "mean", "sd", "items"), rows))
        if entry["pairs"]:
            keys = ("d", "p", "p_holm", "low", "high")
            pairs = [
                (f"{pair['a']} - {pair['b']}", *(_number(pair[key]) for key in keys))
                for pair in entry["pairs"]
            ]
            parts.append(table(("difference", *keys), pairs))
    return "\n\n".join(parts)


def _number(value: float | None) -> str:
    return "not known" if value is None else f"{value:.3g}"
