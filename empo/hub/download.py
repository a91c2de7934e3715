"""One file from a server to the disk: resumed where it stopped, checked, then put in place.

What has arrived lies in `<name>.part`; only a file whose checksum is right gets its name, by an
atomic rename. A connection that breaks is taken up again a few times, and by the next call too.
"""

from __future__ import annotations

import errno
import hashlib
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import httpx

from empo.errors import FetchError

Progress = Callable[[str, int, int | None], None]
"""Called with the file's name, the bytes that are here, and the bytes there are (if known)."""

ATTEMPTS = 4
TIMEOUT = httpx.Timeout(60.0, connect=20.0)


class Mismatch(FetchError):
    """What came is not what was promised."""


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def download(
    url: str,
    target: Path,
    sha256: str | None = None,
    progress: Progress | None = None,
    pause: float = 1.0,
) -> str:
    """Bring `url` to `target` and return its SHA-256; `pause` is in seconds, before a new attempt.

    Raises:
        FetchError: not there, not reachable, broken off, not what was promised (the file is
            removed), or no room on the disk.
    """
    part = target.with_name(target.name + ".part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _receive(url, part, progress, pause)
        found = sha256_of(part)
        if sha256 is not None and found != sha256:
            part.unlink()
            raise Mismatch(
                f"{url} is not the file that was expected (SHA-256 {found[:12]}… instead of "
                f"{sha256[:12]}…): it was removed; try again, and if it happens again the file "
                "at its owner's has changed."
            )
        part.replace(target)
    except OSError as error:
        raise disk_error(error, part) from error
    return found


def disk_error(error: OSError, path: Path) -> FetchError:
    """What a failed write means for a person."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return FetchError(
            f"There is no room for {path.name} in {path.parent}: free some space, or set EMPO_DATA "
            "to a folder on a bigger disk, and run the same command again."
        )
    return FetchError(
        f"{path} cannot be written ({error.strerror}): set EMPO_DATA to a folder of your own."
    )


def _receive(url: str, part: Path, progress: Progress | None, pause: float) -> None:
    """All bytes of `url` into `part`, after those that are there already."""
    failure: Exception | None = None
    with httpx.Client(follow_redirects=True, timeout=TIMEOUT) as client:
        for attempt in range(ATTEMPTS):
            if attempt:
                time.sleep(pause)
            try:
                if _receive_once(client, url, part, progress):
                    return
            except (httpx.UnsupportedProtocol, httpx.InvalidURL, httpx.TooManyRedirects) as error:
                raise FetchError(f"{url} is not an address that can be fetched: {error}") from error
            except httpx.TransportError as error:
                failure = error
    have = part.stat().st_size if part.is_file() else 0
    if have:
        raise FetchError(
            f"The download of {url} broke off after {have:,} bytes; run the same command again and "
            "it goes on from there."
        ) from failure
    raise FetchError(
        f"{url} cannot be reached ({failure or 'no answer'}): check the network, or fetch the "
        "file on another machine."
    ) from failure


def _receive_once(client: httpx.Client, url: str, part: Path, progress: Progress | None) -> bool:
    """One request; False if what lay in `part` was of no use and the next one starts afresh."""
    start = part.stat().st_size if part.is_file() else 0
    headers = {"Accept-Encoding": "identity"}
    if start:
        headers["Range"] = f"bytes={start}-"
    with client.stream("GET", url, headers=headers) as response:
        if response.status_code == 416:
            if response.headers.get("Content-Range") == f"bytes */{start}":
                return True
            part.unlink(missing_ok=True)
            return False
        _check_status(response, url)
        resumed = response.headers.get("Content-Range", "").startswith(f"bytes {start}-")
        if response.status_code != 206 or not resumed:
            start = 0
        length = response.headers.get("Content-Length", "")
        total = start + int(length) if length.isdigit() else None
        _check_room(part, total, start)
        with part.open("ab" if start else "wb") as file:
            for chunk in response.iter_raw():
                file.write(chunk)
                start += len(chunk)
                if progress:
                    progress(part.stem, start, total)
    return True


def _check_status(response: httpx.Response, url: str) -> None:
    code = response.status_code
    if code in (404, 410):
        raise FetchError(f"There is no file at {url} any more (answer {code}).")
    if code == 429 or code >= 500:
        raise FetchError(f"The server of {url} is not able to answer now ({code}): try later.")
    if code not in (200, 206):
        raise FetchError(f"The server refuses {url} (answer {code}).")


def _check_room(part: Path, total: int | None, start: int) -> None:
    free = shutil.disk_usage(part.parent).free
    if total is not None and total - start > free:
        raise OSError(errno.ENOSPC, "No space left on device")
