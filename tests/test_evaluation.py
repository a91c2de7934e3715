"""The evaluation end to end on a few real dialogues; only the generating engine is the echo."""

from __future__ import annotations

import gzip
import json
import math
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from empo.cli import main
from empo.data.dialogues import load_split
from empo.errors import UsageError
from empo.evaluation.generate import FILE
from empo.evaluation.replies import behind, by_emotion, read_lines
from empo.evaluation.report import markdown
from empo.evaluation.request import METRICS, Request, Stopped, duration
from empo.evaluation.run import evaluate
from empo.models.echo import EchoEngine
from empo.models.likelihood import Likelihood
from empo.models.stacks import load_stack
from empo.pairs import paper_pairs
from empo.settings import settings
from empo.types import Turn

KEPT = 24
NUMBER = {"value", "low", "high", "n"}


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory, data_folder: Path) -> Path:
    """A folder with the first dialogues of the real training and test splits."""
    folder = tmp_path_factory.mktemp("few")
    for split, count in (("train", 400), ("valid", 100), ("test", KEPT)):
        name = f"ed_{split}.jsonl.gz"
        with gzip.open(data_folder / name, "rt", encoding="utf-8") as whole:
            # The files are sorted by emotion: evenly spread lines hold all of them.
            lines = whole.readlines()
            lines = lines[:: len(lines) // count][:count]
        with gzip.open(folder / name, "wt", encoding="utf-8") as part:
            part.writelines(lines)
    return folder


def echo() -> EchoEngine:
    return EchoEngine(load_stack("nano"))


@pytest.fixture
def small_data(few: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Words are counted in the few dialogues, not in all of them."""
    monkeypatch.setenv("EMPO_DATA", str(few))
    settings.cache_clear()


@pytest.fixture(scope="module")
def done(
    few: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[dict[str, Any], Path, list[str]]]:
    """Report, folder and what was heard of an evaluation of nano's three models."""
    torch.set_num_threads(1)
    out = tmp_path_factory.mktemp("done")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EMPO_DATA", str(few))
        settings.cache_clear()
        heard: list[tuple[str, float]] = []
        report = evaluate(
            Request(out, few, limit=KEPT),
            lambda text, share: heard.append((text, share)),
            engine=echo(),
        )
    assert heard and all(0 <= share <= 1 for _, share in heard)
    yield report, out, [text for text, _ in heard]


def numbers(found: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every number of a METRICS tree with its path."""
    if "value" in found:
        yield path, found
        return
    for key, inner in found.items():
        yield from numbers(inner, f"{path}/{key}")


def test_the_report_has_the_promised_shape(done: tuple[dict[str, Any], Path, list[str]]) -> None:
    report, out, heard = done
    assert json.loads((out / "report.json").read_text("utf-8")) == report
    assert list(report) == ["systems", "baselines", "comparisons", "run"]
    assert list(report["systems"]) == ["base", "sft", "dpo"]
    assert {"seeds", "prompt", "sampling", "revisions", "counts"} <= set(report["run"])
    assert {"human replies, sft", "rejected replies, dpo", "replies"} <= set(heard)
    for metrics in (*report["systems"].values(), *report["baselines"].values()):
        assert set(METRICS) <= set(metrics)
        assert set(metrics["diff_epitome"]) == {"ip", "ex", "er", "mean"}
        assert set(metrics["level"]) == set(metrics["kappa"]) == {"ip", "ex", "er"}
        assert set(metrics["distinct"]) == {"1", "2", "3"}
        for path, number in numbers(metrics):
            assert set(number) >= NUMBER, path
            if number["value"] is None:
                assert number["why"], path
            else:
                assert number["low"] is None or number["low"] <= number["high"], path
                assert number["n"] > 0, path


def test_the_baselines_stand_beside(done: tuple[dict[str, Any], Path, list[str]]) -> None:
    report, *_ = done
    matched = {f"length-matched {name}" for name in ("base", "sft", "dpo")}
    learnt = {"longer reply", "overlap with the context", "typical of the emotion"}
    first = {"constant-0", "majority", "human", "shuffled human"}
    assert set(report["baselines"]) == first | matched | learnt
    baselines = report["baselines"]
    assert baselines["constant-0"]["level"]["er"]["value"] == 0.0
    words = [baselines[name]["words"]["value"] for name in ("human", "shuffled human")]
    assert words[0] == pytest.approx(words[1])
    for name in learnt:
        assert 0 <= baselines[name]["pair_accuracy"]["value"] <= 1
    # roberta-large is out of reach in tests: the other encoder's figure has a name of its own.
    system = report["systems"]["sft"]
    assert system["bertscore_f1"]["value"] is None and "roberta" in system["bertscore_f1"]["why"]
    assert -1 <= system["bertscore_f1_embedded"]["value"] <= 1


def test_likelihoods_follow_from_single_scores(
    done: tuple[dict[str, Any], Path, list[str]], few: Path
) -> None:
    """Perplexity and pair accuracy, worked again."""
    systems = done[0]["systems"]
    dialogues = load_split(few, "test")
    likelihood = Likelihood(load_stack("nano"))
    turns = [t for d in likelihood.score("sft", [d.turns for d in dialogues]) for t in d]
    nats = sum(t.nats for t in turns) / sum(t.tokens for t in turns)
    assert systems["sft"]["perplexity"]["value"] == pytest.approx(math.exp(nats), rel=1e-4)
    pairs = paper_pairs(dialogues, 0)
    assert systems["dpo"]["pair_accuracy"]["n"] == len(pairs) > 5
    texts = [(*p.prompt, Turn("assistant", r)) for p in pairs for r in (p.chosen, p.rejected)]
    sft, dpo = (
        [turns[-1].nats for turns in likelihood.score(name, texts)] for name in ("sft", "dpo")
    )
    ratios = [s - d for s, d in zip(sft, dpo, strict=True)]
    won = sum(c > r for c, r in zip(ratios[::2], ratios[1::2], strict=True)) / len(pairs)
    assert systems["dpo"]["pair_accuracy"]["value"] == pytest.approx(won, abs=1 / len(pairs))
    assert systems["sft"]["pair_accuracy"]["value"] is None


def test_replies_come_from_the_engine_and_stand_in_the_file(
    done: tuple[dict[str, Any], Path, list[str]],
) -> None:
    """The echo says the last user turn back after two words of its own."""
    report, out, _ = done
    lines = read_lines(out)
    assert len(lines) == 4 * KEPT and {line["system"] for line in lines} == {
        *("base", "sft", "dpo", "human"),
    }  # fmt: skip
    own = [line for line in lines if line["system"] == "sft"]
    heard = sum(min(60, 2 + len(line["context"][-1].split())) for line in own) / KEPT
    assert report["systems"]["sft"]["words"]["value"] == pytest.approx(heard)
    assert own[0]["scores"]["words"] == len(own[0]["reply"].split())
    cells = by_emotion(lines, "words")
    assert sum(count for row in cells.values() for _, count in row.values()) == 4 * KEPT
    found = behind(lines, "sft", None, "words", 4)
    sizes = [line["scores"]["words"] for line in found]
    assert len(found) == 4 and sizes[0] == max(line["scores"]["words"] for line in own)
    assert sizes[-1] == min(line["scores"]["words"] for line in own)


def test_comparisons_are_paired_and_corrected(
    done: tuple[dict[str, Any], Path, list[str]],
) -> None:
    rows = done[0]["comparisons"]
    assert all(0 < row["p"] <= row["p_holm"] <= 1 for row in rows)
    # The echo says the same for every model: no difference at all.
    same = next(r for r in rows if (r["a"], r["b"], r["metric"]) == ("base", "sft", "words"))
    assert same["difference"]["value"] == 0.0 and same["p_holm"] == 1.0
    assert any(row["b"] == "constant-0" for row in rows)
    assert not any(row["b"] == "length-matched sft" and row["a"] != "sft" for row in rows)


def test_pages_hold_the_numbers(done: tuple[dict[str, Any], Path, list[str]]) -> None:
    report, out, _ = done
    text, html = (out / "report.md").read_text("utf-8"), (out / "report.html").read_text("utf-8")
    assert text.strip() == markdown(report) and "| dpo |" in text and "constant-0" in text
    assert html.count("<svg") > 10 and "<script" not in html and "http" not in html
    assert "reply perplexity" in html and 'data-emotion="' in html


def test_its_own_file_can_be_measured_again(
    done: tuple[dict[str, Any], Path, list[str]], tmp_path: Path, small_data: None
) -> None:
    """Stored levels are used, and give the same figures."""
    first, out, _ = done
    metrics = ("diff_epitome", "level", "distinct", "words", "nidf")
    again = evaluate(Request(tmp_path, tmp_path, replies=(out / "replies.jsonl",), metrics=metrics))
    assert again["run"]["levels"] == "stored with the replies"
    for name, found in again["systems"].items():
        for key in metrics:
            assert found[key] == first["systems"][name][key], (name, key)
    assert again["baselines"]["human"]["words"] == first["baselines"]["human"]["words"]


WORDS = ("words", "diff_epitome")


def test_an_interrupted_run_goes_on_to_the_same_report(
    few: Path, tmp_path: Path, small_data: None
) -> None:
    whole = evaluate(Request(tmp_path / "a", few, metrics=WORDS), engine=echo())
    request, stop = Request(tmp_path / "b", few, metrics=WORDS), threading.Event()

    def interrupt(text: str, share: float) -> None:
        if share > 0.3:
            stop.set()

    with pytest.raises(Stopped, match="goes on"):
        evaluate(request, interrupt, stop, echo())
    written = (tmp_path / "b" / FILE).read_text("utf-8")
    assert 1 < len(written.splitlines()) < 3 * KEPT and not (tmp_path / "b/report.json").exists()
    # Half a line, as after a power cut.
    (tmp_path / "b" / FILE).write_text(written + '{"model": "base", "id": "hi', "utf-8")
    shares: list[float] = []
    again = evaluate(
        request, lambda text, share: shares.append(share) if text == "replies" else None,
        engine=echo(),
    )  # fmt: skip
    assert shares[0] > 0.5, "it began where it had stopped"
    assert again == whole
    assert (tmp_path / "a/replies.jsonl").read_bytes() == (
        tmp_path / "b/replies.jsonl"
    ).read_bytes()


def test_replies_made_in_another_way_are_not_mixed_in(
    few: Path, tmp_path: Path, small_data: None
) -> None:
    evaluate(Request(tmp_path, few, metrics=("words",), limit=3), engine=echo())
    with pytest.raises(UsageError, match="dialogues differs"):
        evaluate(Request(tmp_path, few, metrics=("words",), limit=4), engine=echo())
    with pytest.raises(UsageError, match="prompt differs"):
        evaluate(
            Request(tmp_path, few, metrics=("words",), limit=3, prompt="shared"), engine=echo()
        )
    # Another model of the same stack goes on in the same folder.
    report = evaluate(
        Request(tmp_path, few, metrics=("words",), limit=3, models=("dpo",)), engine=echo()
    )
    assert list(report["systems"]) == ["dpo"]


@pytest.mark.slow
def test_in_four_bits_everything_is_measured_as_it_is_served(
    few: Path, tmp_path: Path, small_data: None
) -> None:
    """Replies, likelihoods and the probe; nothing of it is mixed with what is not quantised."""
    torch.set_num_threads(1)
    metrics = ("words", "perplexity", "pair_accuracy")
    asked = Request(tmp_path, few, limit=2, models=("sft", "dpo"), metrics=metrics)
    report = evaluate(replace(asked, quantisation="nf4", tasks=("probe",)))
    assert report["run"]["quantisation"] == "nf4"
    assert "stack nano in nf4" in (tmp_path / "report.md").read_text("utf-8")
    plain = evaluate(replace(asked, out=tmp_path / "plain", metrics=("perplexity",)))
    assert plain["run"]["quantisation"] == "none"
    for name in ("sft", "dpo"):
        four, full = (r["systems"][name]["perplexity"]["value"] for r in (report, plain))
        assert four != full and four == pytest.approx(full, rel=0.2)
        assert report["systems"][name]["words"]["value"] > 0
        assert report["systems"][name]["forgetting"]["probe"]["n"] == 40
    with pytest.raises(UsageError, match="quantisation differs"):
        evaluate(replace(asked, metrics=("words",)))


def test_nothing_is_generated_for_likelihoods_alone(
    few: Path, tmp_path: Path, small_data: None
) -> None:
    report = evaluate(
        Request(tmp_path, few, limit=4, models=("base",), metrics=("perplexity",)), engine=echo()
    )
    assert report["systems"]["base"]["perplexity"]["n"] == 4
    assert not (tmp_path / FILE).exists() and report["baselines"] == {}


def test_situations_have_no_human_to_compare_with(tmp_path: Path, no_data: Path) -> None:
    report = evaluate(
        Request(
            tmp_path,
            no_data,
            situations=("My dog died.", "I won!"),
            models=("sft",),
            metrics=("diff_epitome", "level", "words", "vad", "nidf", "perplexity"),
        ),
        engine=echo(),
    )
    system = report["systems"]["sft"]
    assert system["words"]["n"] == system["level"]["er"]["n"] == 2
    assert system["diff_epitome"]["er"]["value"] is None and report["baselines"] == {}
    assert "fetch vad" in system["vad"]["diff_max_v"]["why"]
    assert "fetch ed" in system["nidf"]["why"]
    assert "no human reply" in system["perplexity"]["why"]


def test_texts_can_be_left_out(few: Path, tmp_path: Path, small_data: None) -> None:
    evaluate(
        Request(tmp_path, few, limit=4, metrics=("words",), texts=False, models=("base",)),
        engine=echo(),
    )
    lines = read_lines(tmp_path)
    assert len(lines) == 8 and all("reply" not in line and "context" not in line for line in lines)
    assert not (tmp_path / FILE).exists() and not (tmp_path / "replies.jsonl").exists()


@pytest.mark.parametrize(
    "change, said",
    [
        ({"models": ("x",)}, "no model “x”"),
        ({"metrics": ("bleu",)}, "no metric “bleu”"),
        ({"metrics": ()}, "at least one metric"),
        ({"split": "dev"}, "no split “dev”"),
        ({"limit": 0}, "at least 1"),
        ({"models": ("sft", "sft")}, "named twice"),
        ({"models": ("sft",), "replies": (Path("x.jsonl"),)}, "not both"),
        ({"replies": (Path("x.jsonl"),), "tasks": ("probe",)}, "cannot answer"),
    ],
)
def test_a_wrong_request_is_one_sentence(
    few: Path, tmp_path: Path, change: dict[str, Any], said: str
) -> None:
    with pytest.raises(UsageError, match=said) as error:
        evaluate(Request(tmp_path, few, **change))
    assert "\n" not in str(error.value)


def test_the_command_measures_a_file_and_prints_json(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [{"context": f"I am sad {n}", "reply": "So sorry! Why?", "human": "Oh."} for n in "abc"]
    path = tmp_path / "mine.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    command = ["evaluate", "--replies", str(path), "--metrics", "level,words", "--out"]
    assert main([*command, str(tmp_path / "out"), "--json"]) == 0
    printed = capsys.readouterr()
    assert json.loads(printed.out)["systems"]["mine"]["words"]["value"] == 3.0
    assert "Written to" in printed.err
    assert main([*command, str(tmp_path / "out")]) == 0
    assert "| mine |" in capsys.readouterr().out
    path.write_text("{}\n", "utf-8")
    assert main([*command, str(tmp_path / "out")]) == 1
    assert capsys.readouterr().err.strip() == "mine.jsonl: row 1: field reply is missing."
    assert main([*command[:-1], "--out", str(path)]) == 1
    assert "cannot be made a folder" in capsys.readouterr().err


def test_the_command_answers_situations_with_the_embedded_model(
    tmp_path: Path, no_data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Generated for real, twice: the second time nothing is left to generate."""
    path = tmp_path / "said.txt"
    path.write_text("My dog died.\n\nI won the race!\n", "utf-8")
    command = ["evaluate", "--situations", str(path), "--model", "sft", "--metrics", "words"]
    assert main([*command, "--out", str(tmp_path / "out"), "--json"]) == 0
    first = json.loads(capsys.readouterr().out)
    assert first["systems"]["sft"]["words"]["n"] == 2
    replies = [line["reply"] for line in read_lines(tmp_path / "out")]
    assert len(replies) == 2 and all(replies)
    assert main([*command, "--out", str(tmp_path / "out"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == first
    path.write_text("\n", "utf-8")
    assert main(command) == 1
    assert "holds no situation" in capsys.readouterr().err


def test_durations_are_for_people() -> None:
    assert [duration(s) for s in (40, 700, 7200)] == ["40 s", "12 min", "2.0 h"]
