"""The floors of the package docstring, proved from the syntax trees and by importing everything.

Every import counts, also one inside a function or under TYPE_CHECKING.
"""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SIBLINGS = ("data", "models", "scoring", "metrics", "arena", "training", "hub")
GROUND = ("empo", "empo.types", "empo.errors")
FIRST = ("empo.prompts", "empo.settings", "empo.sampling", "empo.danger")
COMMAND_LINE = ("empo.__main__", "empo.cli")
LEARNING = {"torch", "transformers", "peft", "trl", "accelerate", "bitsandbytes"}
AT_IMPORT = {
    *("open", "read_text", "read_bytes", "write_text", "mkdir", "glob", "iterdir", "is_file"),
    *("is_dir", "exists", "safe_load", "from_pretrained", "read_csv", "read_table", "settings"),
}


def modules() -> dict[str, Path]:
    """Every module of the project by its dotted name."""
    files = [*(ROOT / "empo").rglob("*.py"), *(ROOT / "train").rglob("*.py")]
    if (ROOT / "app.py").is_file():
        files.append(ROOT / "app.py")
    return {name_of(path): path for path in sorted(files)}


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def part_of(module: str) -> str:
    """The part of the building a module belongs to: within one, imports are free."""
    if module.startswith(COMMAND_LINE):
        return "command line"
    head = module.split(".")
    if head[0] == "empo" and len(head) > 1 and (head[1] in SIBLINGS or head[1] == "ui"):
        return ".".join(head[:2])
    return head[0] if head[0] == "train" else module


def floor_of(module: str) -> int:
    part = part_of(module)
    if part in GROUND:
        return 0
    if part in FIRST:
        return 1
    if part.startswith("empo.") and part.split(".")[1] in SIBLINGS:
        return 2
    if part in ("empo.ui", "train"):
        return 4
    return 5 if part in ("command line", "app") else 3


def imports(tree: ast.AST, module: str, known: set[str]) -> Iterator[tuple[int, str]]:
    """(line, name) of all that is imported; `from a import b` is a.b where that is a module."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                package = any(name.startswith(f"{module}.") for name in known)
                above = module.split(".")[: len(module.split(".")) - node.level + package]
                base = ".".join([*above, base]).rstrip(".")
            for alias in node.names:
                whole = f"{base}.{alias.name}"
                yield node.lineno, whole if whole in known else base


def ours(name: str) -> bool:
    return name.split(".")[0] in ("empo", "train", "app")


def upward(module: str, name: str) -> bool:
    """Whether `module` may not import our `name`; use-cases (floor 3) may use one another."""
    if floor_of(module) == floor_of(name) == 3:
        return False
    return part_of(module) != part_of(name) and floor_of(name) >= floor_of(module)


def learning_allowed(module: str) -> bool:
    rooms = ("empo.models", "empo.scoring", "empo.metrics", "train")
    return part_of(module) in rooms or module == "empo.training.progress"


def foreign(module: str, name: str) -> str | None:
    """Why `module` may not import the library `name`, or None."""
    library = name.split(".")[0]
    part = part_of(module)
    if library in ("gradio", "gradio_client") and part not in ("empo.ui", "app"):
        return "gradio belongs in empo/ui and app.py"
    if library in LEARNING and not learning_allowed(module):
        return f"{library} does not belong here"
    if library == "spaces" and part not in ("empo.models", "app"):
        return "spaces belongs in app.py and empo/models"
    if library in ("pydantic_settings", "dotenv") and module != "empo.settings":
        return "settings are read in empo/settings.py"
    return None


def environment_reads(tree: ast.AST) -> Iterator[int]:
    """Lines that read os.environ; setting a variable for a library is not reading."""
    writes = {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store | ast.Del)
    }
    writes |= {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and node.attr == "setdefault"
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module == "os":
            if {alias.name for alias in node.names} & {"environ", "getenv", "environb"}:
                yield node.lineno
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            named = node.attr in ("environ", "getenv", "environb") and node.value.id == "os"
            if named and id(node) not in writes:
                yield node.lineno


def work_at_import(tree: ast.Module) -> Iterator[int]:
    """Lines outside functions, and outside `if __name__ == "__main__"`, that touch files."""
    waiting: list[ast.AST] = list(tree.body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(node, ast.If) and "__name__" in ast.dump(node.test):
            continue
        if isinstance(node, ast.Call):
            called = node.func
            name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
            if name in AT_IMPORT:
                yield node.lineno
        waiting.extend(ast.iter_child_nodes(node))


def breaches(module: str, source: str, known: set[str]) -> list[str]:
    """Every breach of the rules in one module, as "line: what"."""
    tree = ast.parse(source)
    found = []
    for line, name in imports(tree, module, known):
        if ours(name) and upward(module, name):
            found.append(f"{line}: {module} (floor {floor_of(module)}) imports {name}")
        elif not ours(name) and (reason := foreign(module, name)):
            found.append(f"{line}: {module} imports {name}: {reason}")
    if module != "empo.settings":
        found += [f"{line}: {module} reads the environment" for line in environment_reads(tree)]
    found += [f"{line}: {module} works at import" for line in work_at_import(tree)]
    return found


def test_imports_run_strictly_downward() -> None:
    known = modules()
    assert len(known) > 10
    found = []
    for module, path in known.items():
        found += [f"{path.name}:{b}" for b in breaches(module, path.read_text("utf-8"), set(known))]
    assert found == []


def test_no_two_modules_need_each_other() -> None:
    """Within a part, and among the use-cases, imports at the top of a module make no circle."""
    known = modules()
    needs = {}
    for module, path in known.items():
        tree = ast.parse(path.read_text("utf-8"))
        top = ast.Module([n for n in tree.body if not isinstance(n, ast.FunctionDef)], [])
        needs[module] = {n for _, n in imports(top, module, set(known)) if n in known} - {module}
    while ready := [module for module in needs if not needs[module] & needs.keys()]:
        for module in ready:
            del needs[module]
    assert not needs, "a circle runs through these"


@pytest.mark.parametrize(
    "module, source",
    [
        ("empo.data.dialogues", "from empo.models import engine"),
        ("empo.models.engine", "def f():\n    from empo.compare import compare"),
        ("empo.types", "import empo.errors"),
        ("empo.evaluation", "import empo.ui.app"),
        ("empo.ui.app", "from train import sft"),
        ("train.sft", "from empo.ui import app"),
        ("empo.ui.app", "from empo.cli import doctor"),
        ("empo.models.local", "from ..scoring import valence"),
        ("empo.doctor", "import gradio as gr"),
        ("empo.compare", "def f():\n    import torch"),
        ("empo.training.runs", "from transformers import Trainer"),
        ("empo.ui.app", "import spaces"),
        ("empo.data.emotions", "import os\nx = os.environ.get('X')"),
        ("empo.hub.fetch", "import os\ndef f():\n    return os.getenv('HOME')"),
        ("empo.hub.fetch", "from os import environ"),
        ("train.sft", "import os\ndef f():\n    return {**os.environ}"),
        ("empo.data.situations", "ROWS = open('x').read()"),
        ("empo.data.situations", "class A:\n    rows = PATH.read_text()"),
        ("empo.ui.app", "S = settings()"),
    ],
)
def test_a_breach_is_found(module: str, source: str) -> None:
    assert breaches(module, source, set(modules()) | {"empo.models.local", "empo.compare"})


@pytest.mark.parametrize(
    "module, source",
    [
        ("empo.data.dialogues", "from empo.data.emotions import EMOTIONS\nimport empo.types"),
        ("empo.models.local", "import torch\nfrom . import engine\nimport spaces"),
        ("empo.training.progress", "from transformers import TrainerCallback"),
        ("empo.ui.app", "import gradio as gr\nfrom empo.compare import compare"),
        ("app", "import os\nos.environ['GRADIO_ANALYTICS_ENABLED'] = 'False'\nimport gradio"),
        ("app", "from empo.ui.app import main\nif __name__ == '__main__':\n    open('x')"),
        ("empo.cli.serve", "def f():\n    from empo.ui.app import main"),
        ("empo.data.situations", "def f():\n    return open('x').read()"),
    ],
)
def test_what_is_allowed_is_not_a_breach(module: str, source: str) -> None:
    assert breaches(module, source, set(modules())) == []


PROBE = """
import importlib, json, sys
names, root = json.loads(sys.argv[1]), sys.argv[2]
opened = []
def hook(event, args):
    if event == "open" and isinstance(args[0], str) and args[0].startswith(root):
        if not args[0].endswith((".py", ".pyc")) and "/.venv/" not in args[0]:
            opened.append(args[0])
    elif event == "socket.connect":
        opened.append(str(args[1]))
sys.addaudithook(hook)
for name in names:
    importlib.import_module(name)
heavy = {"torch", "transformers", "peft", "trl", "datasets", "gradio", "sklearn", "pandas"}
print(json.dumps({"opened": opened, "heavy": sorted(heavy & sys.modules.keys())}))
"""


def probe(names: list[str]) -> dict[str, list[str]]:
    """What importing `names` in a fresh interpreter opened, and the heavy libraries it took."""
    run = subprocess.run(
        [sys.executable, "-c", PROBE, json.dumps(names), str(ROOT)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout.splitlines()[-1])


def test_the_command_line_and_all_below_start_light() -> None:
    names = [m for m in modules() if floor_of(m) <= 3 and not learning_allowed(m)]
    names += [m for m in modules() if part_of(m) == "command line" and m != "empo.__main__"]
    names += ["empo.__main__", "empo.models.engine", "empo.models.stacks", "empo.models.echo"]
    assert probe([name for name in names if name in modules()]) == {"opened": [], "heavy": []}


def test_the_page_starts_without_torch_and_opens_nothing() -> None:
    names = [m for m in modules() if part_of(m) == "empo.ui"]
    if not names:
        pytest.skip("there is no page yet")
    found = probe(names)
    assert found["opened"] == []
    assert set(found["heavy"]) & LEARNING == set()
