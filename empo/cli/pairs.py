"""Make preference pairs of dialogues, or check ready ones, and report what they teach.

--data takes a file of dialogues, a folder with EmpatheticDialogues (its training split), or the
word starter for the project's own set; --upload a file of ready pairs (.jsonl, .csv, .parquet).
--strategy all compares the five presets: a Markdown table, or JSON, and nothing is written but the
reports. A report is measured on --sample pairs drawn by --seed.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from empo.cli.terminal import ProgressLine, print_json
from empo.data.dialogues import find_split, load_split
from empo.data.opposites import MAPS
from empo.data.pair_files import FORMATS, write_pairs
from empo.data.strategies import DEFAULT_MIX, MIX, PRESETS, SAMPLERS, read_mix, strategy
from empo.data.uploads import UPLOAD, read_upload
from empo.errors import DataError, UsageError
from empo.pairs.make import PAPER, make_pairs
from empo.pairs.sources import STARTER, Source, read_source
from empo.sampling import LIMITS
from empo.settings import settings
from empo.types import PreferencePair

ALL = "all"
REPORTS = (".html", ".json")


def add(parser: argparse.ArgumentParser) -> None:
    option = parser.add_argument
    option("--data", metavar="PATH", help="dialogues (default: EMPO_DATA's training split)")
    option("--upload", type=Path, metavar="FILE", help="ready pairs, instead of dialogues")
    option("--strategy", choices=(*PRESETS, ALL), default=PAPER, help="default: paper")
    option("--map", choices=tuple(MAPS), help="another map of opposites than the strategy's")
    option("--sampler", choices=SAMPLERS, help="another sampler than the strategy's")
    option("--mix", metavar="A=X,B=Y", help="the shares of a mix, as paper=0.5,hard=0.5")
    option("--seed", type=int, default=0)
    option("--draws", type=int, default=1, metavar="K", help="rejected replies a dialogue (1)")
    option("--limit", type=int, metavar="N", help="so many of the pairs, drawn by --seed")
    option("--out", type=Path, metavar="FILE", help="write the pairs there")
    option("--format", choices=FORMATS, default="jsonl", help="of --out (jsonl)")
    option(
        "--report",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="write a report there, .html or .json; may be given twice",
    )
    option("--sample", type=int, default=500, metavar="N", help="pairs that a report reads (500)")
    option("--json", action="store_true", help="print one JSON object")


@dataclass(frozen=True, slots=True)
class Made:
    """A set of pairs, and what is said about it."""

    pairs: tuple[PreferencePair, ...]
    about: dict[str, Any]


def run(args: argparse.Namespace) -> int:
    _check(args)
    start = time.monotonic()
    if args.upload:
        pairs = _some(args, read_upload(args.upload))
        made, source = [Made(pairs, {"source": args.upload.name, "strategy": UPLOAD})], None
    else:
        source = read_source(_place(args.data))
        names = PRESETS if args.strategy == ALL else (args.strategy,)
        made = [_make(args, source, name) for name in names]
    found: dict[str, Any] = dict(made[0].about) | {"pairs": len(made[0].pairs)}
    if args.out:
        rows = write_pairs(args.out, made[0].pairs, args.format)
        found |= {"out": str(args.out), "format": args.format, "rows": rows}
    found["seconds"] = round(time.monotonic() - start, 2)
    reports = _reports(args, made, source) if args.report or args.strategy == ALL else []
    _tell(args, found, reports)
    return 0


def _check(args: argparse.Namespace) -> None:
    """Everything that can be wrong with the request, before anything is read."""
    if args.seed not in LIMITS["seed"]:
        raise UsageError(f"--seed must be {LIMITS['seed']}, not {args.seed}.")
    if args.sample < 1:
        raise UsageError(f"--sample must be at least 1, not {args.sample}.")
    if args.limit is not None and args.limit < 1:
        raise UsageError(f"--limit must be at least 1, not {args.limit}.")
    if args.upload and (args.data or args.map or args.sampler or args.mix):
        raise UsageError("--upload takes ready pairs: leave out --data, --map, --sampler, --mix.")
    if args.mix and args.strategy not in (MIX, ALL):
        raise UsageError("--mix gives the shares of --strategy mix.")
    if args.strategy == ALL and (args.out or args.upload or args.map or args.sampler):
        raise UsageError(
            "--strategy all only reports: leave out --out, --upload, --map, --sampler."
        )
    if not (args.out or args.report or args.strategy == ALL):
        raise UsageError("Say where the pairs go, with --out FILE, or ask for a --report FILE.")
    for path in (args.out, *args.report):
        if path and not path.absolute().parent.is_dir():
            raise UsageError(f"There is no folder {path.absolute().parent} to write to.")
    for path in args.report:
        if path.suffix not in REPORTS:
            raise UsageError(f"A report is a file that ends in .html or .json, not {path.name}.")


def _place(data: str | None) -> Path:
    if data == "starter":
        return STARTER
    return Path(data) if data else find_split(settings().data_dir, "train")


def _make(args: argparse.Namespace, source: Source, name: str) -> Made:
    shares = (read_mix(args.mix) if args.mix else DEFAULT_MIX) if name == MIX else None
    pairs = make_pairs(
        source.dialogues, name, args.seed, args.draws, shares, args.map, args.sampler
    )
    pairs = _some(args, pairs)
    own = None if name == MIX else strategy(name)
    about = {
        "source": source.name,
        "dialogues": len(source.dialogues),
        "left_out": source.left_out,
        "strategy": name,
        "map": args.map or (own.map if own else None),
        "sampler": args.sampler or (own.sampler if own else None),
        "mix": shares,
        "draws": args.draws,
        "seed": args.seed,
    }
    return Made(pairs, about)


def _some(
    args: argparse.Namespace, pairs: tuple[PreferencePair, ...]
) -> tuple[PreferencePair, ...]:
    """`--limit` of `pairs` in their order, drawn by `--seed`: they are sorted by emotion."""
    if args.limit is None or args.limit >= len(pairs):
        return pairs
    kept = random.Random(args.seed).sample(range(len(pairs)), args.limit)
    return tuple(pairs[n] for n in sorted(kept))


def _reports(args: argparse.Namespace, made: list[Made], source: Source | None) -> list[Any]:
    """The report on each set, written where `--report` says."""
    from empo.pairs.page import html_page
    from empo.pairs.report import Baselines, report
    from empo.scoring.scorer import load_scorer

    line = ProgressLine()
    if source:
        others = source.others
    else:
        try:
            others = load_split(settings().data_dir, "valid")
        except DataError:
            others = ()
    line.show("fitting the baselines", last=True)
    baselines, scorer = Baselines(others), load_scorer()
    found = [
        report(
            one.pairs,
            baselines,
            scorer,
            one.about,
            args.seed,
            args.sample,
            lambda text, share, one=one: line.show(
                f"{one.about['strategy']}: {text} {share:.0%}", last=share >= 1
            ),
        )
        for one in made
    ]
    for path in args.report:
        text = html_page(found)
        if path.suffix == ".json":
            whole = found if args.strategy == ALL else found[0]
            text = json.dumps(whole, ensure_ascii=False, allow_nan=False, indent=1) + "\n"
        part = path.with_name(f".{path.name}.part")
        part.write_text(text, "utf-8")
        part.replace(path)
        print(f"Written to {path}.", file=sys.stderr)
    return found


def _tell(args: argparse.Namespace, found: dict[str, Any], reports: list[Any]) -> None:
    from empo.pairs.page import markdown, summary

    if args.json:
        if args.strategy == ALL:
            print_json({"reports": reports})
        else:
            print_json(found | ({"report": reports[0]} if reports else {}))
    elif reports:
        print(markdown(reports))
        if args.strategy != ALL:
            print(f"\n{summary(reports[0])}")
    else:
        print(
            f"{found['pairs']:,} pairs of {found['source']} by {found['strategy']}: "
            f"{found['rows']:,} rows in {args.out} ({args.format}, {found['seconds']:.1f} s)."
        )
