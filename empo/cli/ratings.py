"""Rate models from a file of votes: a ranking that says how sure it is.

The file has one JSON object a line: battle, model_a, model_b, outcome (a, b, tie or both_bad),
voter, length_a, length_b, and optionally pool, item, emotion, scores_a and scores_b.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from empo.cli.terminal import print_json, table


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--votes", type=Path, required=True, metavar="FILE.jsonl")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--pool", metavar="NAME", help="rate the votes of this pool only")
    which.add_argument(
        "--all-pools", action="store_true", help="take all pools together, with a warning"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    # scipy takes half a second to import: not for every command.
    from empo.leaderboard import ratings_report, read_votes

    report = ratings_report(read_votes(args.votes), args.pool, args.all_pools)
    for warning in report["warnings"]:
        print(f"Warning: {warning}", file=sys.stderr)
    if args.json:
        print_json(report)
    else:
        print(as_text(report))
    return 0


def as_text(report: Mapping[str, Any]) -> str:
    """The report for a person."""
    parts = [report["sentence"]]
    if report["standings"]:
        parts += [_standings(report["standings"], "plain")]
        parts += [_standings(report["adjusted"], "adjusted for length and side")]
    parts += [
        f"Votes: {report['votes']}, of them “both bad” {report['both_bad']['votes']}; "
        f"voters: {report['voters']}."
    ]
    parts += _facts(report)
    return "\n\n".join(parts)


def _standings(rows: Sequence[Mapping[str, Any]], title: str) -> str:
    head = ("model", title, "95 % interval", "wins", "losses", "ties", "votes")
    body = [
        (
            *(row["model"], f"{row['rating']:.0f}", _interval(row["low"], row["high"])),
            *(row["wins"], row["losses"], row["ties"], row["votes"]),
        )
        for row in rows
    ]
    return table(head, body)


def _interval(low: float | None, high: float | None) -> str:
    if low is None and high is None:
        return "not known"
    return " – ".join("open" if end is None else f"{end:.0f}" for end in (low, high))


def _facts(report: Mapping[str, Any]) -> list[str]:
    """Single sentences, where there is something to say."""
    facts = []
    if flip := report["flip"]:
        facts.append(
            f"Further votes for {flip['challenger']} against {flip['leader']} that would end the "
            f"lead: {flip['votes']}."
            if flip["votes"]
            else f"First place is shared ({flip['leader']}, {flip['challenger']})."
        )
    if (left := report["position_bias"])["share"] is not None:
        facts.append(f"The left reply wins {_percent(left)} of the votes that have a winner.")
    for name, effect in report["effects"].items():
        what = {"side": "The left seat", "length": "Being twice as long"}[name]
        ends = _interval(effect["low"], effect["high"])
        facts.append(f"{what} is worth {effect['points']:.0f} points ({ends}).")
    if (alpha := report["voter_agreement"]["alpha"]) is not None:
        units = report["voter_agreement"]["units"]
        facts.append(f"Agreement between voters: alpha {alpha:.2f} over {units} shared battles.")
    facts += [_unusual(entry) for entry in report["unusual_voters"]]
    for name, agreed in report["score_agreement"].items():
        if agreed["share"] is not None:
            facts.append(f"The reply that scores higher on {name} wins {_percent(agreed)}.")
    return ["\n".join(facts)] if facts else []


def _unusual(entry: Mapping[str, Any]) -> str:
    """A sentence about a voter who stands out."""
    voter, count, total = entry["voter"], entry["count"], entry["total"]
    if entry["kind"] == "many":
        return f"Voter {voter} gave {count} of the {total} votes."
    choice = entry["model"] or f"the {entry['kind']} reply"
    side = "against" if entry["kind"] == "against" else "for"
    share = f"{100 * entry['expected']:.0f} %"
    return f"Voter {voter} votes {side} {choice} in {count} of {total} (the others: {share})."


def _percent(share: Mapping[str, Any]) -> str:
    ends = ""
    if share["low"] is not None:
        ends = f" ({100 * share['low']:.0f} – {100 * share['high']:.0f} %)"
    return f"{100 * share['share']:.0f} %{ends}"
