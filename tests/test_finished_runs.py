"""Finished runs among the voices of the page: after a restart, and as they come and go."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from empo.errors import StackError, UsageError
from empo.models.loading import load_engine
from empo.models.local import LocalEngine
from empo.models.stacks import Stack, load_stack
from empo.settings import settings
from empo.training.folder import remove_folder, run_folder, write_json
from empo.ui.app import build, services_for
from empo.ui.control import Running
from empo.ui.finished_runs import KEPT, FinishedRuns
from empo.ui.services import EngineHolder, Services
from empo.ui.waiting import Line
from tests.tiny_models import answer, row
from tests.trainer_runs import made

OWN = ["base", "sft", "dpo"]


@pytest.fixture(autouse=True)
def own_runs(own_home: None, no_data: Path, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("EMPO_HOME", str(tmp_path / "home"))
    settings.cache_clear()


def finished(name: str, created: int, adapter: str = "dpo") -> Path:
    """A finished run with one of the embedded adapters as its own; that adapter's folder."""
    folder = made(name, "finished")
    stack = load_stack("nano")
    shutil.copytree(str(stack.adapters[adapter].folder), folder.adapter)
    entry = {"name": name, "label": f"run {name}", "plain": "", "stage": "dpo"}
    entry |= {"base": stack.base.path, "adapter": "adapter", "created": created}
    write_json(folder / "model.json", entry)
    return folder.adapter


@pytest.fixture(scope="module")
def loaded() -> Iterator[LocalEngine]:
    engine = load_engine(load_stack("nano"), "none", gpu=False)
    yield engine
    engine.close()


class Page:
    """What an app that has just come up knows, on the real engine."""

    def __init__(self, engine: LocalEngine) -> None:
        stack = load_stack("nano")
        engine.exchange(stack)
        holder = EngineHolder(lambda report: engine)
        holder.load_here()
        home = settings().data_dir
        self.services = Services(stack, holder, settings(), Line(4), Running(), home)
        self.told: list[Stack] = []
        self.runs = FinishedRuns(self.services, self.told.append)
        self.engine = engine

    def names(self) -> list[str]:
        """The voices after another look."""
        self.services.watch.look()
        return [spec.name for spec in self.engine.stack.models]


def test_the_newest_come_back_by_themselves_and_answer(loaded: LocalEngine) -> None:
    for number in range(KEPT + 1):
        finished(f"run-{number}", number, "sft" if number == 2 else "dpo")
    made("half", "stopped")
    page = Page(loaded)
    assert page.names() == [*OWN, "run-3", "run-2", "run-1"]
    assert page.names() == [*OWN, "run-3", "run-2", "run-1"] and len(page.told) == 1
    said = "I feel so lonely since I moved here."  # SFT and DPO answer differently
    rows = [row(said, {name: 1.0}) for name in ("sft", "run-2", "dpo", "run-3")]
    texts = [reply.text for reply in answer(loaded, rows)]
    assert texts[0] == texts[1] != texts[2] == texts[3]
    hashes = page.services.hashes
    assert hashes["run-2"] == hashes["sft"] != hashes["run-3"] == hashes["dpo"] != ""


def test_as_runs_finish_and_are_thrown_away(loaded: LocalEngine) -> None:
    page = Page(loaded)
    assert page.names() == OWN and page.told == []
    finished("one", 1)
    assert page.names() == [*OWN, "one"]
    finished("two", 2)
    assert page.names() == [*OWN, "two", "one"]
    remove_folder(run_folder("two"))
    assert page.names() == [*OWN, "one"]
    remove_folder(run_folder("one"))
    assert page.names() == OWN
    finished("one", 3, "sft")  # another run under the old name
    assert page.names() == [*OWN, "one"]
    texts = [r.text for r in answer(loaded, [row("Hi.", {n: 1.0}) for n in ("sft", "one")])]
    assert texts[0] == texts[1]


def test_what_was_asked_for_stays(loaded: LocalEngine) -> None:
    for number in range(KEPT + 2):
        finished(f"run-{number}", number)
    page = Page(loaded)
    assert "run-0" not in page.names() and "run-0" not in page.runs
    page.runs.bring("run-0")
    assert "run-0" in page.runs
    assert page.names() == [*OWN, "run-0", "run-4", "run-3"]
    finished("newest", 99)
    assert page.names() == [*OWN, "run-0", "newest", "run-4"]
    with pytest.raises(UsageError, match="no model “gone”"):
        page.runs.bring("gone")
    assert page.names() == [*OWN, "run-0", "newest", "run-4"]


def test_a_damaged_run_keeps_nobody_away(loaded: LocalEngine) -> None:
    finished("good", 1)
    weights = finished("bad", 2) / "adapter_model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[: len(whole) // 2])
    config = finished("strange", 3) / "adapter_config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"peft_type": "PREFIX_TUNING"}))
    page = Page(loaded)
    assert page.names() == [*OWN, "good"]
    told = len(page.told)
    assert page.names() == [*OWN, "good"] and len(page.told) == told  # no second try
    with pytest.raises(StackError, match="strange"):
        page.runs.bring("strange")
    assert page.names() == [*OWN, "good"]


def test_an_engine_that_comes_anew_gets_them_again(loaded: LocalEngine) -> None:
    finished("one", 1)
    page = Page(loaded)
    assert page.names() == [*OWN, "one"]
    loaded.exchange(load_stack("nano"))  # as one that is back from the processor
    assert page.names() == [*OWN, "one"]


def test_the_pickers_of_a_restarted_app_offer_them() -> None:
    finished("mine", 1)
    services = services_for("nano", None, "echo", settings())
    page = build(services)
    offered = next(fn.fn for fn in page.fns.values() if getattr(fn.fn, "__name__", "") == "models")
    assert [model["model"] for model in offered()["models"]] == OWN
    services.holder.load_here()
    services.watch.look()
    assert [model["model"] for model in offered()["models"]] == [*OWN, "mine"]
