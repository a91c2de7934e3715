"""Votes of the arena: to a file, from a file, counted, or their words erased.

export writes what may be published: voters by keyed hash, no words that point to danger, none that
were erased, none of recorded replies. import adds the rows of such files; rows that are here
already stay as they are. The name's ending says which kind: .jsonl, .jsonl.gz, .csv or .parquet.
erase takes the words of battles away everywhere, also where their voters repeated them; the votes
remain.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from empo.cli.terminal import print_json, table
from empo.settings import settings

_COUNTED = ("battles", "votes", "counted", "danger", "erased", "withdrawn", "voters", "signed_in")


def add(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    export = actions.add_parser("export", help="write all votes, or a pool's, to a file")
    export.add_argument("file", type=Path, metavar="FILE")
    export.add_argument("--pool", metavar="NAME", help="the votes of this pool only")
    into = actions.add_parser("import", help="add the votes of files, all of them or none")
    into.add_argument("files", type=Path, nargs="+", metavar="FILE")
    erase = actions.add_parser("erase", help="erase the words of battles; the votes remain")
    erase.add_argument("battles", nargs="+", metavar="BATTLE", help="as an export names it")
    stats = actions.add_parser("stats", help="pools, battles, votes, voters")
    stats.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    # SQLAlchemy takes half a second to import: not for every command.
    from empo.arena.store import Store

    store = Store(settings().votes_url)
    try:
        actions = {"export": _export, "import": _import, "erase": _erase, "stats": _stats}
        actions[args.action](store, args)
    finally:
        store.close()
    return 0


def _export(store: Any, args: argparse.Namespace) -> None:
    from empo.arena.files import write_votes
    from empo.arena.pools import find_pool

    pool = find_pool(store.pools(), args.pool) if args.pool else None
    count = write_votes(args.file, store.rows(pool))
    print(f"{count:,} votes written to {args.file}.", file=sys.stderr)


def _import(store: Any, args: argparse.Namespace) -> None:
    from empo.arena.files import read_rows

    for path in args.files:
        added = store.add_rows(read_rows(path), path.name)
        left = f", {added.closed:,} withdrawn here and left out" if added.closed else ""
        print(
            f"{path.name}: {added.new:,} votes added, {added.known:,} were here already{left}.",
            file=sys.stderr,
        )


def _erase(store: Any, args: argparse.Namespace) -> None:
    """Whoever may open the store is its owner."""
    for battle in args.battles:
        count = store.erase(battle, None)
        print(f"{battle}: the words of {count:,} battles were erased.", file=sys.stderr)


def _stats(store: Any, args: argparse.Namespace) -> None:
    report = store.stats()
    if args.json:
        print_json({"pools": report})
    else:
        print(as_text(report))


def as_text(report: Sequence[Mapping[str, Any]]) -> str:
    """The report for a person."""
    if not report:
        return "Nobody has voted yet."
    head = ("pool", *(name.replace("_", " ") for name in _COUNTED))
    return table(head, [(row["pool"], *(row[name] for name in _COUNTED)) for row in report])
