"""`python -m empo COMMAND …`: see `python -m empo --help` and `empo/cli/`."""

from __future__ import annotations

import sys

from empo.cli import main

if __name__ == "__main__":
    sys.exit(main())
