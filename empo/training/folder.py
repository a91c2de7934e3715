"""A run's folder: which file is what, and how they are written so that none is ever half there.

spec.json      what was asked for              status.json    how far it is
metrics.jsonl  a line a logged step            samples.jsonl  replies on the way
log.txt        what the process printed        checkpoints/   to go on from
adapter/       the result (safetensors)        result.json    did it help?
README.md      the model card                  model.json     written last: the catalogue's entry
job.json       of a run on HF Jobs only: which job it is (`elsewhere.py`)
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from empo.errors import DataError, UsageError
from empo.settings import settings
from empo.training.recipe import NAME, RunSpec, parse_spec

# A run whose folder is being made, or thrown away: never listed.
_HIDDEN = "."
_ROOM = ".room"
_ROOM_BYTES = 65_536
_TRAIL = 400_000  # bytes at the end of log.txt that are looked at


class RunFolder:
    """The paths of one run."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = path.name

    def __truediv__(self, name: str) -> Path:
        return self.path / name

    @property
    def spec_file(self) -> Path:
        return self.path / "spec.json"

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    @property
    def adapter(self) -> Path:
        return self.path / "adapter"

    @property
    def stop_file(self) -> Path:
        return self.path / "STOP"

    def spec(self) -> RunSpec:
        """What was asked for.

        Raises:
            UsageError: there is no such run, or its spec.json is not a specification.
        """
        try:
            raw = json.loads(self.spec_file.read_text("utf-8"))
        except FileNotFoundError:
            raise UsageError(f"There is no run in {self.path}: it has no spec.json.") from None
        except (OSError, ValueError) as error:
            raise UsageError(f"{self.spec_file} cannot be read: {error}.") from error
        return parse_spec(raw, f"{self.name}/spec.json")

    def rows(self, name: str, since: int = 0) -> list[dict[str, Any]]:
        """The whole lines of `metrics.jsonl` or `samples.jsonl` after line number `since`.

        A last line that is cut off (the process was killed) is no line yet.
        """
        return list(whole_lines(self.path / name))[since:]

    def log_tail(self, lines: int = 40) -> str:
        """The last `lines` of what the process printed."""
        path = self.path / "log.txt"
        try:
            with path.open("rb") as file:
                file.seek(max(0, path.stat().st_size - _TRAIL))
                text = file.read().decode("utf-8", "replace")
        except FileNotFoundError:
            return ""
        return "\n".join(text.splitlines()[-lines:])

    def size(self) -> int:
        """Bytes of all its files."""
        return sum(p.stat().st_size for p in self.path.rglob("*") if p.is_file())


def runs_home() -> Path:
    """Where runs live: EMPO_HOME/runs."""
    return settings().home / "runs"


def reports_home() -> Path:
    """Where evaluations live, which stand in the same line: EMPO_HOME/reports."""
    return settings().home / "reports"


def run_folder(name: str) -> RunFolder:
    """The folder of the run called `name`.

    Raises:
        UsageError: no run has that name.
    """
    folder = RunFolder(runs_home() / name)
    if not re.fullmatch(NAME, name) or not folder.spec_file.is_file():
        known = ", ".join(run.name for run in run_folders()[:8]) or "there is none yet"
        raise UsageError(f"There is no run “{name[:60]}”; the runs are: {known}.")
    return folder


def run_folders(home: Path | None = None) -> list[RunFolder]:
    """All runs, by name."""
    home = home or runs_home()
    found = sorted(home.glob("*/spec.json")) if home.is_dir() else []
    return [RunFolder(path.parent) for path in found if not path.parent.name.startswith(_HIDDEN)]


def make_folder(
    spec: RunSpec, home: Path | None = None, beside: Mapping[str, dict[str, Any]] | None = None
) -> RunFolder:
    """A new folder for `spec`, whole at once; a name that is taken gets the next free number.

    `beside`: further JSON files, by name, that nobody may see the folder without.

    Raises:
        DataError: the folder cannot be written.
    """
    home = home or runs_home()
    try:
        home.mkdir(parents=True, exist_ok=True)
        for name in _names(spec.name):
            half = home / f"{_HIDDEN}{name}.{os.getpid()}"
            shutil.rmtree(half, ignore_errors=True)
            half.mkdir()
            final = spec.model_copy(update={"name": name, "out": None})
            write_json(half / "spec.json", final.model_dump(mode="json", exclude_none=True))
            for other, value in (beside or {}).items():
                write_json(half / other, value)
            try:
                half.rename(home / name)  # an empty folder only: never over another run
            except OSError:
                shutil.rmtree(half, ignore_errors=True)
                if not (home / name).exists():
                    raise
                continue
            return RunFolder(home / name)
    except OSError as error:
        raise DataError(f"The run's folder in {home} cannot be written: {error}.") from error
    raise AssertionError("there is always a free number")


def _names(name: str) -> Iterator[str]:
    yield name
    number = 2
    while True:
        yield f"{name[: 40 - len(str(number))]}-{number}"
        number += 1


def remove_folder(folder: RunFolder) -> None:
    """Throw the run away: out of sight at once, then deleted."""
    away = folder.path.with_name(f"{_HIDDEN}{folder.name}.deleted.{os.getpid()}")
    shutil.rmtree(away, ignore_errors=True)
    folder.path.rename(away)
    shutil.rmtree(away, ignore_errors=True)


def keep_room(folder: RunFolder) -> None:
    """Take the disk space that saying why a run ended will need: a disk that is full has none."""
    with (folder / _ROOM).open("wb") as file:
        file.write(os.urandom(_ROOM_BYTES))  # a file of zeros may take no space
        file.flush()
        os.fsync(file.fileno())


def give_room(folder: RunFolder) -> None:
    """Free what `keep_room` took."""
    (folder / _ROOM).unlink(missing_ok=True)


def write_json(path: Path, value: Any) -> None:
    """Write `value` to `path` at once: beside it, to the disk, renamed."""
    half = path.with_name(f".{path.name}.{os.getpid()}.part")
    with half.open("w", encoding="utf-8") as file:
        json.dump(value, file, ensure_ascii=False, allow_nan=False, indent=1)
        file.write("\n")
        file.flush()
        os.fsync(file.fileno())
    half.replace(path)


def read_json(path: Path) -> dict[str, Any] | None:
    """The object in `path`; None where there is none that can be read."""
    try:
        value = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return value if isinstance(value, dict) else None


def append_line(path: Path, row: dict[str, Any]) -> None:
    """Add one JSON line."""
    line = json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n"
    with path.open("a", encoding="utf-8") as file:
        file.write(line)


def whole_lines(path: Path) -> Iterator[dict[str, Any]]:
    """Every line of `path` that is a whole JSON object."""
    try:
        text = path.read_text("utf-8", "replace")
    except FileNotFoundError:
        return
    for line in text.splitlines():
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if isinstance(row, dict):
            yield row


def keep_until(path: Path, step: int) -> None:
    """Drop the lines after `step` (a resumed run writes them anew), and one that was cut off."""
    if not path.is_file():
        return
    kept = [row for row in whole_lines(path) if row.get("step", 0) <= step]
    half = path.with_name(f".{path.name}.part")
    half.write_text("".join(json.dumps(r, ensure_ascii=False) + "\n" for r in kept), "utf-8")
    half.replace(path)
