"""The README against the real tree, its head, and the commands and variables that it names."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
import yaml

from empo.settings import Settings

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text("utf-8")
SPACES = (ROOT / "Spaces.md").read_text("utf-8")
# Folders whose inside the README leaves to their own docstrings.
DEEP = ("empo", "train", "assets", "tests")


def drawn() -> dict[str, str]:
    """What the README's tree draws: path -> its note."""
    block = README.split("<!-- tests/test_tree.py")[1].split("```")[1]
    paths: dict[str, str] = {}
    folder = ""
    for line in block.strip().splitlines():
        name, note = line.split(maxsplit=1)
        if line.startswith("  "):
            name = folder + name
        elif name.endswith("/"):
            folder = name
        paths[name] = note
    return paths


def tracked() -> set[str]:
    listing = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if listing.returncode:
        pytest.skip("not a git checkout: the tree cannot be told from what was made in it")
    return {name for name in listing.stdout.splitlines() if (ROOT / name).exists()}


def real() -> set[str]:
    """What the tree should show: app.py, the deep folders, and their modules and folders."""
    found = set()
    for name in tracked():
        parts = name.split("/")
        if name == "app.py":
            found.add(name)
        elif parts[0] in DEEP:
            found.add(f"{parts[0]}/")
            if len(parts) > 2:
                found.add(f"{parts[0]}/{parts[1]}/")
            elif parts[0] == "empo" and parts[1].endswith(".py") and parts[1] != "__init__.py":
                found.add(name)
    return found


def test_the_drawn_tree_is_the_real_one() -> None:
    assert sorted(set(drawn()) - real()) == [], "drawn, but not there"
    assert sorted(real() - set(drawn())) == [], "there, but not drawn"


def test_every_line_of_the_tree_says_what_it_is() -> None:
    assert all(len(note) > 5 for note in drawn().values())


def test_the_head_is_what_a_space_needs() -> None:
    head = yaml.safe_load(README.split("---")[1])
    pins = (ROOT / "requirements.txt").read_text("utf-8")
    assert head["sdk"] == "gradio"
    assert f"gradio=={head['sdk_version']}" in pins
    assert (ROOT / head["app_file"]).is_file()
    assert head["hf_oauth"] is True  # its owner signs in
    assert head["license"] == "other"
    assert len(head["short_description"]) <= 60
    assert head["python_version"] == "3.11"


def test_the_head_names_the_models_of_the_stacks() -> None:
    head = yaml.safe_load(README.split("---")[1])
    named = set()
    for path in (ROOT / "assets" / "stacks").glob("*.yaml"):
        stack = yaml.safe_load(path.read_text("utf-8"))
        named |= {s["path"] for s in (stack["base"], *stack["adapters"].values())}
    assert {path for path in named if not (ROOT / path.split("/")[0]).is_dir()} == set(
        head["models"]
    )


def test_the_readme_s_variables_are_those_that_are_read() -> None:
    """Every `EMPO_…` setting stands in the table, and no other; so do their defaults."""
    own = {
        f"EMPO_{name.upper()}": field
        for name, field in Settings.model_fields.items()
        if field.validation_alias is None
    }
    table = dict(re.findall(r"^\| `(EMPO_\w+)` \|[^|]*\| ([^|]+) \|", README, re.MULTILINE))
    assert set(table) == set(own)
    assert set(re.findall(r"EMPO_[A-Z_]+", SPACES)) <= set(own)
    for name, field in own.items():
        if isinstance(field.default, str | int) and field.default is not None:
            assert table[name] == f"`{field.default}`", name


def test_links_lead_somewhere() -> None:
    for text in (README, SPACES):
        for target in re.findall(r"\]\((?!https?://)([^)#]+)\)", text):
            assert (ROOT / target).exists(), target


def test_the_commands_that_are_named_exist() -> None:
    from empo.cli import COMMANDS

    known = {module.__name__.rsplit(".", 1)[1] for module in COMMANDS}
    assert set(re.findall(r"python -m empo (\w+)", SPACES)) <= known
    assert set(re.findall(r"python -m empo (\w+)", README)) == known
    rules = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    assert set(re.findall(r"(?:`|^)make (\w+)", README, re.MULTILINE)) <= rules


def test_no_machine_s_own_path_and_no_secret_is_tracked() -> None:
    pattern = re.compile(r"(?<![\w.])/(?:root|home/\w+|Users/\w+)/\w|hf_[A-Za-z0-9]{30,}")
    found = []
    for name in sorted(tracked()):
        path = ROOT / name
        if path.suffix in (".py", ".md", ".yaml", ".toml", ".txt", ".json", "") and path.is_file():
            text = path.read_text("utf-8", errors="replace")
            found += [f"{name}: {hit}" for hit in pattern.findall(text)]
    assert found == []
