"""Fetch a data set of `empo.hub.sources` into the data folder.

A small ledger, `fetched.json` in that folder, holds the checksums of what was fetched: by it a
second call knows that all is here, and notices when a file without a published checksum changed.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from empo.errors import FetchError
from empo.hub.download import Mismatch, Progress, disk_error, download, sha256_of
from empo.hub.sources import Remote, Source
from empo.hub.unpack import unpack

LEDGER = "fetched.json"


@dataclass(frozen=True, slots=True)
class Fetched:
    """The files of a data set, and whether they were here before."""

    paths: tuple[Path, ...]
    already: bool = False


def fetch(
    source: Source,
    folder: Path,
    base_url: str | None = None,
    progress: Progress | None = None,
    pause: float = 1.0,
) -> Fetched:
    """Bring `source` into `folder`; nothing is downloaded when all of it is here unchanged.

    `base_url` replaces everything before the file's name in each address (a mirror, a test);
    `pause` is in seconds, before a broken download is taken up again.

    Raises:
        FetchError: see `download` and `unpack`; or a file has changed since it was first fetched.
    """
    ledger = _read_ledger(folder)
    known = ledger.get(source.name, {})
    if paths := _all_here(known, folder):
        return Fetched(paths, already=True)
    sums = {}
    for remote in source.files:
        target = folder / remote.saved_as
        wanted = remote.sha256 or known.get("downloads", {}).get(remote.saved_as)
        if source.archive or not (target.is_file() and sha256_of(target) == wanted):
            _download(remote, target, wanted, base_url, progress, pause)
        sums[remote.saved_as] = sha256_of(target)
    paths = _unpacked(source, folder) if source.archive else [folder / name for name in sums]
    files = {str(path.relative_to(folder)): sha256_of(path) for path in paths}
    ledger[source.name] = {"downloads": sums, "files": files}
    _write_ledger(folder, ledger)
    return Fetched(tuple(paths))


def _download(
    remote: Remote,
    target: Path,
    wanted: str | None,
    base_url: str | None,
    progress: Progress | None,
    pause: float,
) -> None:
    url = remote.url
    if base_url:
        url = f"{base_url.rstrip('/')}/{url.rsplit('/', 1)[1]}"
    try:
        download(url, target, wanted, progress, pause)
    except Mismatch as error:
        if remote.sha256 is not None:
            raise
        raise FetchError(
            f"{url} has changed since it was first fetched; if you trust the new one, delete "
            f"{target.parent / LEDGER} and run the same command again."
        ) from error


def _unpacked(source: Source, folder: Path) -> list[Path]:
    """The members of the source's archives in place, and the archives gone."""
    members = {name: folder / path for name, path in source.members.items()}
    for remote in source.files:
        archive = folder / remote.saved_as
        try:
            unpack(archive, members)
        finally:
            archive.unlink(missing_ok=True)
    return list(members.values())


def _all_here(known: dict[str, Any], folder: Path) -> tuple[Path, ...]:
    """The files that the ledger names, if every one is here and unchanged; else nothing."""
    files = known.get("files", {})
    for name, checksum in files.items():
        if not (folder / name).is_file() or sha256_of(folder / name) != checksum:
            return ()
    return tuple(folder / name for name in files)


def _read_ledger(folder: Path) -> dict[str, Any]:
    path = folder / LEDGER
    if not path.is_file():
        return {}
    try:
        ledger = json.loads(path.read_text("utf-8"))
        if not all(isinstance(entry["files"], dict) for entry in ledger.values()):
            raise ValueError
    except (OSError, ValueError, AttributeError, KeyError, TypeError) as error:
        raise FetchError(f"{path} is damaged: delete it and run the same command again.") from error
    return ledger


def _write_ledger(folder: Path, ledger: dict[str, Any]) -> None:
    path = folder / LEDGER
    fresh = path.with_name(LEDGER + ".new")
    try:
        fresh.write_text(json.dumps(ledger, indent=1, sort_keys=True) + "\n", "utf-8")
        fresh.replace(path)
    except OSError as error:
        raise disk_error(error, path) from error
