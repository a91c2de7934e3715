"""Every benchmark, one after the other, each in a process of its own: `make bench`.

A benchmark is a module of this folder that prints its figures: `python -m tests.bench.NAME`.
`make bench ARGS="NAME …"` runs only those.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parent


def benches() -> list[str]:
    """The names of all benchmarks."""
    return sorted(path.stem for path in FOLDER.glob("*.py") if not path.stem.startswith("_"))


def main(names: list[str]) -> int:
    if unknown := set(names) - set(benches()):
        print(f"There is no benchmark {min(unknown)}; choose {', '.join(benches())}.")
        return 2
    failed = []
    for name in names or benches():
        print(f"== {name}", flush=True)
        command = [sys.executable, "-m", f"tests.bench.{name}"]
        if subprocess.run(command, cwd=FOLDER.parent.parent, check=False).returncode:
            failed.append(name)
    if failed:
        print(f"Failed: {', '.join(failed)}.")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
