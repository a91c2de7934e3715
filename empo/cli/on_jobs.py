"""The options of a run on HF Jobs, and its price: shown first, then accepted."""

from __future__ import annotations

import argparse
import sys

from empo.cli.terminal import ask
from empo.errors import UsageError
from empo.jobs.offer import USUAL_LIMIT, Offer, offer
from empo.training.recipe import RunSpec

_OPTIONS = ("flavor", "timeout", "namespace", "accept")


def add(sub: argparse.ArgumentParser, start: bool) -> None:
    """Their names are those of `hf jobs run`."""
    if start:
        sub.add_argument("--on", choices=("here", "jobs"), default="here", help="where it is done")
    group = sub.add_argument_group("on HF Jobs")
    group.add_argument("--flavor", help="the machine (default: the cheapest on which it fits)")
    group.add_argument(
        *("--timeout", "--time-limit"),
        metavar="TIME",
        help=f"30m, 1h, 2d: its end at the latest (default: {USUAL_LIMIT})",
    )
    group.add_argument("--namespace", help="an organisation that pays (default: you)")
    group.add_argument("--accept", action="store_true", help="accept the price without a question")
    if not start:
        group.add_argument("--force", action="store_true", help=argparse.SUPPRESS)


def refuse(args: argparse.Namespace) -> None:
    """Raises UsageError where a run here is given what only a job can have."""
    for name in _OPTIONS:
        if getattr(args, name):
            raise UsageError(f"--{name} is for a run on HF Jobs: add --on jobs, or leave it out.")


def accepted(spec: RunSpec, args: argparse.Namespace) -> Offer | None:
    """The offer, once its price is accepted; None where the person says no.

    Raises: as `empo.jobs.offer.offer`, and UsageError where nobody can be asked.
    """
    found = offer(spec, args.flavor, args.timeout or USUAL_LIMIT, args.namespace, args.force)
    print(found.said, file=sys.stderr)
    if args.accept or ask("Do you accept that price?", "add --accept if you do"):
        return found
    print("Nothing was started.", file=sys.stderr)
    return None
