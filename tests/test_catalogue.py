"""Finished runs as models: found without a restart, served in the same pass as the others."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from empo.cli import main
from empo.errors import StackError, UsageError
from empo.models.catalogue import (
    fitting,
    run_models,
    stack_of_run,
    stacks_of_runs,
    with_runs,
)
from empo.models.inventory import choose_stack
from empo.models.stacks import Source, Stack
from empo.settings import settings
from empo.types import ModelSpec
from tests.tiny_models import answer, engine_of, row, save_adapter, save_base, stack_of


def finish(home: Path, name: str, base: Path, seed: int, /, **changes: object) -> Path:
    """A finished run's folder: an adapter over `base` and its entry."""
    folder = home / name
    save_adapter(base, folder / "adapter", seed)
    entry = {
        "name": name,
        "label": name,
        "plain": "taught here",
        "stage": "dpo",
        "base": str(base),
        "adapter": "adapter",
        "prompt": "none",
        "created": seed,
    }
    (folder / "model.json").write_text(json.dumps(entry | changes), "utf-8")
    return folder


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return save_base(tmp_path / "base")


def test_a_run_answers_beside_the_others_without_a_restart(base: Path, tmp_path: Path) -> None:
    """The engine that was loaded without it gives what one that was loaded with it gives."""
    home = tmp_path / "runs"
    stack = stack_of(base, {"sft": save_adapter(base, tmp_path / "sft", 1)})
    engine = engine_of(stack)
    try:
        alone = answer(engine, [row("Hello"), row("Hello", {"sft": 1.0})])
        assert fitting(stack, home) == ()
        finish(home, "mine", base, 2)
        bigger = with_runs(stack, ["sft", "mine"], home)
        engine.exchange(bigger)
        three = [row("Hello"), row("Hello", {"sft": 1.0}), row("Hello", {"mine": 1.0})]
        found = [reply.text for reply in answer(engine, three)]
        assert found[:2] == [reply.text for reply in alone]
        fresh = engine_of(bigger)
        assert found == [reply.text for reply in answer(fresh, three)]
        fresh.close()
        assert found[2] != found[0]
        engine.exchange(stack)
        assert [r.text for r in answer(engine, three[:2])] == found[:2]
        with pytest.raises(UsageError, match="no adapter “mine”"):
            answer(engine, three)
    finally:
        engine.close()


def test_what_cannot_be_laid_over_leaves_the_others_answering(base: Path, tmp_path: Path) -> None:
    other = save_base(tmp_path / "other", mistral=True)
    home = tmp_path / "runs"
    folder = finish(home, "odd", other, 3)
    config = json.loads((folder / "adapter" / "adapter_config.json").read_text("utf-8"))
    config["base_model_name_or_path"] = str(base)  # it lies about its base
    (folder / "adapter" / "adapter_config.json").write_text(json.dumps(config), "utf-8")
    stack = stack_of(base, {"sft": save_adapter(base, tmp_path / "sft", 1)})
    voice = ModelSpec("odd", "odd", "", "dpo", {"odd": 1.0})
    sources = {**stack.adapters, "odd": Source(str(folder / "adapter"))}
    wrong = Stack("tiny", "Tiny", stack.base, sources, (*stack.models, voice), "none")
    engine = engine_of(stack)
    try:
        before = answer(engine, [row("Hi", {"sft": 1.0})])[0].text
        with pytest.raises(StackError, match="odd"):
            engine.exchange(wrong)
        assert engine.stack == stack
        assert answer(engine, [row("Hi", {"sft": 1.0})])[0].text == before
        with pytest.raises(StackError, match="another base"):
            engine.exchange(stack_of(other, {}))
    finally:
        engine.close()


def test_only_whole_entries_on_the_same_base_are_listed(base: Path, tmp_path: Path) -> None:
    home = tmp_path / "runs"
    stack = stack_of(base, {})
    assert run_models(home) == ()
    finish(home, "older", base, 1)
    finish(home, "newer", base, 2)
    finish(home, "elsewhere", base, 3, base="some/where-else")
    finish(home, "base", base, 4)  # the stack's own model is called so
    finish(home, "odd", base, 5, colour="red")
    finish(home, "renamed", base, 6, name="before")
    finish(home, "climbing", base, 7, adapter="../older/adapter")
    (finish(home, "broken", base, 8) / "model.json").write_text("{", "utf-8")
    (finish(home, "early", base, 9) / "model.json").unlink()
    assert [model.spec.name for model in fitting(stack, home)] == ["newer", "older"]
    assert with_runs(stack, ["base"], home) is stack
    with pytest.raises(UsageError, match="no model “odd”; it has base, and the finished runs"):
        with_runs(stack, ["odd"], home)


def test_runs_over_a_base_of_no_stack_are_a_stack_of_their_own(base: Path, tmp_path: Path) -> None:
    """They answer beside their own base, are listed once a base, and are refused elsewhere."""
    home, other = tmp_path / "runs", save_base(tmp_path / "other", seed=5)
    finish(home, "known", base, 1)
    finish(home, "first", other, 2, prompt="shared")
    finish(home, "second", other, 3)
    stack = stack_of(base, {})
    (own,) = stacks_of_runs([stack], home)
    assert own.name == "run:second" and own.base.folder == other
    assert [model.name for model in own.models] == ["base", "second", "first"]
    assert stacks_of_runs([stack, own], home) == ()
    asked = stack_of_run("first", home)
    assert (asked.prompt, [model.name for model in asked.models[1:]]) == (
        "shared",
        ["first", "second"],
    )
    engine = engine_of(asked)
    try:
        rows = [row("Hello"), row("Hello", {"first": 1.0}), row("Hello", {"second": 1.0})]
        assert len({reply.text for reply in answer(engine, rows)}) == 3
    finally:
        engine.close()
    with pytest.raises(UsageError, match=r"sits on another base .* take --stack run:first"):
        with_runs(stack, ["first"], home)
    with pytest.raises(UsageError, match="No run “none” has finished; those that have: second"):
        stack_of_run("none", home)


def test_such_a_stack_is_chosen_by_name_and_listed(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("EMPO_HOME", str(tmp_path))
    settings.cache_clear()
    finish(tmp_path / "runs", "mine", base, 1)
    assert [model.name for model in choose_stack("run:mine").models] == ["base", "mine"]
    assert main(["models", "--json"]) == 0
    found = {stack["stack"]: stack for stack in json.loads(capsys.readouterr().out)["stacks"]}
    assert found["run:mine"]["here"] and found["run:mine"]["memory_bytes"]["cpu_none"] > 0
    assert main(["models", "--stack", "run:mine"]) == 0
    assert "mine" in capsys.readouterr().out
    assert main(["compare", "Hello", "--models", "mine", "--stack", "nano"]) == 2
    assert "take --stack run:mine" in capsys.readouterr().err
