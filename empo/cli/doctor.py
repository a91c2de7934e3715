"""Say what this machine can run, what is missing, and the remedy.

Exit code 1 if something that is needed is missing; what is only optional does not count.
"""

from __future__ import annotations

import argparse
from dataclasses import asdict

from empo.cli.terminal import print_json, table

SIGNS = {"ok": "ok", "note": "–", "problem": "!!"}


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    from empo.doctor import examine, healthy

    findings = examine()
    fine = healthy(findings)
    if args.json:
        print_json({"healthy": fine, "findings": [asdict(finding) for finding in findings]})
        return 0 if fine else 1
    print(table(("", "", ""), [(SIGNS[f.status], f.name, f.found) for f in findings]).lstrip())
    for status, title in (("problem", "To be mended:"), ("note", "Optional:")):
        remedies = [f for f in findings if f.status == status and f.remedy]
        if remedies:
            print(f"\n{title}")
            print("\n".join(f"  {f.name}: {f.remedy}" for f in remedies))
    print("\nThis machine can run the small models." if fine else "")
    return 0 if fine else 1
