"""Fetch data that may not be shipped, from their owners, after you have seen the terms.

It goes to EMPO_DATA (default: data in EMPO_HOME). A download that broke off goes on where it
stopped.
"""

from __future__ import annotations

import argparse
import sys

from empo.cli.terminal import ProgressLine, ask, megabytes
from empo.hub.sources import SOURCES, Source, source
from empo.settings import settings


def add(parser: argparse.ArgumentParser) -> None:
    known = "; ".join(f"{name}: {s.title}" for name, s in SOURCES.items())
    parser.add_argument("name", metavar="NAME", help=f"what to fetch – {known}")
    parser.add_argument("--accept", action="store_true", help="accept the terms without a question")
    parser.add_argument(
        "--base-url", metavar="URL", help="fetch the files of these names from there instead"
    )


def run(args: argparse.Namespace) -> int:
    from empo.hub.fetch import fetch

    wanted = source(args.name)
    folder = settings().data_dir.expanduser().absolute()
    if not _accepted(wanted, args.accept):
        print("Nothing was fetched.", file=sys.stderr)
        return 1
    line = ProgressLine()

    def progress(name: str, done: int, total: int | None) -> None:
        of = f" of {megabytes(total)} ({done / total:.0%})" if total else ""
        line.show(f"{name}: {megabytes(done)}{of}", last=done == total)

    done = fetch(wanted, folder, args.base_url, progress)
    print("Already here:" if done.already else "Fetched:", file=sys.stderr)
    for path in done.paths:
        print(path)
    return 0


def _accepted(wanted: Source, accept: bool) -> bool:
    print(f"{wanted.title}\n{wanted.terms}", file=sys.stderr)
    for remote in wanted.files:
        print(f"From: {remote.url}", file=sys.stderr)
    return accept or ask("Do you accept these terms?", "add --accept if you do")
