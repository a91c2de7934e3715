"""empo/models/inventory.py and `python -m empo models`: which files of a stack are here."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from empo.cli import main
from empo.models.inventory import items, local_folder, missing
from empo.models.stacks import Source, load_stack
from empo.settings import ROOT


def folder_with(path: Path, *names: str) -> Path:
    path.mkdir(parents=True)
    for name in names:
        (path / name).touch()
    return path


def own_stack(folder: Path) -> Path:
    folder_with(folder / "base", "config.json", "model.safetensors")
    folder_with(folder / "pickle", "adapter_config.json", "adapter_model.bin")
    path = folder / "own.yaml"
    path.write_text(
        f"""
name: own
title: My own
base: {{path: "{folder}/base"}}
adapters: {{a: {{path: "{folder}/pickle"}}, b: {{path: someone/never-downloaded}}}}
models: [{{name: base, label: Base, plain: before, stage: base}}]
prompt: none
"""
    )
    return path


def test_a_folder_counts_when_it_has_its_config_and_safetensors(tmp_path: Path) -> None:
    stack = load_stack(str(own_stack(tmp_path)))
    assert [(item.role, item.folder) for item in items(stack)] == [
        ("base", tmp_path / "base"),
        ("adapter a", None),
        ("adapter b", None),
    ]
    assert [item.source.path for item in missing(stack)] == [
        f"{tmp_path}/pickle",
        "someone/never-downloaded",
    ]


def test_a_path_that_is_no_folder_and_no_hub_id_is_missing() -> None:
    for path in ("/no/such/folder", "a/b/c", "..", "name with spaces"):
        assert local_folder(Source(path), "config.json") is None


def test_the_embedded_base_comes_with_the_project() -> None:
    base = items(load_stack("nano"))[0]
    assert base.folder is not None
    assert (base.folder / "model.safetensors").is_file()


def test_auto_is_nano_where_no_other_stack_is_here_and_needs_no_torch() -> None:
    probe = (
        "import sys; from empo.models.inventory import choose_stack as c; "
        "print(c('auto').name, c('zephyr-7b').name, 'torch' in sys.modules)"
    )
    run = subprocess.run(
        [sys.executable, "-c", probe], cwd=ROOT, capture_output=True, text=True, timeout=300
    )
    assert run.stdout.split() == ["nano", "zephyr-7b", "False"], run.stderr


def test_the_command_lists_every_stack(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "--json"]) == 0
    stacks = {s["stack"]: s for s in json.loads(capsys.readouterr().out)["stacks"]}
    assert {"nano", "zephyr-7b"} <= set(stacks)
    assert [m["model"] for m in stacks["nano"]["models"]] == ["base", "sft", "dpo"]
    assert not stacks["zephyr-7b"]["here"]


def test_the_command_takes_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "--stack", str(own_stack(tmp_path))]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("own – My own")
    assert f"base: {tmp_path}/base (here" in shown
    assert f"adapter a: {tmp_path}/pickle (missing)" in shown
    assert "adapter b: someone/never-downloaded (not on this machine" in shown


def test_a_file_that_is_no_stack_is_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text("name: x\nrocket: 1\n")
    assert main(["models", "--stack", str(path)]) == 1
    assert capsys.readouterr().err.count("\n") == 1
