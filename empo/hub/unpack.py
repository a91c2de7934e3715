"""The wanted members of a downloaded archive, and nothing else of it, put where they belong.

Paths inside the archive never decide where something is written; a member that tries to
(absolute, `..`, a link, a device) makes the whole archive refused.
"""

from __future__ import annotations

import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO

from empo.errors import FetchError
from empo.hub.download import disk_error

MAX_BYTES = 1 << 30  # of one member, unpacked; the largest known one has 22 MB


def unpack(archive: Path, members: Mapping[str, Path]) -> None:
    """Write each member of `archive` (by base name) to its path: all of them, or none.

    Raises:
        FetchError: the archive is broken, lacks a member, or holds one that is not safe.
    """
    fresh = {name: path.with_name(path.name + ".new") for name, path in members.items()}
    try:
        seen = _unpack_all(archive, fresh)
        if missing := sorted(set(members) - seen):
            raise FetchError(f"{archive.name} does not hold {', '.join(missing)}.")
        for name, path in members.items():
            fresh[name].replace(path)
    except (tarfile.TarError, zipfile.BadZipFile, EOFError, zlib.error) as error:
        raise FetchError(f"{archive.name} is not a whole archive: {error}.") from error
    except OSError as error:
        raise disk_error(error, archive) from error
    finally:
        for path in fresh.values():
            path.unlink(missing_ok=True)


def _unpack_all(archive: Path, targets: Mapping[str, Path]) -> set[str]:
    seen: set[str] = set()
    with _members(archive) as members:
        for name, stream in members:
            if (base := PurePosixPath(name).name) in targets and base not in seen:
                seen.add(base)
                targets[base].parent.mkdir(parents=True, exist_ok=True)
                with stream as source, targets[base].open("wb") as target:
                    shutil.copyfileobj(source, target)
    return seen


@contextmanager
def _members(archive: Path) -> Iterator[Iterator[tuple[str, IO[bytes]]]]:
    """The archive's regular files as (path, stream)."""
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as opened:
            yield _zip_members(opened, archive.name)
    else:
        with tarfile.open(archive) as opened:
            yield _tar_members(opened, archive.name)


def _tar_members(opened: tarfile.TarFile, archive: str) -> Iterator[tuple[str, IO[bytes]]]:
    for member in opened:
        _check(archive, member.name, member.size, member.isfile() or member.isdir())
        if member.isfile() and (stream := opened.extractfile(member)):
            yield member.name, stream


def _zip_members(opened: zipfile.ZipFile, archive: str) -> Iterator[tuple[str, IO[bytes]]]:
    for member in opened.infolist():
        kind = member.external_attr >> 28  # the file type of a Unix mode; 0 where none is given
        _check(archive, member.filename, member.file_size, kind in (0, 0o4, 0o10))
        if not member.is_dir():
            yield member.filename, opened.open(member)


def _check(archive: str, name: str, size: int, plain: bool) -> None:
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or ":" in path.parts[:1]:
        raise FetchError(f"{archive} holds a path that leads out of it ({name[:80]}): refused.")
    if not plain:
        raise FetchError(f"{archive} holds a link or a device ({name[:80]}): refused.")
    if size > MAX_BYTES:
        raise FetchError(f"{archive} holds a file of {size:,} bytes ({name[:80]}): refused.")
