"""Training runs: start, list, show, follow, stop, resume, delete, draw.

    runs start SPEC.json | --recipe NAME [--name N] [--set key=value …]
    runs start … --on jobs [--flavor l4x1] [--timeout 1h] [--namespace ORG] [--accept]
    runs list | show NAME | follow NAME | stop NAME [--now] | resume NAME | delete NAME
    runs draw NAME --out FILE.svg

A run goes on when this command ends. `follow` shows it until it ends; interrupting `follow` does
not interrupt the run. Every one of them takes --json. With --on jobs it is done on HF Jobs; what
that costs at most is shown first, and nothing starts before it is accepted.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from empo import runs
from empo.cli import on_jobs
from empo.cli.terminal import ProgressLine, ask, megabytes, print_json, table
from empo.errors import UsageError
from empo.training.recipe import load_spec
from empo.training.status import ACTIVE, RunStatus

PAUSE = 1.0


def add(parser: argparse.ArgumentParser) -> None:
    does = parser.add_subparsers(dest="does", metavar="WHAT", required=True)
    for name, help_ in (
        ("start", "start a run, or put it in line"),
        ("list", "all runs"),
        ("show", "one run"),
        ("follow", "show a run until it ends"),
        ("stop", "end a run after its current step, with a checkpoint"),
        ("resume", "go on from the last whole checkpoint"),
        ("delete", "throw a run away"),
        ("draw", "the curves of a run as an SVG picture"),
    ):
        sub = does.add_parser(name, help=help_)
        sub.add_argument("--json", action="store_true", help="print JSON")
        if name == "start":
            _start_options(sub)
        elif name != "list":
            sub.add_argument("name", metavar="NAME")
        if name in ("start", "resume"):
            on_jobs.add(sub, start=name == "start")
        if name == "stop":
            sub.add_argument("--now", action="store_true", help="end its processes in seconds")
        if name == "draw":
            sub.add_argument("--out", type=Path, required=True, metavar="FILE.svg")
        if name == "delete":
            sub.add_argument("--yes", action="store_true", help="without asking")


def _start_options(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("spec", nargs="?", metavar="SPEC.json", help="a specification (JSON or YAML)")
    sub.add_argument("--recipe", metavar="NAME", help="a recipe of the project, or a YAML file")
    sub.add_argument("--name", help="of the run (default: the recipe's)")
    sub.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    sub.add_argument(
        "--force", action="store_true", help="also where memory is predicted too small"
    )
    sub.add_argument("--follow", action="store_true", help="show it until it ends")


def run(args: argparse.Namespace) -> int:
    does: dict[str, Callable[[argparse.Namespace], int]] = {
        "start": _start,
        "list": _list,
        "show": _show,
        "follow": lambda args: _follow(args.name, args.json),
        "stop": lambda args: _said(runs.stop(args.name, args.now), args.json),
        "resume": _resume,
        "delete": _delete,
        "draw": _draw,
    }
    return does[args.does](args)


def _start(args: argparse.Namespace) -> int:
    if (args.spec is None) == (args.recipe is None):
        raise UsageError("Give either a specification's file or --recipe NAME.")
    if args.spec and not args.spec.endswith((".json", ".yaml", ".yml")):
        raise UsageError(f"{args.spec} is no .json or .yaml file; for a recipe write --recipe.")
    changes = [*args.set, *([f"name={args.name}"] if args.name else [])]
    spec = load_spec(args.recipe or args.spec, changes)
    if args.on == "jobs":
        offer = on_jobs.accepted(spec, args)
        if offer is None:
            return 1
        found = runs.start_job(spec, offer, offer.cost)
    else:
        on_jobs.refuse(args)
        found = runs.start(spec, args.force)
    if args.follow:
        return _follow(found.name, args.json)
    return _said(found.status, args.json)


def _resume(args: argparse.Namespace) -> int:
    if not runs.on_hub(args.name):
        on_jobs.refuse(args)
        return _said(runs.resume(args.name), args.json)
    offer = on_jobs.accepted(runs.run(args.name).spec, args)
    if offer is None:
        return 1
    return _said(runs.resume_job(args.name, offer, offer.cost), args.json)


def _said(status: RunStatus, as_json: bool) -> int:
    if as_json:
        print_json(status.as_json())
    else:
        print(line(status))
    return 0


def _list(args: argparse.Namespace) -> int:
    found = runs.runs(follow=False)
    if args.json:
        print_json([status.as_json() for status in found])
    elif not found:
        print("There is no run yet: python -m empo runs start --recipe nano-dpo.")
    else:
        head = ("run", "kind", "state", "steps", "time", "left")
        print(table(head, [_row(status) for status in found]))
    return 0


def _row(status: RunStatus) -> tuple[str, ...]:
    left = "" if status.seconds_left is None else clock(status.seconds_left)
    state = f"{status.state} ({status.problem})" if status.problem else status.state
    steps = f"{status.step}/{status.steps}" if status.steps else ""
    return status.name, status.kind, state, steps, clock(status.seconds), left


def _show(args: argparse.Namespace) -> int:
    runs.runs(follow=False)
    found = runs.run(args.name)
    last, job = runs.metrics(args.name)[-1:], found.job
    if args.json:
        print_json(
            {
                **found.status.as_json(),
                "spec": found.spec.model_dump(mode="json", exclude_none=True),
                "result": found.result,
                "trouble": list(found.trouble),
                "last": last[0] if last else None,
                "job": {"id": job.id, "url": job.url, "repo": job.repo} if job else None,
            }
        )
        return 0
    print(line(found.status))
    if job:
        print(f"  job {job.url or 'not started'}, its files in {job.repo}")
    for row in last:
        print("  " + ", ".join(f"{k} {_short(v)}" for k, v in row.items() if k != "step"))
    for name, value in found.status.memory.items():
        print(f"  memory {name}: {'not measured' if value is None else megabytes(value)}")
    if found.result:
        print(f"  {found.result['sentence']}")
        print(_table(found.result)) if found.result.get("table") else None
    for sentence in found.trouble:
        print(f"  ! {sentence}")
    return 0


def _table(result: Mapping[str, Any]) -> str:
    head = ("", "before", "after", "difference", "95 % interval", "human")
    rows = []
    for row in result["table"]:
        ends = "" if row["low"] is None else f"{_short(row['low'])} – {_short(row['high'])}"
        cells = (_short(row[key]) for key in ("before", "after", "difference"))
        rows.append((row["what"], *cells, ends, _short(row["human"])))
    return table(head, rows)


def _short(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _follow(name: str, as_json: bool) -> int:
    """Until the run ends: a progress line, or with --json its metrics as JSON lines."""
    progress, since = ProgressLine(), 0
    while True:
        runs.runs()
        found = runs.run(name)
        rows = runs.metrics(name, since)
        since += len(rows)
        if as_json:
            for row in rows:
                print(json.dumps(row), flush=True)
        over = found.status.state not in (*ACTIVE, "queued")
        progress.show(line(found.status), last=over)
        if over:
            break
        time.sleep(PAUSE)
    if not as_json and found.result:
        print(found.result["sentence"])
    return 0 if found.status.state in ("finished", "stopped") else 1


def _delete(args: argparse.Namespace) -> int:
    runs.run(args.name)
    if not args.yes and not ask(f"Delete the run {args.name} with its adapter?", "add --yes"):
        print("Nothing was deleted.", file=sys.stderr)
        return 1
    if left := runs.delete(args.name):
        print(left, file=sys.stderr)
    if args.json:
        print_json({"deleted": args.name})
    else:
        print(f"Deleted {args.name}.")
    return 0


def _draw(args: argparse.Namespace) -> int:
    from empo.training.figure import figure

    status = runs.run(args.name).status
    title = f"{args.name}: {status.kind}, {status.state}, {status.step} of {status.steps} steps"
    try:
        args.out.write_text(figure(title, runs.metrics(args.name)), "utf-8")
    except OSError as error:
        raise UsageError(f"{args.out} cannot be written: {error}.") from error
    if args.json:
        print_json({"name": args.name, "out": str(args.out)})
    else:
        print(f"Drew {args.out}.")
    return 0


def line(status: RunStatus) -> str:
    """A run in one line."""
    parts = [f"{status.name}: {status.state}"]
    if status.where:
        parts[0] += f" on {status.where}"
    if status.problem:
        parts[0] += f" ({status.problem})"
    if status.steps:
        parts.append(f"step {status.step} of {status.steps}")
    if status.phase and status.phase != "training":
        parts.append(status.phase)
    if status.seconds:
        parts.append(clock(status.seconds))
    if status.seconds_left is not None and status.phase == "training":
        parts.append(f"{clock(status.seconds_left)} left")
    said = " ".join(text for text in (status.sentence, status.action) if text)
    return ", ".join(parts) + (f". {said}" if said else "")


def clock(seconds: float) -> str:
    """Seconds for a person: 42 s, 3 min 5 s, 2 h 10 min."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
