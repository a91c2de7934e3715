"""The Results tab's behaviour without a browser: reports shown, wishes checked."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from empo.errors import DataError, UsageError
from empo.evaluation import shelf
from empo.evaluation.catalogue import ENTRIES, entry, measured
from empo.evaluation.pictures import colours, dots, heat
from empo.evaluation.request import Request
from empo.evaluation.run import evaluate
from empo.settings import settings
from empo.ui import results_job as job
from empo.ui.app import services_for
from empo.ui.results import Results, Wish
from empo.ui.services import Services

EVIL = "<img src=x onerror=alert(1)>"


@pytest.fixture
def services() -> Services:
    found = services_for("nano", None, "echo", settings())
    found.holder.load_here()
    return found


def a_report(folder: Path, name: str = "mine", reply: str = "So sorry!") -> Path:
    """A real report, on two recorded replies, in the shelf."""
    rows = [
        {"context": "I am sad", "reply": reply, "human": "Oh no.", "emotion": "sad"},
        {"context": "I won!", "reply": "Great, well done!", "human": "Wow!", "emotion": "joyful"},
    ]
    path = folder / f"{name}.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    out = settings().home / "reports" / name
    metrics = ("diff_epitome", "level", "words", "distinct")
    evaluate(Request(out, folder, replies=(path,), metrics=metrics))
    return out


@pytest.fixture(autouse=True)
def fresh_library() -> None:
    shutil.rmtree(settings().home / "reports", ignore_errors=True)


def test_the_example_is_there_before_anything_was_evaluated(services: Services) -> None:
    parts = Results(services).show(Wish(), owner=False)
    assert "Only the owner" in parts["form"] and parts["status"] == ""
    assert "diff-EPITOME" in parts["report"] and "(example)" in parts["report"]
    assert parts["report"].count("<svg") > 10 and 'data-emotion="' in parts["report"]


def test_the_example_has_numbers_and_no_text(services: Services) -> None:
    (example,) = [one for one in shelf.reports() if one.example]
    report = shelf.load(example.folder)
    assert list(report["systems"]) == ["base", "sft", "dpo"]
    assert report["run"]["counts"]["dialogues"] >= 50
    assert {path.name for path in example.folder.iterdir()} == {"report.json", "replies.jsonl.gz"}
    parts = Results(services).behind(Wish(example.name, system="dpo", emotion="sad"))
    assert "numbers only" in parts["behind"]


def test_an_own_report_comes_first_with_the_replies_behind_it(
    services: Services, tmp_path: Path
) -> None:
    a_report(tmp_path, reply=EVIL)
    results = Results(services)
    parts = results.show(Wish(), owner=True)
    assert parts["chosen"]["report"] == "mine" and "Evaluate" in parts["form"]
    found = results.behind(Wish("mine", metric="words", system="mine", emotion="sad"))["behind"]
    assert "&lt;img" in found and "<img" not in found and "Oh no." in found
    other = results.report(Wish("mine", other=shelf.reports()[-1].name))
    assert "A mine" in other["report"] and "B dpo" in other["report"]


def test_names_from_the_browser_are_looked_up_only(services: Services, tmp_path: Path) -> None:
    a_report(tmp_path)
    results = Results(services)
    for name in ("../../etc", "/etc/passwd", EVIL, "mine/../mine"):
        parts = results.report(Wish(name, other=name, metric=name))
        assert parts["chosen"]["report"] == "mine" and EVIL not in parts["report"]
        assert results.behind(Wish(name))["behind"].count("alert") == 1
    assert Wish.of({"report": 3, "system": "x" * 999, "more": "y"}) == Wish(system="x" * 200)


def test_a_damaged_report_is_one_sentence(services: Services, tmp_path: Path) -> None:
    folder = a_report(tmp_path)
    (folder / "report.json").write_text('{"systems": {}}', "utf-8")
    assert "field baselines is missing" in Results(services).report(Wish("mine"))["report"]
    (folder / "report.json").write_text("{", "utf-8")
    with pytest.raises(DataError, match="cannot be read"):
        shelf.load(folder)


@pytest.mark.parametrize(
    "data, said",
    [
        ({}, "at least one model"),
        ({"models": [], "dialogues": 3, "situations": ""}, "at least one model"),
        ({"models": ["x"], "dialogues": 3, "situations": ""}, "no model “x”"),
        ({"models": ["sft"], "dialogues": 10**9, "situations": ""}, "from 1 to 1000"),
        ({"models": ["sft"], "dialogues": "9", "situations": ""}, "whole number"),
        ({"models": ["sft"], "dialogues": None, "situations": " "}, "at least one situation"),
        ({"models": ["sft"], "dialogues": None, "situations": "x\n" * 201}, "At most 200"),
        ({"models": ["sft"], "dialogues": None, "situations": 5}, "must be text"),
    ],
)
def test_a_wrong_wish_is_one_sentence(services: Services, data: dict[str, Any], said: str) -> None:
    results = Results(services)
    parts = results.start(data)
    assert said in parts["status"] and not parts["running"]


def test_without_dialogues_the_form_says_how_to_get_them(
    no_data: Path,
) -> None:
    services = services_for("nano", None, "echo", settings())
    parts = Results(services).show(Wish(), owner=True)
    assert "fetch ed" in parts["form"] and 'value="dialogues"' not in parts["form"]
    with pytest.raises(DataError, match="fetch ed"):
        job.spec_of(services, ["sft"], 10, [])


def test_zero_gpu_has_no_background(services: Services) -> None:
    changed = services.settings.model_copy(update={"zero_gpu": True})
    other = services_for("nano", None, "echo", changed)
    with pytest.raises(UsageError, match="ZeroGPU"):
        job.start(other, job.spec_of(other, ["sft"], None, ["x"]))


def test_pictures_hold_intervals_and_baselines() -> None:
    number = {"value": 0.7, "low": 0.6, "high": 0.8, "n": 9}
    report = {
        "systems": {"dpo": {"words": number}, "sft": {"words": {"value": None, "why": "none"}}},
        "baselines": {"human": {"words": {"value": 0.5, "low": None, "high": None, "n": 9}}},
    }
    words = entry("words")
    assert words is not None and measured({**report, "comparisons": []}) == (words,)
    picture = dots(words, report)
    assert "dpo: 0.70 (0.60 to 0.80), 9 replies" in picture and "human: 0.50" in picture
    assert "not measured. none" in picture and picture.count("<circle") == 1
    assert dots(words, {"systems": {}, "baselines": {}}) == ""
    assert "Nothing of this" in heat({}, ["dpo"], words)
    assert len(set(colours(["base", "sft", "dpo", "a", "b", "c"]).values())) == 6
    assert len({e.path for e in ENTRIES}) == len(ENTRIES)
