"""The Train tab's recipe and runs without a browser: what is asked for, what is shown, who may."""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import gradio as gr
import pytest
import yaml

from empo import runs
from empo.budget import Budget
from empo.data.strategies import PRESETS
from empo.errors import UsageError
from empo.estimate import Estimate, estimate, steps_of
from empo.pairs.learning import learning_split
from empo.pairs.make import make_pairs
from empo.settings import settings
from empo.training.folder import run_folder, runs_home
from empo.training.process import Identity
from empo.training.recipe import Strategies, parse_spec
from empo.training.status import RunStatus
from empo.ui.app import build, services_for
from empo.ui.own_space import cost, own_space
from empo.ui.pair_desk import OWN, UPLOAD, Choice, PairDesk
from empo.ui.run_charts import curves
from empo.ui.run_desk import (
    NEW,
    PAIRS,
    Form,
    RunDesk,
    first_form,
    form_of,
    learns_from,
    models,
    starts,
)
from empo.ui.run_list import run_list
from empo.ui.run_view import clock, differences, pace, parts, sample_replies
from empo.ui.trainer_events import ZERO, weighed
from tests.trainer_page import Page, asked_for, snapshot
from tests.trainer_runs import EVIL, made

STARTER = Choice(OWN, "hard", 2, 7)


@pytest.fixture(autouse=True)
def own_runs(own_home: None, no_data: Path, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("EMPO_HOME", str(tmp_path / "home"))
    settings.cache_clear()


@pytest.fixture
def desk(no_data: Path) -> RunDesk:
    return RunDesk(PairDesk(no_data, lambda pairs: [None] * len(pairs)))


# -- from the form to a specification


def test_strategies_of_runs_are_those_of_pairs() -> None:
    assert Strategies.__args__ == PRESETS


def test_the_starter_set_is_split_by_feeling() -> None:
    train, valid = (learning_split("starter", part) for part in ("train", "valid"))
    assert (len(train), len(valid)) == (64, 32)
    assert len({dialogue.emotion for dialogue in valid}) == 32
    assert not {dialogue.id for dialogue in train} & {dialogue.id for dialogue in valid}


def test_what_the_form_says_is_what_is_asked_for(desk: RunDesk) -> None:
    form = replace(
        first_form("dpo", "nano"),
        name="mine", limit=500.0, epochs=2, rate=0.001, beta=0.3, loss="ipo", batch=8,
        more="valid=16\noptimiser.clip=0.3",
    )  # fmt: skip
    spec = desk.spec(form, STARTER)
    assert (spec.kind, spec.name, spec.limit, spec.loss, spec.beta) == (
        "dpo",
        "mine",
        500,
        "ipo",
        0.3,
    )
    assert (spec.strategy, spec.draws, spec.seed, spec.data) == ("hard", 2, 7, "starter")
    assert (spec.optimiser.epochs, spec.optimiser.learning_rate) == (2, 0.001)
    assert (spec.optimiser.batch, spec.optimiser.clip, spec.valid) == (8, 0.3, 16)
    assert "“Hard”" in learns_from(spec, STARTER)
    assert learns_from(spec, Choice(UPLOAD)).endswith("500 pairs of your file.")
    assert spec.start == "assets/models/nano/sft" and spec.lora is None and spec.out is None
    fresh = desk.spec(replace(form, start=NEW), STARTER)
    assert fresh.start is None and fresh.lora is not None and fresh.lora.rank == 16


@pytest.mark.parametrize("kind", ["sft", "dpo", "kto"])
@pytest.mark.parametrize("model", models())
def test_every_method_of_every_model_makes_a_recipe_and_comes_back(
    desk: RunDesk, kind: str, model: str
) -> None:
    form = first_form(kind, model)
    assert form.start in [value for _, value in starts(kind, model)]
    spec = desk.spec(form, STARTER)
    again = desk.spec(form_of(spec), STARTER)
    assert again == spec


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"name": "Two Words"}, "name: String should match"),
        ({"name": "../../etc"}, "name: String should match"),
        ({"limit": 0}, "limit: Input should be greater"),
        ({"limit": "many"}, "limit: Input should be a valid integer"),
        ({"epochs": None}, "optimiser.epochs"),
        ({"rate": -1}, "optimiser.learning_rate"),
        ({"beta": 0}, "beta: Input should be greater than 0"),
        ({"loss": "best"}, "loss: Input should be"),
        ({"batch": 2.5}, "optimiser.batch"),
        ({"length": 3}, "optimiser.max_length"),
        ({"kind": "grpo"}, "Choose a model and a method"),
        ({"model": ["nano"]}, "Choose a model and a method"),
        ({"start": "/etc"}, "what the run is to go on from"),
        ({"more": "base=/etc"}, "base has a field of its own"),
        ({"more": "pairs=/etc/passwd"}, "pairs has a field of its own"),
        ({"more": "unknown=1"}, "unknown: Extra inputs"),
        ({"more": "valid"}, "write key=value"),
        ({"more": "limits.steps=100000000"}, "limits.steps"),
        ({"more": "x" * 3000}, "at most 2000 characters"),
        ({"more": 7}, "at most 2000 characters"),
    ],
)
def test_what_is_wrong_is_one_sentence(desk: RunDesk, changes: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError) as caught:
        desk.start(replace(Form(start="assets/models/nano/sft", name="x"), **changes), STARTER)
    assert said in str(caught.value) and "\n" not in str(caught.value)
    assert not runs_home().exists()


def test_sft_needs_dialogues(desk: RunDesk) -> None:
    with pytest.raises(UsageError, match="SFT learns from whole dialogues"):
        desk.start(first_form("sft", "nano"), Choice(UPLOAD, token="x"))


def test_pairs_are_written_down_without_what_is_watched(desk: RunDesk) -> None:
    process = Identity.mine()
    made("busy", "running", process=process)  # so that the new run waits in line
    run = desk.start(replace(first_form("dpo", "nano"), name="mine", limit=100), STARTER)
    assert run.status.state == "queued" and str(run.spec.pairs).startswith(f"{PAIRS}/")
    lines = (runs_home() / str(run.spec.pairs)).read_text("utf-8").splitlines()
    kept = {dialogue.id for dialogue in learning_split("starter", "valid")}
    rows = [json.loads(line) for line in lines]
    assert len(rows) == 100 < len(make_pairs(learning_split("starter", "train"), "hard", 7, 2))
    assert not kept & {name for row in rows for name in (row["dialogue_id"], row["rejected_id"])}
    assert [status.name for status in runs.runs()] == ["mine", "busy"]
    again = desk.start(replace(first_form("kto", "nano"), name="again", limit=100), STARTER)
    assert again.spec.pairs == run.spec.pairs
    for name, left in (("mine", True), ("again", False)):
        desk.delete(name)
        assert (runs_home() / str(run.spec.pairs)).is_file() is left


# -- memory, time, cost


def test_steps_and_time() -> None:
    spec = parse_spec(
        {
            "kind": "dpo", "name": "x", "base": "assets/models/nano/base", "limit": 500,
            "start": "assets/models/nano/sft",
            "optimiser": {"epochs": 2, "learning_rate": 1e-4, "batch": 8, "accumulate": 2},
        }
    )  # fmt: skip
    assert steps_of(spec) == 64  # ⌈500 / 16⌉ × 2
    assert steps_of(spec, 64) == 8
    guess = estimate(spec)
    assert guess.steps == 64 and guess.seconds and "roughly" in guess.basis
    made("before", "finished", steps=8)  # 2 s a step of 16
    paced = estimate(spec)
    assert paced.seconds == pytest.approx(128) and paced.basis == "by the pace of the run before"
    assert estimate(spec.model_copy(update={"kind": "sft"})).basis != paced.basis


def test_what_does_not_fit_is_said_with_the_cheapest_fix() -> None:
    time_ = Estimate(32, 100.0, "roughly, by this machine's speed")
    assert weighed(Budget(10**9, 2 * 10**9), time_) == (
        "32 steps, about 1 min 40 s, roughly, by this machine's speed. It takes about 1 GB of "
        "memory; 2 GB are free."
    )
    tight = weighed(Budget(3 * 10**9, 10**9, "set optimiser.batch=4"), time_)
    assert tight.endswith("3 GB are needed, 1 GB are free; set optimiser.batch=4.")
    assert "not known" in weighed(Budget(None, 1), Estimate(1, None, "known after the first steps"))


def test_visitors_get_a_link_a_recipe_and_a_price(desk: RunDesk) -> None:
    spec = desk.spec(replace(first_form("dpo", "nano"), name="mine"), STARTER)
    page = own_space(spec, "maria/empo")
    assert "https://huggingface.co/spaces/maria/empo?duplicate=true" in page
    data = re.search(r"base64,([\w+/=]+)", page)
    assert data and parse_spec(yaml.safe_load(base64.b64decode(data[1]))) == spec
    assert "no charge by the hour" in cost(spec) and "CPU basic" in cost(spec)
    large = desk.spec(replace(first_form("dpo", "zephyr"), limit=20_000), STARTER)
    listed = re.search(r"on Nvidia L4.*: about \$([\d.]+), at \$0.80 an hour when", cost(large))
    asked = re.search(r"about \$([\d.]+), at \$1.60 an hour as the Hub", cost(large, {"l4x1": 1.6}))
    assert listed and asked and float(asked[1]) > 1.4 * float(listed[1])
    assert "$0.80 an hour when this was written" in cost(large, {"t4-small": 0.4})
    assert "python app.py" in own_space(spec, None)


# -- what is shown


def test_a_run_is_shown_inert() -> None:
    made("evil", "finished", said=EVIL)
    run = runs.run("evil")
    rows = {"evil": runs.metrics("evil")}
    shown = parts(run, rows, runs.samples("evil"), runs.log_tail("evil"), [run], owner=True)
    html = "".join(shown.values())
    assert "<img" not in html and "<script" not in html
    assert html.count("&lt;img src=x") >= 4  # context, reply, log, sentence
    status = RunStatus(EVIL, "dpo", "running")
    assert "<img" not in run_list([status], "", ())
    assert "<img" not in curves({EVIL: rows["evil"], "b": rows["evil"]})


def test_samples_stand_below_their_situation_in_order() -> None:
    rows = [
        {"step": step, "context": context, "reply": f"{context}{step}", "human": "h"}
        for step in (0, 5, 10)
        for context in ("a", "b")
    ]
    html = sample_replies(rows)
    assert html.count("<article>") == 2
    assert html.index("a0") < html.index("a5") < html.index("a10") < html.index("b0")
    assert "before" in html and "step 5" in html
    assert sample_replies([]) == ""


def test_curves_show_margin_first_and_lie_over_each_other() -> None:
    rows = [{"step": n, "rewards/margins": 0.1 * n, "loss": 0.7, "eval_loss": 0.6} for n in (1, 2)]
    alone = curves({"one": rows})
    assert alone.index("Reward margin") < alone.index("Loss") and "Reward accuracy" not in alone
    assert "margin from 0.1 to 0.2" in alone and alone.count("<circle") == 2
    both = curves({"one": rows, "two": rows})
    assert both.count("<polyline") == 6 and "one" in both and "two" in both
    assert "No step" in curves({"one": [{"step": 1, "loss": None}]})
    zero = [{"step": n, "rewards/margins": v} for n, v in ((1, -1.7e-7), (2, 0.8))]
    assert "e−07<" not in curves({"one": zero})


def test_differences_name_only_what_differs() -> None:
    made("one", "finished")
    made("two", "stopped", changes=("beta=0.3", "optimiser.batch=4"))
    table = differences([runs.run("one"), runs.run("two")])
    rows = re.findall(r'scope="row">([^<]+)<', table)
    assert sorted(rows) == ["beta", "did it help?", "optimiser.batch"]
    assert "<td>unclear</td><td>not measured</td>" in table


def test_pace_and_clock() -> None:
    status = RunStatus("a", "dpo", "running", 5, 20, seconds=100.0, phase="training")
    assert pace(status) == "step 5 of 20 · 1 min 40 s so far · about 5 min 0 s left"
    assert [clock(s) for s in (0.4, 59.6, 700, 7800)] == [
        "0 s",
        "1 min 0 s",
        "11 min",
        "2 h 10 min",
    ]


def test_buttons_by_state_and_person() -> None:
    for state, owners, visitors in (
        ("finished", {"compare", "copy", "delete"}, {"compare", "copy"}),
        ("stopped", {"resume", "copy", "delete"}, {"copy"}),
        ("failed", {"resume", "copy", "delete"}, {"copy"}),
    ):
        made(state, state)
        run = runs.run(state)
        for owner, wanted in ((True, owners), (False, visitors)):
            shown = parts(run, {state: []}, [], "", owner=owner)["buttons"]
            assert set(re.findall(r'data-do="(\w+)"', shown)) == wanted


# -- who may act: raw requests to every endpoint


@pytest.fixture
def page() -> Iterator[Page]:
    found = Page()
    yield found
    found.page.close(verbose=False)


@pytest.fixture
def busy() -> Iterator[subprocess.Popen[bytes]]:
    """A process that stands for a trainer's."""
    child = subprocess.Popen(["sleep", "600"], start_new_session=True)
    yield child
    child.kill()
    child.wait()


def test_only_the_owner_acts_whatever_is_sent(page: Page, busy: subprocess.Popen[bytes]) -> None:
    made("busy", "running", process=Identity.of(busy.pid))
    made("still", "stopped")
    made("done", "finished")
    before = snapshot()
    acts = [("stop", "busy"), ("end", "busy"), ("resume", "still"), ("delete", "done")]
    acts += [("delete", "still"), ("compare", "done")]
    forged = {"origin": page.address, "cookie": f"{page.gate.owner_cookie}=forged"}
    evil = page.owner() | {"origin": "https://evil.example"}
    for headers in ({}, {"origin": page.address}, forged, evil):
        for kind, name in acts:
            event = {"kind": kind, "run": name}
            told = page.call("act", [None, None, None], event, headers)
            assert "Only the owner" in told or "by another page" in told, (kind, headers, told)
        told = page.call("start", asked_for("stolen"), None, headers)
        assert "Only the owner" in told or "by another page" in told
    assert snapshot() == before and busy.poll() is None


def test_the_owner_acts(page: Page, busy: subprocess.Popen[bytes]) -> None:
    made("busy", "running", process=Identity.of(busy.pid))
    made("still", "stopped")
    made("gone", "failed")
    owner = page.owner()

    def act(kind: str, name: str) -> str:
        return page.call("act", ["", [], None], {"kind": kind, "run": name}, owner)

    page.call("start", asked_for("mine"), None, owner)
    assert runs.run("mine").status.state == "queued"
    act("delete", "gone")
    assert "gone" not in [status.name for status in runs.runs()]
    act("resume", "still")
    assert runs.run("still").status.state == "queued"
    for name in ("mine", "mine-2", "still"):
        if (runs_home() / name).is_dir():
            act("stop", name)
            assert runs.run(name).status.state == "stopped"
    act("stop", "busy")
    assert run_folder("busy").stop_file.exists() and busy.poll() is None
    act("end", "busy")
    assert busy.wait(60) is not None
    assert "no run" in act("stop", "../../etc") and "no such button" in act("x" * 9, "still")


def test_anybody_may_take_a_recipe_over_with_its_pairs(page: Page) -> None:
    made("like", "stopped", changes=("strategy=balanced", "data=starter", "beta=0.25"))
    before = snapshot()
    told = page.call("act", ["", [], None], {"kind": "copy", "run": "like"}, {})
    assert "balanced" in told and "0.25" in told and "<article" in told
    assert snapshot() == before


def test_on_zerogpu_nobody_trains(busy: subprocess.Popen[bytes]) -> None:
    made("still", "stopped")
    page = Page(SPACES_ZERO_GPU=True)
    before, owner = snapshot(), page.owner()
    assert ZERO[:40] in page.call("start", asked_for("mine"), None, owner)
    told = page.call("act", ["", [], None], {"kind": "resume", "run": "still"}, owner)
    assert ZERO[:40] in told and "HF Jobs" in told
    assert snapshot() == before
    page.page.close(verbose=False)


def test_a_run_without_a_gpu_is_niced_and_leaves_cores_free(monkeypatch: Any) -> None:
    from empo.training import queue

    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    asked: list[list[str]] = []
    real = queue.command

    def report(folder: Any, kind: str) -> list[str]:
        asked.append(real(folder, kind))
        said = 'sleep 0.5; nice > "$0/seen"; echo "$OMP_NUM_THREADS" >> "$0/seen"'
        return ["sh", "-c", said, str(folder.path)]

    monkeypatch.setattr(queue, "command", report)
    monkeypatch.setattr(queue, "_gpu", lambda: False)
    folder = made("calm", "queued")
    queue.advance()
    end = time.monotonic() + 60
    seen = folder / "seen"
    while not seen.is_file() or seen.read_text().count("\n") < 2:
        assert time.monotonic() < end
        time.sleep(0.05)
    niceness, threads = map(int, seen.read_text().split())
    assert asked[0][-2:] == ["--run", str(folder.path)]
    assert niceness == max(queue.NICE, os.nice(0))
    assert threads == max(1, (os.cpu_count() or 2) // 2)


def test_the_page_stays_small() -> None:
    """What the tab adds to the first page: no run, no pair, no curve."""
    made("done", "finished", said="a reply that must not be on the first page")
    page = build(services_for("nano", None, "echo", settings()))
    assert isinstance(page, gr.Blocks)
    assert "must not be on" not in json.dumps(page.config, default=str)
