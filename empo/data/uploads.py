"""Preference pairs from an untrusted file, read in a child process under limits.

The parent sees only rows that the child found good, in a plain form; whatever the file does to its
reader (memory, time, a crash of a library) ends with the child.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import orjson

from empo.data.upload_readers import Limits
from empo.errors import Busy, DataError
from empo.settings import ROOT
from empo.types import PreferencePair, Turn

UPLOAD = "upload"
SUFFIXES = (".jsonl", ".csv", ".parquet")
_AT_ONCE = threading.BoundedSemaphore(2)
# Controls, and what turns the direction of the text around it.
_UNSEEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def shown_name(name: str) -> str:
    """A file's name as it may stand in a sentence: no folders, no controls, not long."""
    plain = _UNSEEN.sub("", re.split(r"[/\\]", name)[-1]).strip() or "the file"
    return plain if len(plain) <= 60 else f"{plain[:40]}…{plain[-12:]}"


def read_upload(
    path: Path, name: str | None = None, limits: Limits | None = None
) -> tuple[PreferencePair, ...]:
    """The pairs in the file at `path`, called `name` by whoever sent it; ids are row numbers.

    Raises:
        DataError: it is refused; one sentence with row and field.
        Busy: too many files are being read now.
    """
    limits = limits or Limits()
    said = name or path.name
    suffix = next((s for s in SUFFIXES if said.lower().endswith(s)), None)
    if suffix is None:
        raise DataError(f"{shown_name(said)}: send a file of the kind {', '.join(SUFFIXES)}.")
    if not path.is_file():
        raise DataError(f"{shown_name(said)}: there is no such file.")
    if not _AT_ONCE.acquire(timeout=3 * limits.seconds):
        raise Busy("Too many files are being read now: try again in a moment.")
    try:
        with tempfile.TemporaryDirectory(prefix="empo-upload-") as folder:
            target = Path(folder) / "rows"
            _convert(path, suffix, target, shown_name(said), limits)
            return tuple(_pairs(target))
    finally:
        _AT_ONCE.release()


def _convert(source: Path, suffix: str, target: Path, name: str, limits: Limits) -> None:
    """Have a child write the good rows of `source` to `target`."""
    order = {
        "source": str(source.absolute()),
        "suffix": suffix,
        "target": str(target),
        "name": name,
        "limits": asdict(limits),
    }
    child = subprocess.Popen(
        [sys.executable, "-m", "empo.data.upload_child"],
        cwd=target.parent,
        # One small heap: arenas and thread stacks would count as memory.
        env={
            "PYTHONPATH": str(ROOT),
            "PYTHONDONTWRITEBYTECODE": "1",
            "ARROW_DEFAULT_MEMORY_POOL": "system",
            "MALLOC_ARENA_MAX": "2",
            "OMP_NUM_THREADS": "1",
        },
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        out, _ = child.communicate(json.dumps(order).encode(), timeout=limits.seconds)
    except subprocess.TimeoutExpired:
        raise DataError(f"{name}: it takes longer than {limits.seconds:g} s to read.") from None
    finally:
        if child.poll() is None:
            child.kill()
            child.wait()
    try:
        answer = json.loads(out)
    except ValueError:
        raise DataError(
            f"{name}: it cannot be read within {limits.memory / 1e9:g} GB of memory and "
            f"{limits.seconds:g} s, or is damaged."
        ) from None
    if "error" in answer:
        raise DataError(answer["error"])


def _pairs(path: Path) -> Iterator[PreferencePair]:
    with path.open("rb") as lines:
        for line in lines:
            number, prompt, chosen, rejected, emotion, opposite = orjson.loads(line)
            turns = tuple(Turn(role, text) for role, text in prompt)
            ids = (f"row-{number}", f"row-{number}")
            yield PreferencePair(turns, chosen, rejected, emotion, opposite, UPLOAD, *ids)
