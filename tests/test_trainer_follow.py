"""The Train tab follows the disk, opens what the address says, takes files over; chat's speed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr
import pytest
from starlette.requests import Request

from empo import runs
from empo.conversation import Conversation
from empo.models.echo import EchoEngine
from empo.models.stacks import load_stack
from empo.settings import Settings, settings
from empo.training.folder import append_line, remove_folder, run_folder, runs_home
from empo.training.process import Identity
from empo.training.recipe import changed_spec
from empo.types import Reply, Sampling
from empo.ui.app import build, services_for
from empo.ui.chat_pace import ChatPace
from empo.ui.control import Running
from empo.ui.handlers import Asked, Handlers
from empo.ui.owner import PLACE, Gate
from empo.ui.pair_desk import UPLOAD, Choice
from empo.ui.run_desk import first_form, template, uploaded
from empo.ui.services import EngineHolder, Services
from empo.ui.trainer_events import TrainerEvents
from empo.ui.trainer_tab import RUN
from empo.ui.view import Cast
from empo.ui.waiting import Line
from tests.trainer_runs import made


@pytest.fixture(autouse=True)
def own_runs(own_home: None, no_data: Path, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("EMPO_HOME", str(tmp_path / "home"))
    settings.cache_clear()


@pytest.fixture
def events() -> TrainerEvents:
    """What the tab's functions belong to, as the page has it."""
    page = build(services_for("nano", None, "echo", settings()))
    found = [getattr(fn.fn, "__self__", None) for fn in page.fns.values()]
    return next(one for one in found if isinstance(one, TrainerEvents))


def asked(query: str = "", owner: bool = True) -> gr.Request:
    """A request as the tab's functions get it."""
    port = 7860
    gate = Gate(Settings(space_id=None, ask_token=not owner), "127.0.0.1", port)
    headers = {"host": f"127.0.0.1:{port}", "origin": f"http://127.0.0.1:{port}"}
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": "http", "method": "POST", "path": "/", "headers": raw, "http_version": "1.1"}
    scope |= {"client": ("127.0.0.1", 4711), "query_string": query.encode(), PLACE: gate}
    return gr.Request(Request(scope))


# -- following by itself


def test_what_comes_from_elsewhere_is_shown_and_what_is_the_same_costs_nothing(
    events: TrainerEvents,
) -> None:
    tab = events.tab
    opened = events.open(asked(), "", (), "dpo", "nano", "new")
    assert opened[tab.timer].active is True and "No run yet" in opened[tab.list]["list"]
    stamp = opened[tab.stamp]
    assert events.tick(asked(), "", (), stamp) == gr.skip()
    made("elsewhere", "stopped")  # as the command line or another tab does
    seen = events.tick(asked(), "", (), stamp)
    assert 'data-name="elsewhere"' in seen[tab.list]["list"]
    stamp = seen[tab.stamp]
    assert events.tick(asked(), "", (), stamp) == gr.skip()
    made("begun", "running", process=Identity.mine())
    seen = events.tick(asked(), "", (), stamp)
    assert seen[tab.picked] == "begun" and "<h2>begun" in seen[tab.view]["head"]
    stamp = seen[tab.stamp]
    assert events.tick(asked(), "begun", (), stamp) == gr.skip()
    append_line(run_folder("begun") / "metrics.jsonl", {"step": 5, "loss": 0.5})
    seen = events.tick(asked(), "begun", (), stamp)
    assert tab.picked not in seen and seen[tab.view]["curves"]  # what is open stays open
    stamp = seen[tab.stamp]
    remove_folder(run_folder("elsewhere"))
    assert "elsewhere" not in events.tick(asked(), "begun", (), stamp)[tab.list]["list"]


def test_the_address_says_which_run_was_open(events: TrainerEvents) -> None:
    tab = events.tab
    for name in ("older", "newest"):
        made(name, "finished")
    form = ("dpo", "nano", "new")
    again = events.open(asked("tab=train&run=older"), "", (), *form)
    assert again[tab.picked] == again[tab.view]["open"] == "older"
    assert again[tab.steps].selected == RUN
    first = events.open(asked("tab=train"), "", (), *form)
    assert first[tab.picked] == "newest" and tab.steps not in first
    for strange in ("run=gone", "run=..%2Fetc", "run=%3Cimg%3E", "run="):
        assert events.open(asked(strange), "", (), *form)[tab.picked] == "newest"
    assert events.open(asked("run=older"), "newest", (), *form)[tab.picked] == "newest"


# -- a run that learnt from a file


def sent(events: TrainerEvents, folder: Path) -> str:
    """The token of an uploaded file of three pairs."""
    path = folder / "mine.jsonl"
    rows = [
        {"prompt": f"I lost {n}.", "chosen": f"Oh no, {n}!", "rejected": "Well."} for n in range(3)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return events.tab.pairs.desk.take(path, path.name)[0]


@pytest.fixture
def from_file(events: TrainerEvents, tmp_path: Path) -> Iterator[str]:
    """A stopped run on the pairs of a file whose token is no longer kept."""
    made("busy", "running", process=Identity.mine())
    choice = Choice(UPLOAD, token=sent(events, tmp_path))
    name = events.desk.start(first_form("dpo", "nano"), choice).name
    runs.stop(name)
    events.tab.pairs.desk._uploads._values.clear()
    yield name


def test_its_owner_gets_the_file_again_with_the_recipe(
    events: TrainerEvents, from_file: str
) -> None:
    spec, pairs = runs.run(from_file).spec, events.tab.pairs
    assert uploaded(spec)
    found = events.again(asked(), spec)
    assert found[pairs.source] == UPLOAD and "I lost" in found[pairs.cards]
    token = found[pairs.token]
    again = events.desk.start(first_form("dpo", "nano"), Choice(UPLOAD, token=token))
    old, new = (
        [json.loads(line) for line in (runs_home() / str(one.spec.pairs)).open()]
        for one in (runs.run(from_file), again)
    )
    texts = [[(r["prompt"], r["chosen"], r["rejected"]) for r in rows] for rows in (old, new)]
    assert sorted(map(str, texts[0])) == sorted(map(str, texts[1])) and len(old) == 3


def test_a_visitor_gets_the_recipe_without_the_file(events: TrainerEvents, from_file: str) -> None:
    found = events.again(asked(owner=False), runs.run(from_file).spec)
    pairs = events.tab.pairs
    assert found[pairs.token] is None and "I lost" not in str(found)
    assert "send one of your own" in found[pairs.notice]
    assert found[events.tab.form.name] == from_file


def test_pairs_that_were_made_here_are_made_again(events: TrainerEvents) -> None:
    spec = changed_spec(template("dpo", "nano") | {"name": "x"}, ["pairs=.pairs/gone.jsonl"])
    assert uploaded(spec) is None
    assert events.again(asked(), spec)[events.tab.pairs.source] == spec.data


# -- how much slower chat is


def reply(tokens: int, seconds: float) -> Reply:
    return Reply("m", "text", tokens, seconds, 0.1, "end")


def test_speed_beside_a_run_is_measured_and_never_assumed() -> None:
    pace = ChatPace()
    assert "not measured yet" in pace.said() and pace.figures() == (0, None, None)
    pace.note([reply(30, 1.0), reply(30, 2.0)], beside=False)  # 60 tokens in 2 s
    pace.note([reply(3, 1.0)], beside=False)  # too short to say anything
    assert pace.said() == (
        "Without a run it answers at 30 tokens/s (2 voices); beside this one: not measured yet."
    )
    pace.note([reply(40, 4.0)], beside=True)  # one voice: not to be compared with two
    assert pace.figures() == (1, None, 10.0)
    for seconds in (4.0, 5.0, 100.0):
        pace.note([reply(30, seconds), reply(30, 1.0)], beside=True)
    assert pace.figures() == (2, 30.0, 12.0)  # the median
    assert pace.said() == (
        "Beside this run it answers at 12 tokens/s, without one at 30 tokens/s: 2.5 times slower "
        "(median of the last turns, 2 voices)."
    )
    alone = ChatPace()
    alone.note([reply(30, 4.0)], beside=True)
    assert "at 7.5 tokens/s (1 voice); without one: not measured yet" in alone.said()


def test_turns_are_timed_and_the_run_s_page_says_so(events: TrainerEvents) -> None:
    stack = load_stack("nano")
    holder = EngineHolder(lambda report: EchoEngine(stack, delay=0.01))
    holder.load_here()
    services = Services(stack, holder, settings(), Line(4), Running(), settings().data_dir)
    handlers = Handlers(services, Cast(stack), None)

    def say() -> None:
        asked_ = Asked(Conversation(), ("base", "sft"), Sampling(), "none", "me")
        assert list(handlers.send("one two three four five six", asked_))

    say()
    made("run", "running", process=Identity.mine())
    services.watch.look()
    say()
    voices, before, beside = services.pace.figures()
    assert voices == 2 and before and beside
    screens = handlers.send("one two three four", Asked(None, ("base",), Sampling(), "none", "me"))
    next(screens)
    runs.stop("run")
    remove_folder(run_folder("run"))
    services.watch.look()
    list(screens)  # the run ended meanwhile: counted nowhere
    assert services.pace.figures() == (voices, before, beside)
    made("run", "running", process=Identity.mine())
    head = events.show(asked(), "run", ())[events.tab.view]["head"]
    assert "half of the processor" in head and "not measured yet" in head
    events.services.pace.note([reply(40, 1.0)], beside=False)
    events.services.pace.note([reply(40, 2.0)], beside=True)
    head = events.show(asked(), "run", ())[events.tab.view]["head"]
    assert "2.0 times slower" in head
