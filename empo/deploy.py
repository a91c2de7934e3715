"""What is done with a finished run: copied or merged into a folder, or sent to the Hub."""

from __future__ import annotations

import shutil
from pathlib import Path

from empo.errors import DataError, UsageError
from empo.hub.push import FILES, push_folder
from empo.training.folder import RunFolder, run_folder


def export(name: str, out: Path, merged: bool = False) -> None:
    """Write the adapter of the run `name` to `out`; with `merged`, base and adapter as one model.

    Raises:
        UsageError: there is no such run, or it has not finished.
        DataError: `out` is there already, or cannot be written.
        StackError: base or adapter cannot be loaded.
    """
    folder = _finished(name)
    if merged:
        from empo.models.merging import merge

        merge(folder.spec().base, folder.adapter, out)
        shutil.copyfile(folder / "README.md", out / "README.md")
        return
    if out.exists():
        raise DataError(f"{out} is there already: give another folder.")
    half = out.with_name(f".{out.name}.part")
    try:
        shutil.rmtree(half, ignore_errors=True)
        half.mkdir(parents=True)
        for file in FILES:
            source = folder / file if file == "README.md" else folder.adapter / file
            shutil.copyfile(source, half / file)
        half.rename(out)
    except OSError as error:
        shutil.rmtree(half, ignore_errors=True)
        raise DataError(f"{out} cannot be written: {error}.") from error


def push(
    name: str,
    repo: str,
    private: bool = True,
    endpoint: str | None = None,
    token: str | None = None,
) -> str:
    """Send the adapter of the run `name` with its card to the Hub; the address of the commit.

    Raises:
        UsageError: there is no such run, it has not finished, or there is no token.
        FetchError: the Hub refuses, or cannot be reached.
    """
    folder = _finished(name)
    return push_folder(folder.adapter, folder / "README.md", repo, private, endpoint, token)


def _finished(name: str) -> RunFolder:
    folder = run_folder(name)
    if not (folder / "model.json").is_file():
        raise UsageError(f"The run {name} has not finished: there is nothing to give away yet.")
    return folder
