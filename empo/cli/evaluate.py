"""Measure the models of a stack, or recorded replies, with baselines and intervals.

Models answer the dialogues of --data (a file, or a folder with the splits); --replies takes files
instead: this project's JSONL, or the paper's `~`-separated ones. --out gets replies.jsonl,
report.json, report.html and report.md; an interrupted run goes on with the same command.

Metrics: diff_epitome, level, kappa, distinct, self_bleu_4, vad, nidf, vader, words, repetition,
bertscore_f1, perplexity, pair_accuracy. With perplexity and pair_accuracy alone nothing is
generated. --tasks adds tasks of lm-evaluation-harness (pip install -r requirements-eval.txt), or
`probe`, a small one of our own; --gate X fails where a model is more than X below the first.
--run FOLDER does what FOLDER's spec.json asks for: so the page's evaluations are worked on.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from empo.cli.terminal import ProgressLine, print_json
from empo.errors import DataError, UsageError
from empo.evaluation.request import METRICS, Request, duration
from empo.prompts import PROMPT_NAMES
from empo.sampling import LIMITS
from empo.settings import settings
from empo.types import QUANTISATIONS


def add(parser: argparse.ArgumentParser) -> None:
    option = parser.add_argument
    option("--model", nargs="+", action="extend", default=[], metavar="NAME", help="default: all")
    option("--stack", default="nano", help="a stack's name, its YAML file, or auto")
    option("--data", type=Path, metavar="PATH", help="default: EMPO_DATA")
    option("--replies", nargs="+", action="extend", default=[], type=Path, metavar="FILE")
    option("--situations", type=Path, metavar="FILE", help="answer these instead, one a line")
    option("--split", default="test", help="train, valid or test (default)")
    option("--limit", type=int, metavar="N", help="only N dialogues, drawn by the seed")
    option("--metrics", metavar="A,B", help="default: all")
    option("--vad", type=Path, metavar="FILE", help="the NRC VAD lexicon (default: EMPO_VAD)")
    option("--intensity", type=Path, metavar="FILE", help="the NRC Emotion Intensity lexicon")
    option("--prompt", metavar="NAME", help=f"one of {', '.join(PROMPT_NAMES)}")
    option("--quantisation", choices=QUANTISATIONS, help="default: nf4 on a GPU, none without")
    option("--seed", type=int, default=0)
    option("--recompute", action="store_true", help="levels by the scorer, not those in the file")
    option("--no-texts", action="store_true", help="leave no text behind: replies.jsonl.gz")
    option("--tasks", metavar="A,B", help="general knowledge: probe, mmlu, arc_challenge, …")
    option("--task-path", type=Path, metavar="DIR", help="a folder with task files of your own")
    option("--gate", type=float, metavar="X", help="fail where a task falls by more than X (0..1)")
    option("--out", type=Path, metavar="DIR", help="default: a folder in EMPO_HOME/reports")
    option("--json", action="store_true", help="print one JSON object")
    option(
        "--run", dest="folder", metavar="FOLDER", help="alone: the evaluation that waits in FOLDER"
    )


def run(args: argparse.Namespace) -> int:
    if args.folder is not None:
        from empo.evaluation.process import execute

        return execute(args.folder)
    if args.seed not in LIMITS["seed"]:
        raise UsageError(f"--seed must be {LIMITS['seed']}, not {args.seed}.")
    if args.gate is not None and not (args.tasks and 0 <= args.gate <= 1):
        raise UsageError("--gate X goes with --tasks, X from 0 to 1.")
    # numpy and scikit-learn take a second to import: not for every command.
    from empo.evaluation.forgetting import dropped
    from empo.evaluation.line import alone
    from empo.evaluation.report import markdown
    from empo.evaluation.run import evaluate

    situations = _lines(args.situations) if args.situations else ()
    names = [path.name.split(".")[0] for path in args.replies] or [args.stack, *args.model]
    request = Request(
        out=args.out or settings().home / "reports" / "-".join(names)[:80],
        data=args.data or settings().data_dir,
        stack=args.stack,
        models=tuple(args.model),
        replies=tuple(args.replies),
        split=args.split,
        limit=args.limit,
        metrics=_names(args.metrics) or METRICS,
        vad=args.vad,
        intensity=args.intensity,
        seed=args.seed,
        situations=situations,
        prompt=args.prompt,
        quantisation=args.quantisation,
        recompute=args.recompute,
        texts=not args.no_texts,
        tasks=_names(args.tasks),
        task_path=args.task_path,
    ).checked()
    with alone(request.out):
        report = evaluate(request, Remaining())
    print(f"Written to {request.out}.", file=sys.stderr)
    if args.json:
        print_json(report)
    else:
        print(markdown(report))
    if args.gate is not None and (fallen := dropped(report, args.gate)):
        print(" ".join(fallen), file=sys.stderr)
        return 1
    return 0


def _lines(path: Path) -> tuple[str, ...]:
    try:
        text = path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read: {error}.") from error
    if not (lines := tuple(line for line in text.splitlines() if line.strip())):
        raise DataError(f"{path.name} holds no situation: write one a line.")
    return lines


def _names(text: str | None) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip()) if text else ()


class Remaining:
    """Shows what is being done, how far it is, and how long that part will still take."""

    def __init__(self) -> None:
        self.line = ProgressLine()
        self.what, self.began, self.start = "", 0.0, 0.0

    def __call__(self, text: str, share: float) -> None:
        now = time.monotonic()
        if text != self.what:
            self.what, self.began, self.start = text, now, share
        shown = f"{text} {share:.0%}"
        if self.start < share < 1:
            left = (now - self.began) * (1 - share) / (share - self.start)
            shown += f", {duration(left)} left"
        self.line.show(shown, last=share >= 1)
