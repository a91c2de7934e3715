"""General knowledge: our probe on nano, and lm-evaluation-harness with a task of our own."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest

from empo.cli import main
from empo.errors import DataError, UsageError
from empo.evaluation.forgetting import dropped
from empo.evaluation.request import Request
from empo.evaluation.run import evaluate
from empo.models.harness import harness
from empo.models.likelihood import Likelihood
from empo.models.probe import Question, probe, read_questions
from empo.models.stacks import load_stack
from empo.types import Turn

INSTALLED = importlib.util.find_spec("lm_eval") is not None
TASK = """
task: empo_mc
dataset_path: json
dataset_kwargs: {{data_files: {{test: {file}}}}}
output_type: multiple_choice
test_split: test
doc_to_text: "{{{{question}}}}"
doc_to_choice: "{{{{choices}}}}"
doc_to_target: "{{{{label}}}}"
metric_list: [{{metric: acc, aggregation: mean, higher_is_better: true}}]
"""


def test_the_questions_have_one_right_answer_each() -> None:
    questions = read_questions()
    assert len(questions) == 40 == len({q.text for q in questions})
    for question in questions:
        assert len(set(question.answers)) == 4 and 0 <= question.right < 4
    # Nobody gains by always taking the same place.
    places = [question.right for question in questions]
    assert {places.count(place) for place in range(4)} == {10}


def test_a_damaged_question_is_named(tmp_path: Path) -> None:
    path = tmp_path / "q.jsonl"
    path.write_text('{"question": "x"}\n', "utf-8")
    with pytest.raises(DataError, match=r"q\.jsonl, line 1"):
        read_questions(path)


def test_the_probe_takes_the_likeliest_answer_a_token() -> None:
    stack = load_stack("nano")
    likelihood = Likelihood(stack)
    question = Question("I lost my job.", ("I am so sorry to hear that.", "Xq zrk vvlm."), 0)
    wrong = Question("I lost my job.", ("Xq zrk vvlm.", "I am so sorry to hear that."), 0)
    assert probe(stack, "sft", (question, wrong), likelihood) == [True, False]
    first, second = (
        likelihood.score("sft", [(Turn("user", question.text), Turn("assistant", a))])[0][-1]
        for a in question.answers
    )
    assert first.nats / first.tokens < second.nats / second.tokens


def report_of(**shares: float) -> dict[str, Any]:
    return {
        "systems": {
            name: {"forgetting": {"probe": {"value": share}}} for name, share in shares.items()
        }
    }


def test_the_gate_closes_where_too_much_is_forgotten() -> None:
    assert dropped(report_of(base=0.5, dpo=0.45), 0.1) == []
    (said,) = dropped(report_of(base=0.5, sft=0.6, dpo=0.35), 0.1)
    assert said == "probe: dpo is at 0.350, base at 0.500: it fell by more than 0.1."


def test_a_gate_needs_a_task(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", "--gate", "0.1", "--out", str(tmp_path)]) == 2
    assert "goes with --tasks" in capsys.readouterr().err


def test_the_probe_stands_in_the_report_and_gates(
    tmp_path: Path, no_data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A fall below the first model by more than nothing fails the command, a large gate not."""
    request = Request(
        tmp_path,
        no_data,
        situations=("I lost my job.",),
        metrics=("perplexity",),
        tasks=("probe",),
    )
    report = evaluate(request)
    shares = {name: m["forgetting"]["probe"]["value"] for name, m in report["systems"].items()}
    assert all(0 <= share <= 1 for share in shares.values())
    assert report["systems"]["sft"]["forgetting"]["probe"]["n"] == 40
    worst = max(shares["base"] - share for share in shares.values())
    assert dropped(report, worst + 0.001) == []
    assert bool(dropped(report, 0.0)) == (worst > 0)
    assert "| General knowledge | probe |" in (tmp_path / "report.md").read_text("utf-8")


@pytest.mark.skipif(INSTALLED, reason="lm-evaluation-harness is installed")
def test_without_the_harness_the_remedy_is_said() -> None:
    with pytest.raises(UsageError, match=r"pip install -r requirements-eval\.txt"):
        harness(load_stack("nano"), "sft", ["mmlu"])


def own_task(folder: Path) -> Path:
    rows = [
        {"question": "I lost my job.", "choices": ["I am so sorry.", "Xq zrk vvlm."], "label": 0},
        {"question": "I got a job!", "choices": ["Zzk qqx pl.", "That is great!"], "label": 1},
    ]
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    text = TASK.format(file=folder / "rows.jsonl")
    (folder / "empo_mc.yaml").write_text(text, "utf-8")
    return folder


@pytest.mark.skipif(not INSTALLED, reason="needs pip install -r requirements-eval.txt")
def test_the_harness_measures_each_model_as_it_is_served(tmp_path: Path, no_data: Path) -> None:
    (tmp_path / "tasks").mkdir()
    folder = own_task(tmp_path / "tasks")
    report = evaluate(
        Request(
            tmp_path / "out",
            no_data,
            situations=("I lost my job.",),
            models=("base", "dpo"),
            metrics=("perplexity",),
            tasks=("empo_mc",),
            task_path=folder,
        )
    )
    for name in ("base", "dpo"):
        found = report["systems"][name]["forgetting"]["empo_mc"]
        assert found["value"] == 1.0 and found["n"] == 2
    assert "| dpo |" in (tmp_path / "out" / "report.md").read_text("utf-8")
    with pytest.raises(UsageError, match="no task “absent”"):
        harness(load_stack("nano"), "base", ["absent"], folder)
