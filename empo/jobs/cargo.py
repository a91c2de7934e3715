"""What a run needs where nothing of it is: this very project, its data, its pairs, its start.

All of it goes into the run's private repository, so that the commit that holds it pins the code
together with the data; the job fetches that commit and nothing else of ours.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator
from pathlib import Path

from empo.data.dialogues import find_split
from empo.errors import DataError, UsageError
from empo.settings import ROOT, settings
from empo.training.folder import run_folder, runs_home
from empo.training.recipe import RunSpec, rooted

PROJECT = "project.zip"  # in the repository
HOME = "home"  # what becomes EMPO_HOME of the job
RUN = "run"  # the run's own folder
STOP = "STOP"  # a file that asks the job to end
_PAGE = ("screenshots", "reports", "models")  # of assets/: not for training
_MEASURES = "assets/models/scorer"  # measures the finished adapter
_ADAPTER = ("adapter_model.safetensors", "adapter_config.json")
_DENSE = (".safetensors", ".onnx")  # compress by a tenth, and take longest
_EPOCH = (2024, 1, 1, 0, 0, 0)  # the same content makes the same archive
# Pins of requirements.txt that only the page and its votes need.
NOT_NEEDED = (
    *("gradio", "spaces", "plotly", "sqlalchemy", "psycopg", "limits", "confusable-homoglyphs"),
    *("authlib", "itsdangerous"),
)
# What the job does first, as `python -c`: the project of that commit, then the project's own work.
# The comments with a slash are for the Hub's library, which asks of every argument whether it is a
# file, and fails where a name between two slashes is longer than a file system takes.
BOOT = f"""import os, sys, zipfile
from huggingface_hub import hf_hub_download as get #/
got = get(sys.argv[1], '{PROJECT}', repo_type='dataset', revision=sys.argv[2]) #/
zipfile.ZipFile(got).extractall('empo-space')
os.chdir('empo-space') #/
os.execv(sys.executable, [sys.executable, '-u', '-m', 'train.job', *sys.argv[1:]])"""


def dependencies() -> list[str]:
    """The pins of requirements.txt that a run needs."""
    lines = (ROOT / "requirements.txt").read_text("utf-8").splitlines()
    pins = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    return [pin for pin in pins if _package(pin) not in NOT_NEEDED]


def _package(pin: str) -> str:
    return re.split(r"[\[=<>~!;]", pin)[0].strip().lower()


def check(spec: RunSpec) -> None:
    """That everything `spec` names can be had elsewhere.

    Raises:
        UsageError: base or start is a folder of this machine alone, or the start is not finished.
        DataError: the dialogues or the pairs are not here.
    """
    _folders(spec)
    for _ in cargo(spec):
        pass


def cargo(spec: RunSpec) -> Iterator[tuple[str, Path]]:
    """The files beside the project: path in the repository, path here. Raises: as `check`."""
    if spec.data == "ed":
        for split in ("train", "valid"):
            path = find_split(settings().data_dir, split)
            yield f"{HOME}/data/{path.name}", path
    if pairs := getattr(spec, "pairs", None):
        path = runs_home() / pairs
        if Path(pairs).is_absolute() or not path.is_file():
            raise DataError(
                f"The pairs in {Path(pairs).name} are a file of this machine alone: copy it into "
                f"{runs_home()} and name it by its path there."
            )
        yield f"{HOME}/runs/{pairs}", path
    if (spec.start or "").startswith("run:"):
        name = str(spec.start).removeprefix("run:")
        folder = run_folder(name)
        if not (folder / "model.json").is_file():
            raise UsageError(f"The run {name}, from which it is to go on, has not finished.")
        for file in _ADAPTER:
            yield f"{HOME}/runs/{name}/adapter/{file}", folder.adapter / file


def pack(spec: RunSpec, target: Path) -> None:
    """Write the project as a zip archive to `target`, with the models that `spec` names."""
    try:
        with zipfile.ZipFile(target, "w", compresslevel=1) as archive:
            for path in sorted(_project(spec)):
                entry = zipfile.ZipInfo(path.relative_to(ROOT).as_posix(), _EPOCH)
                dense = path.suffix in _DENSE
                entry.compress_type = zipfile.ZIP_STORED if dense else zipfile.ZIP_DEFLATED
                archive.writestr(entry, path.read_bytes())
    except OSError as error:
        raise DataError(f"The project cannot be packed for the job: {error}.") from error


def _project(spec: RunSpec) -> set[Path]:
    found = {ROOT / "requirements.txt", ROOT / "LICENSE"}
    for folder in ("empo", "train"):
        found |= {p for p in (ROOT / folder).rglob("*") if p.suffix != ".pyc"}
    for path in (ROOT / "assets").iterdir():
        if path.name not in _PAGE:
            found |= {path, *path.rglob("*")}
    for name in (_MEASURES, *_folders(spec)):
        found |= set((ROOT / name).rglob("*"))
    return {path for path in found if path.is_file() and not path.is_symlink()}


def _folders(spec: RunSpec) -> list[str]:
    """The folders of the project that `spec` names as its base and its start."""
    found = []
    for what, name in (("base", spec.base), ("start", spec.start or "")):
        if not name or name.startswith("run:"):
            continue
        path = rooted(name)
        if Path(name).expanduser().is_absolute() or ".." in Path(name).parts:
            raise UsageError(
                f"The {what} {name} is a folder of this machine alone: send it to the Hub and "
                "name it OWNER/NAME, or take one of the project."
            )
        if path.is_dir():
            found.append(name)
        elif not re.fullmatch(r"[\w.-]+/[\w.-]+", name):
            raise UsageError(f"There is no {what} {name} in the project, and it is no Hub id.")
    return found
