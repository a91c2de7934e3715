"""The command line: one module a command, each with `add` (its options) and `run` (its work).

Results go to standard output, everything else to standard error. Exit codes: 0; 1 failure; 2 wrong
use; 130 interrupted. Errors are caught here, once, and are one sentence each.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from empo import __version__
from empo.cli import (
    agreement,
    compare,
    deck,
    doctor,
    evaluate,
    export,
    fetch,
    impression,
    models,
    pairs,
    push,
    ratings,
    runs,
    score,
    serve,
    votes,
)
from empo.errors import EmpoError

COMMANDS = (
    compare,
    serve,
    models,
    doctor,
    fetch,
    score,
    pairs,
    evaluate,
    ratings,
    votes,
    agreement,
    deck,
    impression,
    runs,
    export,
    push,
)
INTERRUPTED = 130


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one sentence, without the usage lines."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{message[:1].upper()}{message[1:]}; see {self.prog} --help.\n")


def parser() -> argparse.ArgumentParser:
    """The whole command line."""
    top = _Parser(prog="python -m empo", description="EmPO Space on the command line.")
    top.add_argument("--version", action="version", version=f"EmPO Space {__version__}")
    top.add_argument("--debug", action="store_true", help="show the traceback of an error")
    commands = top.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for module in COMMANDS:
        name = module.__name__.rsplit(".", 1)[1]
        sub = commands.add_parser(
            name,
            help=(module.__doc__ or "").split("\n", 1)[0].rstrip("."),
            description=module.__doc__,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            add_help=module is not serve,
        )
        module.add(sub)
        sub.set_defaults(run=module.run)
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; never raises but for `--help` and wrong options."""
    top = parser()
    args, rest = top.parse_known_args(argv)
    if args.command == "serve":
        args.rest = rest
    elif rest:
        top.error(f"unrecognized arguments: {' '.join(rest)}")
    try:
        code = args.run(args)
        sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # The reader has left (… | head): nothing more to say, not even at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except EmpoError as error:
        return _tell(error, str(error), error.exit_code, args.debug)
    except Exception as error:
        said = " ".join(str(error).split()) or "no message"
        text = f"This should not have happened: {type(error).__name__}: {said[:300]}"
        return _tell(error, f"{text} (python -m empo --debug … tells more).", 1, args.debug)


def _tell(error: Exception, text: str, code: int, debug: bool) -> int:
    if debug:
        raise error
    print(text.encode("utf-8", "replace").decode("utf-8"), file=sys.stderr)
    return code
