"""Send a finished run's adapter to the Hub: safetensors, configuration and card, nothing else."""

from __future__ import annotations

import argparse

from empo.cli.terminal import print_json
from empo.deploy import push


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="RUN")
    parser.add_argument("--repo", required=True, metavar="OWNER/NAME")
    parser.add_argument("--public", action="store_true", help="default: private")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    address = push(args.name, args.repo, private=not args.public)
    if args.json:
        print_json({"run": args.name, "repo": args.repo, "commit": address})
    else:
        print(f"Sent to {address}.")
    return 0
