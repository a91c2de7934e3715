"""`python -m empo COMMAND …`: see `python -m empo --help` and `empo/cli/`."""

from __future__ import annotations

import sys


def run() -> int:
    """The exit code; 130 also where the interruption comes while the commands are imported."""
    try:
        from empo.cli import main

        return main()
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(run())
