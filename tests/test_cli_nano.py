"""`python -m empo compare` with the embedded models."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from empo.cli import main
from empo.settings import ROOT

MESSAGE = "I finally got the job I wanted!"


@pytest.fixture
def ask(no_data: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    def run(*args: str) -> dict[str, Any]:
        assert main(["compare", MESSAGE, "--stack", "nano", "--json", *args]) == 0
        return json.loads(capsys.readouterr().out)

    return run


def texts(found: dict[str, Any]) -> dict[str, str]:
    return {reply["model"]: reply["text"] for reply in found["replies"]}


def test_from_outside_it_prints_one_json_object_and_nothing_else() -> None:
    run = subprocess.run(
        [sys.executable, "-m", "empo", "compare", "-", "--json", "--seed", "5"],
        cwd=ROOT,
        input=MESSAGE,
        capture_output=True,
        text=True,
        timeout=180,
    )
    assert (run.returncode, run.stderr) == (0, "")
    found = json.loads(run.stdout)
    assert (found["stack"], found["prompt"], found["seed"]) == ("nano", "none", 5)
    assert [reply["model"] for reply in found["replies"]] == ["base", "sft", "dpo"]
    assert [reply["adapter"] for reply in found["replies"]] == [None, "sft", "dpo"]
    assert found["first_token_seconds"] > 0 and found["tokens_per_second"] > 0
    for reply in found["replies"]:
        assert reply["text"] and reply["tokens"] > 0 and reply["seconds"] > 0
        assert reply["stopped_by"] in ("end", "length")


def test_a_seed_repeats_itself_in_any_company_and_order(ask: Any) -> None:
    alone = texts(ask("--models", "sft", "--seed", "11"))
    found = ask("--models", "dpo,sft,base", "--seed", "11")
    assert list(texts(found)) == ["dpo", "sft", "base"]
    assert texts(found)["sft"] == alone["sft"]


def test_temperature_0_is_the_likeliest_whatever_the_seed_and_penalty(ask: Any) -> None:
    one = ask("--temperature", "0", "--seed", "1")
    other = ask("--temperature", "0", "--seed", "2", "--repetition-penalty", "1.8", "--top-k", "1")
    assert texts(one) == texts(other)


def test_an_adapter_makes_a_difference(ask: Any) -> None:
    found = texts(ask("--temperature", "0", "--models", "base,sft"))
    assert found["base"] != found["sft"]


def test_a_length_is_kept(ask: Any) -> None:
    for reply in ask("--max-new-tokens", "2")["replies"]:
        assert reply["tokens"] <= 2
        assert reply["stopped_by"] in ("length", "end")


def test_nf4_answers_on_a_cpu_and_says_so(ask: Any) -> None:
    found = ask("--quantisation", "nf4", "--max-new-tokens", "5", "--models", "base")
    assert found["quantisation"] == "nf4"
    assert found["replies"][0]["tokens"] > 0


def test_a_broken_adapter_folder_is_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "adapter_config.json").write_text("{}")
    (broken / "adapter_model.safetensors").write_bytes(b"not safetensors")
    (tmp_path / "own.yaml").write_text(
        f"""
name: own
title: Own
base: {{path: assets/models/nano/base}}
adapters: {{a: {{path: "{broken}"}}}}
models: [{{name: a, label: A, plain: mine, stage: sft, adapters: {{a: 1}}}}]
prompt: none
"""
    )
    assert main(["compare", "hi", "--stack", str(tmp_path / "own.yaml")]) == 1
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.count("\n") == 1 and str(broken) in shown.err
