"""What this machine can run, what is missing, and what to do about it. Loads no model, no torch."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

import psutil

from empo.data.dialogues import SPLITS, find_split
from empo.errors import DataError
from empo.models.footprint import footprint
from empo.models.inventory import missing
from empo.models.stacks import Stack, load_stack, stack_names
from empo.settings import ROOT, settings

Status = Literal["ok", "note", "problem"]
GB = 1e9
LEAST_MEMORY = 2 * GB  # torch and transformers take 0.6 GB, the nano stack far less
LEAST_DISK = 1 * GB


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at. A `note` is something optional that is missing; a `problem` is not.

    `facts` are the same findings for a program: bytes, counts, names; None where unknown.
    """

    name: str
    status: Status
    found: str
    remedy: str = ""
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Gpu:
    """A CUDA device as its driver reports it; memory in bytes."""

    name: str
    memory: int
    free: int
    driver: str


def examine() -> list[Finding]:
    """Everything there is to say about this machine, in the order a person wants it."""
    return [
        python(),
        processor(),
        memory(),
        disk(),
        graphics(gpus()),
        packages(),
        *stacks(),
        *data(settings().data_dir),
        browser(),
    ]


def healthy(findings: Iterable[Finding]) -> bool:
    """Whether nothing that is needed is missing."""
    return all(finding.status != "problem" for finding in findings)


def python() -> Finding:
    """Always fine: an older Python than the project needs cannot read this file."""
    version = platform.python_version()
    facts = {"version": version, "platform": platform.platform()}
    return Finding("Python", "ok", version, facts=facts)


def processor() -> Finding:
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    found = f"{count} cores, {platform.machine()}"
    return Finding("Processor", "ok", found, facts={"cores": count})


def memory() -> Finding:
    total, free = memory_limit(), _free_memory()
    found = f"{total / GB:.1f} GB, {free / GB:.1f} GB free"
    facts = {"bytes": total, "free_bytes": free}
    if free < LEAST_MEMORY:
        remedy = f"Close something: the small models need {LEAST_MEMORY / GB:.0f} GB free."
        return Finding("Memory", "problem", found, remedy, facts)
    return Finding("Memory", "ok", found, facts=facts)


def _free_memory() -> int:
    return min(memory_limit(), psutil.virtual_memory().available)


def memory_limit(cgroup: Path = Path("/sys/fs/cgroup/memory.max")) -> int:
    """Bytes of memory that this process may use: the machine's, or its container's if less."""
    total = psutil.virtual_memory().total
    try:
        text = cgroup.read_text().strip()
    except OSError:
        return total
    return min(total, int(text)) if text.isdigit() else total


def disk() -> Finding:
    home = settings().home.expanduser()
    there = next(path for path in (home, *home.parents) if path.exists())
    free = shutil.disk_usage(there).free
    found = f"{free / GB:.1f} GB free for {home}"
    facts = {"path": str(home), "free_bytes": free, "writable": os.access(there, os.W_OK)}
    if not facts["writable"]:
        remedy = "It cannot be written: set EMPO_HOME to a folder of your own."
        return Finding("Disk", "problem", found, remedy, facts)
    if free < LEAST_DISK:
        remedy = "Free some space, or set EMPO_HOME to a folder on a bigger disk."
        return Finding("Disk", "problem", found, remedy, facts)
    return Finding("Disk", "ok", found, facts=facts)


def gpus(command: str = "nvidia-smi") -> tuple[Gpu, ...]:
    """The CUDA devices that NVIDIA's driver reports; none where it is not installed."""
    query = "--query-gpu=name,memory.total,memory.free,driver_version"
    try:
        run = subprocess.run(
            [command, query, "--format=csv,noheader,nounits"],
            capture_output=True,
            text=True,
            timeout=20,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return ()
    found = []
    for line in run.stdout.strip().splitlines():
        name, total, free, driver = (part.strip() for part in line.rsplit(",", 3))
        if total.isdigit() and free.isdigit():
            found.append(Gpu(name, int(total) << 20, int(free) << 20, driver))
    return tuple(found)


def graphics(found: tuple[Gpu, ...]) -> Finding:
    facts = {
        "devices": [
            {"name": g.name, "bytes": g.memory, "free_bytes": g.free, "driver": g.driver}
            for g in found
        ]
    }
    if not found:
        remedy = "Not needed for the small models; the 7B models need an NVIDIA GPU of 24 GB."
        return Finding("GPU", "note", "none", remedy, facts)
    text = ", ".join(f"{g.name} ({g.memory / GB:.0f} GB)" for g in found)
    if "+cpu" in (version := installed("torch") or ""):
        remedy = f"The torch here ({version}) cannot use it: install one built for CUDA."
        return Finding("GPU", "problem", text, remedy, facts)
    return Finding("GPU", "ok", text, facts=facts)


def installed(package: str) -> str | None:
    """The version of a package that is installed, or None."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def pins(path: Path) -> dict[str, str]:
    """The pinned versions in a requirements file."""
    pattern = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==([^\s;#]+)", re.MULTILINE)
    return dict(pattern.findall(path.read_text("utf-8")))


def packages(requirements: Path = ROOT / "requirements.txt") -> Finding:
    wanted = pins(requirements)
    have = {name: installed(name) for name in wanted}
    absent = [name for name, version in have.items() if version is None]
    other = [
        f"{name} {version} instead of {wanted[name]}"
        for name, version in have.items()
        if version is not None and version.split("+")[0] != wanted[name]
    ]
    facts = {"installed": have, "pinned": wanted}
    remedy = "Run make run, or: python -m pip install -r requirements.txt"
    if absent:
        return Finding("Packages", "problem", f"missing: {', '.join(absent)}", remedy, facts)
    if other:
        return Finding("Packages", "note", "; ".join(other), remedy, facts)
    return Finding("Packages", "ok", f"all {len(wanted)} at their pinned versions", facts=facts)


def stacks() -> list[Finding]:
    """Each stack that comes with the project: whether its files are here and fit in memory."""
    cards = gpus()
    room = max((g.free for g in cards), default=0) or _free_memory()
    return [_stack(load_stack(name), bool(cards), room) for name in stack_names()]


def _stack(stack: Stack, gpu: bool, room: int) -> Finding:
    absent = missing(stack)
    name = f"Stack {stack.name}"
    needs = footprint(stack, stack.quantisation or ("nf4" if gpu else "none"), gpu)
    facts = {
        "missing": [item.source.path for item in absent],
        "needs_bytes": needs.total if needs else None,
        "free_bytes": room,
    }
    if needs:
        where = "GPU" if gpu else "memory"
        found = f"all files here; needs {needs.total / GB:.2f} of {room / GB:.1f} GB free {where}"
        if needs.total > room:
            return Finding(name, "note", found, "It does not fit: choose a smaller stack.", facts)
        return Finding(name, "ok", found, facts=facts)
    found = f"not here: {', '.join(item.role for item in absent)}"
    if any(item.source.path.startswith("assets/") for item in absent):
        return Finding(name, "problem", found, "The checkout is not whole: clone it anew.", facts)
    return Finding(name, "note", found, "Downloaded from the Hub at its first use.", facts)


DATA_FILES = {
    "epitome": ("epitome/*.csv", "epitome_*.csv*"),
    "replies": ("recorded_replies_*.csv*",),
    "vad": ("nrc_vad_lexicon.txt*",),
}


def data(folder: Path) -> list[Finding]:
    """What of the data sets lies in `folder`; each is optional."""
    return [_dialogues(folder), *(_files(folder, name) for name in DATA_FILES)]


def _dialogues(folder: Path) -> Finding:
    paths = {}
    for split in SPLITS:
        try:
            paths[split] = str(find_split(folder, split))
        except DataError:
            paths[split] = None
    absent = [split for split, path in paths.items() if path is None]
    return _data_finding("ed", [p for p in paths.values() if p], absent)


def _files(folder: Path, name: str) -> Finding:
    found = sorted(str(path) for pattern in DATA_FILES[name] for path in folder.glob(pattern))
    return _data_finding(name, found, [] if found else [name])


def _data_finding(name: str, paths: list[str], absent: list[str]) -> Finding:
    facts = {"files": paths}
    if absent:
        found = f"not here: {', '.join(absent)}" if paths else "not here"
        return Finding(f"Data: {name}", "note", found, f"python -m empo fetch {name}", facts)
    return Finding(f"Data: {name}", "ok", f"{len(paths)} files", facts=facts)


def browser() -> Finding:
    """Only the browser tests need one."""
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    facts = {"path": path}
    if path is None:
        remedy = "Needed for the browser tests only: apt-get install chromium"
        return Finding("Chromium", "note", "none", remedy, facts)
    return Finding("Chromium", "ok", path, facts=facts)
