"""The command line: exit codes, one sentence on standard error, the documents it prints."""

from __future__ import annotations

import json
import math
import os
import pty
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from empo.cli import COMMANDS, main
from empo.cli.compare import adapter_name, answer, as_text, chosen
from empo.cli.terminal import ProgressLine, megabytes, table
from empo.errors import UsageError
from empo.models.echo import EchoEngine
from empo.models.stacks import load_stack
from empo.types import ModelSpec, Sampling

ROOT = Path(__file__).resolve().parent.parent


def empo(*args: str, stdin: str | None = None, **environment: str) -> subprocess.CompletedProcess:
    """`python -m empo …` as a person runs it."""
    return subprocess.run(
        [sys.executable, "-m", "empo", *args],
        cwd=ROOT,
        env={**os.environ, **environment},
        input=stdin if stdin is not None else "",
        capture_output=True,
        text=True,
        timeout=120,
    )


def sentence(run: subprocess.CompletedProcess) -> str:
    """What a failed run said: one line on standard error, nothing else, no traceback."""
    assert run.stdout == ""
    assert run.stderr.endswith("\n")
    assert run.stderr.count("\n") == 1, run.stderr
    assert "Traceback" not in run.stderr
    return run.stderr.strip()


def test_help_names_every_command() -> None:
    run = empo("--help")
    assert run.returncode == 0
    for module in COMMANDS:
        assert module.__name__.rsplit(".", 1)[1] in run.stdout
        assert (module.__doc__ or "").strip()


@pytest.mark.parametrize(
    "args, said",
    [
        ((), "required: COMMAND"),
        (("dance",), "invalid choice: 'dance'"),
        (("doctor", "--loud"), "nrecognized arguments: --loud"),
        (("compare",), "required: TEXT"),
        (("compare", "hi", "--temperature", "warm"), "invalid float value: 'warm'"),
        (("compare", "hi", "--quantisation", "fp8"), "invalid choice: 'fp8'"),
    ],
)
def test_wrong_options_are_one_sentence_and_exit_2(
    args: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        main(args)
    assert end.value.code == 2
    shown = capsys.readouterr()
    assert (shown.out, shown.err.count("\n")) == ("", 1)
    assert said in shown.err and "--help" in shown.err


def test_wrong_options_from_outside() -> None:
    run = empo("compare", "hi", "--temperature", "warm")
    assert run.returncode == 2
    assert "invalid float value: 'warm'" in sentence(run)


@pytest.mark.parametrize(
    "args, said",
    [
        (("compare", ""), "The message is empty"),
        (("compare", " \x07 \t"), "The message is empty"),
        (("compare", "hi", "--stack", "giant"), "no stack “giant”; choose nano"),
        (("compare", "hi", "--models", "base,gpt"), "no model “gpt”; it has base, sft, dpo"),
        (("compare", "hi", "--models", "base,"), "no model “”"),
        (("compare", "hi", "--prompt", "rude"), "no prompt “rude”; choose one of none"),
        (("compare", "hi", "--temperature", "-1"), "temperature must be from 0 to 2"),
        (("compare", "hi", "--temperature", "nan"), "temperature must be"),
        (("compare", "hi", "--top-p", "0"), "top-p must be above 0 and at most 1"),
        (("compare", "hi", "--top-k", "-1"), "top-k must be"),
        (("compare", "hi", "--min-p", "2"), "min-p must be"),
        (("compare", "hi", "--repetition-penalty", "0"), "repetition-penalty must be"),
        (("compare", "hi", "--max-new-tokens", "0"), "max-new-tokens must be"),
        (("compare", "hi", "--seed", "-1"), "seed must be"),
        (("fetch", "reddit"), "choose ed, epitome, replies, vad"),
        (("evaluate", "--limit", "0"), "--limit must be at least 1"),
        (("evaluate", "--seed", "-3"), "--seed must be"),
        (("evaluate", "--stack", "giant"), "no stack “giant”"),
        (("models", "--stack", "giant"), "no stack “giant”"),
    ],
)
def test_wrong_use_is_one_sentence_and_exit_2(
    args: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """In this process: the same `main`, without a new interpreter for each."""
    assert main(args) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert said in shown.err
    assert shown.err.count("\n") == 1


def test_a_megabyte_on_standard_input_is_refused_before_anything_loads() -> None:
    run = empo("compare", "-", stdin="a" * 1_000_000)
    assert run.returncode == 2
    assert "1,000,000 characters; at most 8,000" in sentence(run)


def test_bytes_that_are_no_text_do_no_harm() -> None:
    run = subprocess.run(
        [sys.executable, "-m", "empo", "compare", b"\xff\xfe", "--models", b"\xff"],
        cwd=ROOT,
        capture_output=True,
        timeout=300,
    )
    assert run.returncode == 2
    assert b"no model" in run.stderr and b"Traceback" not in run.stderr


def test_a_wrong_variable_is_wrong_use() -> None:
    run = empo("doctor", EMPO_PORT="seven")
    assert run.returncode == 2
    assert "The variable EMPO_PORT is wrong" in sentence(run)


def test_a_bug_is_one_sentence_too(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(args: object) -> int:
        raise ZeroDivisionError("two\nlines")

    monkeypatch.setattr("empo.cli.doctor.run", broken)
    assert main(["doctor"]) == 1
    err = capsys.readouterr().err
    assert err.startswith("This should not have happened: ZeroDivisionError: two lines")
    with pytest.raises(ZeroDivisionError):
        main(["--debug", "doctor"])


def test_an_interruption_is_quiet(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(args: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr("empo.cli.doctor.run", interrupted)
    assert main(["doctor"]) == 130
    assert capsys.readouterr() == ("", "")


def test_a_reader_that_leaves_is_no_error() -> None:
    run = subprocess.run(
        f"{sys.executable} -m empo doctor --json | head -c 1",
        shell=True,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert run.stderr == ""


# --- fetch ------------------------------------------------------------------------------------


def test_fetch_shows_the_terms_and_asks_nobody_who_is_not_there(tmp_path: Path) -> None:
    run = empo("fetch", "ed", EMPO_DATA=str(tmp_path))
    assert run.returncode == 2
    assert "CC BY-NC 4.0" in run.stderr
    assert run.stderr.splitlines()[-1].endswith("Nobody can answer here: add --accept if you do.")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("reply, code", [("n\n", 1), ("\n", 1)])
def test_a_no_fetches_nothing(tmp_path: Path, reply: str, code: int) -> None:
    """On a real terminal."""
    ours, theirs = pty.openpty()
    run = subprocess.Popen(
        [sys.executable, "-m", "empo", "fetch", "vad"],
        cwd=ROOT,
        env={**os.environ, "EMPO_DATA": str(tmp_path)},
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    os.write(ours, reply.encode())
    out, err = run.communicate(timeout=300)
    os.close(ours)
    os.close(theirs)
    assert (run.returncode, out) == (code, "")
    assert "Do you accept these terms? [y/N]" in err
    assert err.endswith("Nothing was fetched.\n")
    assert list(tmp_path.iterdir()) == []


def test_fetch_without_a_network_is_one_sentence_after_the_terms(tmp_path: Path) -> None:
    address = "file:///etc"
    run = empo("fetch", "vad", "--accept", "--base-url", address, EMPO_DATA=str(tmp_path))
    assert run.returncode == 1
    assert "is not an address that can be fetched" in run.stderr.splitlines()[-1]
    assert "Traceback" not in run.stderr


# --- compare ----------------------------------------------------------------------------------


@pytest.fixture
def lexicon(no_data: Path) -> Path:
    """A VAD lexicon of two words in the data folder."""
    path = no_data / "nrc_vad_lexicon.txt"
    path.write_text("love\t1.000\t0.519\t0.673\nheard\t0.5\t0.4\t0.5\n")
    return path


def said(message: str, *names: str, **sampling: Any) -> dict[str, Any]:
    stack = load_stack("nano")
    specs = [stack.model(name) for name in names]
    return answer(EchoEngine(stack), message, specs, Sampling(**sampling), stack.prompt)


def test_the_document_of_compare_has_exactly_this_shape(no_data: Path) -> None:
    found = said("I love it", "dpo", "base", seed=7)
    assert list(found) == [
        *("stack", "quantisation", "seed", "prompt", "first_token_seconds"),
        *("tokens_per_second", "replies"),
    ]
    assert (found["stack"], found["quantisation"], found["seed"]) == ("nano", "none", 7)
    assert found["prompt"] == "none"
    assert math.isfinite(found["tokens_per_second"]) and found["tokens_per_second"] > 0
    first, second = found["replies"]
    assert (first["model"], second["model"]) == ("dpo", "base"), "in the order that was asked for"
    assert list(first) == [
        *("model", "stage", "adapter", "text", "tokens", "seconds", "stopped_by", "scores")
    ]
    assert (first["stage"], first["adapter"], first["text"]) == (
        "dpo",
        "dpo",
        "dpo heard: I love it",
    )
    assert (first["tokens"], first["stopped_by"]) == (5, "end")
    assert (second["stage"], second["adapter"]) == ("base", None)
    assert list(first["scores"]) == [
        *("emotional_reaction", "interpretation", "exploration", "valence", "emotion")
    ]
    assert first["scores"]["valence"]["vader"] > 0.5
    assert first["scores"]["valence"]["vad"] is None
    json.dumps(found, allow_nan=False)


def test_a_lexicon_that_is_here_is_used(lexicon: Path) -> None:
    """love 1 and heard .5 are known of “base heard: I love it”: their mean."""
    (reply,) = said("I love it", "base")["replies"]
    assert reply["scores"]["valence"]["vad"]["valence"] == pytest.approx(0.75)


def test_a_broken_lexicon_is_said_before_anything_loads(
    lexicon: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lexicon.write_text("love\tmuch\n")
    assert main(["compare", "hi"]) == 1
    assert "nrc_vad_lexicon.txt" in capsys.readouterr().err


def test_what_is_not_measured_is_null_and_not_zero(no_data: Path) -> None:
    (reply,) = said("zxqv", "base")["replies"]
    assert reply["scores"]["valence"] == {"vader": None, "vad": None}


def test_the_text_form_shows_every_reply_and_its_facts() -> None:
    stack = load_stack("nano")
    text = as_text(said("I love it", "base", "sft"), [stack.model("base"), stack.model("sft")])
    assert "Base – before training\n  base heard: I love it" in text
    assert "(5 tokens, 0.0 s, end, valence +0.64)" in text
    assert "stack nano, quantisation none, prompt none, seed 0" in text


def test_all_models_are_the_default_and_order_is_kept() -> None:
    stack = load_stack("nano")
    assert [s.name for s in chosen(stack, None)] == ["base", "sft", "dpo"]
    assert [s.name for s in chosen(stack, "dpo, base")] == ["dpo", "base"]
    with pytest.raises(UsageError):
        chosen(stack, "")


@pytest.mark.parametrize(
    "adapters, name",
    [
        ({}, None),
        ({"sft": 1}, "sft"),
        ({"sft": 0.0, "dpo": 1.0}, "dpo"),
        ({"sft": 0.5, "dpo": 0.5}, "sft:0.5+dpo:0.5"),
        ({"sft": 0.5}, "sft:0.5"),
    ],
)
def test_the_adapter_of_a_reply(adapters: dict[str, float], name: str | None) -> None:
    assert adapter_name(ModelSpec("m", "M", "", "blend", adapters)) == name


# --- terminal ---------------------------------------------------------------------------------


def test_a_table_is_as_wide_as_it_needs_to_be() -> None:
    assert table(("a", "b"), [("x", 1), ("long", "")]) == "a     b\nx     1\nlong"


@pytest.mark.parametrize(
    "count, text", [(0, "0.0 MB"), (17_050_000, "17.1 MB"), (3.864e9, "3.86 GB")]
)
def test_bytes_for_a_person(count: float, text: str) -> None:
    assert megabytes(count) == text


def test_a_progress_line_is_quiet_between_and_shows_the_last(
    capsys: pytest.CaptureFixture[str],
) -> None:
    line = ProgressLine(seconds=60)
    for share in range(100):
        line.show(f"{share}%")
    line.show("100%", last=True)
    assert capsys.readouterr().err == "0%\n100%\n"
