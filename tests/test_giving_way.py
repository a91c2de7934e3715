"""The chat gives way to a run on the same GPU and comes back: policy, a real engine, the words.

There is no GPU here: what stands in for it is the reading of the machine (which device the stack
and the run take, how much memory is free), given at the edge. Engine, holder, runs' folders, the
run's process and the page's behaviour are the real ones.
"""

from __future__ import annotations

import subprocess
import threading
import weakref
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from empo import runs
from empo.conversation import Conversation
from empo.errors import EmpoError, OutOfMemory
from empo.giving_way import GPU, SMALL, Reading, place, read
from empo.models.loading import load_engine
from empo.models.local import LocalEngine
from empo.models.stacks import Stack, load_stack
from empo.settings import settings
from empo.training.folder import RunFolder, reports_home, run_folder, write_json
from empo.training.process import Identity
from empo.training.queue import EVALUATE
from empo.training.status import RunStatus, read_status, write_status
from empo.types import Sampling
from empo.ui.chat_place import AGAIN, ChatPlace
from empo.ui.control import Running
from empo.ui.facts import facts
from empo.ui.handlers import Asked, Handlers, Screen
from empo.ui.run_watch import RunWatch, at_work
from empo.ui.services import Services
from empo.ui.status import _line
from empo.ui.view import Cast
from empo.ui.waiting import Line
from tests.trainer_runs import made

NANO = Reading(home=GPU, run=GPU, weights=10_000_000, needed=40_000_000, free=1_000_000_000)


@pytest.fixture(autouse=True)
def own_runs(own_home: None, no_data: Path, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("EMPO_HOME", str(tmp_path / "home"))
    settings.cache_clear()


# -- the policy


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({}, "cpu"),
        ({"run": None}, "home"),
        ({"run": "cpu"}, "home"),
        ({"run": "cuda:1"}, "home"),
        ({"home": "cpu", "run": "cpu"}, "home"),
        ({"home": "none", "run": "none"}, "home"),
        ({"home": "cuda", "run": "cuda:0"}, "cpu"),
        ({"weights": SMALL + 1}, "parked"),
        ({"weights": None}, "parked"),
        ({"needed": None}, "parked"),
        ({"needed": 1_000_000_000}, "parked"),  # cache and activations come on top
        ({"free": 46_000_000}, "cpu"),  # 40 MB × 1.15
        ({"free": 45_999_999}, "parked"),
    ],
)
def test_where_the_chat_belongs(changes: dict[str, Any], where: str) -> None:
    assert place(replace(NANO, **changes)) == where


def test_a_reading_of_this_machine() -> None:
    nano = read(load_stack("nano"), running=True, device=GPU)
    assert nano.run == nano.home == GPU and nano.weights and 8e6 < nano.weights < SMALL
    assert nano.needed == 4 * nano.weights and nano.free > 0
    assert place(nano) == "cpu"
    assert read(load_stack("nano"), running=False, device=GPU).run is None
    zephyr = read(load_stack("zephyr-7b"), running=True, device=GPU)
    assert zephyr.weights is None and place(zephyr) == "parked"  # its files are not here


# -- the whole path


class Machine:
    """An app whose stack lives on a GPU, as far as anybody here can tell."""

    def __init__(self, reading: Reading = NANO) -> None:
        self.reading, self.loads, self.now = reading, list[bool](), 0.0
        self.stack = load_stack("nano")
        self.watch = RunWatch()
        self.fails = False
        self.place = ChatPlace(
            self.stack, self.load, self.watch, look=self.look, now=lambda: self.now
        )
        self.services = Services(
            self.stack,
            self.place.holder,
            settings(),
            Line(4),
            Running(),
            settings().data_dir,
            watch=self.watch,
            place=self.place,
        )
        self.handlers = Handlers(self.services, Cast(self.stack), None)

    def load(self, report: Callable[[str, float], None], on_cpu: bool) -> LocalEngine:
        self.loads.append(on_cpu)
        if self.fails:
            raise OutOfMemory("The GPU is full.")
        engine = load_engine(self.stack, "none", report, gpu=False)
        engine.device = "cpu" if on_cpu else GPU
        return engine

    def look(self, stack: Stack, running: bool) -> Reading:
        return self.reading if running else replace(self.reading, run=None)

    def start(self) -> LocalEngine:
        self.place.holder.load_here()
        engine = self.place.holder.engine
        assert isinstance(engine, LocalEngine)
        return engine

    def say(self, text: str = "My dog died.") -> Screen:
        asked = Asked(
            Conversation(), ("base", "sft", "dpo"), Sampling(max_new_tokens=12), "none", "me"
        )
        *_, screen = self.handlers.send(text, asked)
        return screen


@pytest.fixture
def trainer() -> Iterator[subprocess.Popen[bytes]]:
    """A process that stands for a trainer's."""
    child = subprocess.Popen(["sleep", "600"], start_new_session=True)
    yield child
    child.kill()
    child.wait()


def begins(trainer: subprocess.Popen[bytes], name: str = "long") -> None:
    folder = made(name, "running", steps=400, process=Identity.of(trainer.pid))
    status = read_status(folder)
    write_status(folder, replace(status, step=100, seconds=200.0, phase="training"))


def ends(trainer: subprocess.Popen[bytes], state: Any, name: str = "long") -> None:
    """As the trainer does: the status first, then the process goes."""
    folder = run_folder(name)
    write_status(folder, replace(read_status(folder), state=state, phase=""))
    assert at_work(runs.runs()) is not None  # it still holds its memory
    trainer.kill()
    trainer.wait()


def replies(screen: Screen) -> list[str]:
    return [answer["text"] for answer in screen.view["turns"][-1]["answers"]]


def test_a_small_stack_moves_to_the_processor_and_comes_back(
    trainer: subprocess.Popen[bytes],
) -> None:
    machine = Machine()
    first = weakref.ref(machine.start())
    said = replies(machine.say())
    begins(trainer)
    machine.watch.look()
    holder = machine.place.holder
    assert (machine.loads, holder.engine.device, first()) == ([False, True], "cpu", None)
    assert "while a run has the GPU" in _line(machine.services)
    words = "answer from the processor, more slowly, until the run long ends (about 10 min)"
    assert words in machine.place.said and words in facts(machine.services)
    assert replies(machine.say()) == said  # the same weights, the same seed
    machine.watch.look()
    assert machine.loads == [False, True]  # it stays there
    ends(trainer, "failed")
    machine.watch.look()
    assert (machine.loads, holder.engine.device) == ([False, True, False], GPU)
    assert not machine.place.away and machine.place.said == ""
    assert replies(machine.say()) == said
    holder.engine.close()


def test_a_big_stack_is_parked_and_says_until_when(trainer: subprocess.Popen[bytes]) -> None:
    machine = Machine(replace(NANO, weights=7_000_000_000))
    engine = machine.start()
    assert machine.place.released() == engine.tensor_bytes["stack"] > 1_000_000
    gone = weakref.ref(engine.decoder.model)
    del engine
    begins(trainer)
    machine.watch.look()
    assert gone() is None, "its weights are still in memory"
    assert machine.place.released() == 0
    screen = machine.say("Are you there?")
    assert "parked until the run long ends (about 10 min)" in screen.view["notice"]
    assert screen.box == "Are you there?" and not screen.view["running"]
    assert 'class="pill parked"' in _line(machine.services)
    write_status(run_folder("long"), replace(read_status(run_folder("long")), step=399))
    machine.watch.look()
    assert "(about 1 s)" in machine.place.holder.status.text
    ends(trainer, "finished")
    machine.watch.look()
    assert machine.loads == [False, False]
    assert all(replies(machine.say("Are you there?")))
    machine.place.holder.engine.close()


def test_an_app_that_starts_during_a_run_leaves_it_the_gpu(
    trainer: subprocess.Popen[bytes],
) -> None:
    begins(trainer)
    small, big = Machine(), Machine(replace(NANO, weights=7_000_000_000))
    assert small.start().device == "cpu" and small.loads == [True]
    big.place.holder.load_here()
    big.watch.look()
    assert big.loads == [] and "parked until the run long ends" in big.place.holder.status.text
    with pytest.raises(EmpoError, match="parked until the run long ends"):
        _ = big.place.holder.engine
    ends(trainer, "stopped")
    for machine in (small, big):
        machine.watch.look()
        assert machine.place.holder.engine.device == GPU
        machine.place.holder.engine.close()


def test_a_run_whose_process_was_killed_gives_the_gpu_back(
    trainer: subprocess.Popen[bytes],
) -> None:
    machine = Machine()
    machine.start()
    begins(trainer)
    machine.watch.look()
    assert machine.place.away
    trainer.kill()
    trainer.wait()
    machine.watch.look()
    assert runs.run("long").status.state == "interrupted" and not machine.place.away
    machine.place.holder.engine.close()


def test_between_two_runs_in_line_nothing_comes_back(trainer: subprocess.Popen[bytes]) -> None:
    machine = Machine()
    machine.start()
    begins(trainer)
    machine.watch.look()
    other = subprocess.Popen(["sleep", "600"], start_new_session=True)
    try:
        ends(trainer, "finished")
        begins(other, "next")
        machine.watch.look()
        assert machine.loads == [False, True] and "the run next ends" in machine.place.said
    finally:
        other.kill()
        other.wait()
    machine.watch.look()
    assert machine.loads == [False, True, False]
    machine.place.holder.engine.close()


def test_a_turn_that_is_being_answered_ends_first_and_the_next_waits(
    trainer: subprocess.Popen[bytes],
) -> None:
    machine = Machine()
    machine.start()
    asked = Asked(Conversation(), ("sft",), Sampling(max_new_tokens=40), "none", "me")
    screens = machine.handlers.send("My dog died.", asked)
    while not next(screens).view["turns"][-1]["answers"][0]["text"]:
        pass
    begins(trainer)
    moving = threading.Thread(target=machine.watch.look)
    moving.start()
    *_, last = screens
    assert last.view["turns"][-1]["answers"][0]["foot"].endswith(("by itself", "limit"))
    moving.join(120)
    assert machine.place.holder.engine.device == "cpu"
    machine.place.holder.engine.close()


def test_what_cannot_come_back_at_once_is_tried_again(trainer: subprocess.Popen[bytes]) -> None:
    machine = Machine()
    machine.start()
    begins(trainer)
    machine.watch.look()
    ends(trainer, "finished")
    machine.fails = True
    machine.watch.look()
    machine.watch.look()
    assert machine.loads == [False, True, False]
    assert "The GPU is full." in machine.say().view["notice"]
    machine.fails, machine.now = False, AGAIN
    machine.watch.look()
    assert machine.place.holder.engine.device == GPU
    machine.place.holder.engine.close()


def test_an_evaluation_in_line_takes_the_gpu_too(trainer: subprocess.Popen[bytes]) -> None:
    machine = Machine(replace(NANO, weights=7_000_000_000))
    folder = RunFolder(reports_home() / "nano-100")
    folder.path.mkdir(parents=True)
    write_json(folder.spec_file, {"kind": EVALUATE})
    running = RunStatus("nano-100", EVALUATE, "running", 250, 1000, seconds=60.0)
    status = write_status(folder, replace(running, process=Identity.of(trainer.pid)))
    machine.place.holder.load_here()
    machine.watch.look()
    assert machine.watch.at_work and machine.watch.at_work.kind == EVALUATE
    words = "parked until the evaluation nano-100 ends (about 3 min 0 s)"
    assert words in machine.place.holder.status.text and machine.loads == []
    write_status(folder, replace(status, state="finished"))
    trainer.kill()
    trainer.wait()
    machine.watch.look()
    assert machine.place.holder.engine.device == GPU
    machine.place.holder.engine.close()


def test_a_run_elsewhere_moves_nothing() -> None:
    machine = Machine()
    machine.start()
    made("on-the-hub", "queued")
    folder = run_folder("on-the-hub")
    assert at_work([replace(read_status(folder), state="running", process=None)]) is None
    there = replace(read_status(folder), state="running", process=Identity.mine())
    assert at_work([there]) and at_work([replace(there, where="HF Jobs")]) is None
    machine.place.holder.engine.close()


def test_a_watch_that_meets_trouble_goes_on(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    watch, heard = RunWatch(), threading.Semaphore(0)

    def fails(found: Any) -> None:
        raise RuntimeError("a listener's own mistake")

    watch.ask(fails)
    watch.ask(lambda found: heard.release())
    made("one", "finished")
    watch.look()
    assert heard.acquire(timeout=0) and "a look at the runs failed" in caplog.text
    caplog.clear()
    with monkeypatch.context() as patch:
        patch.setattr("empo.ui.run_watch.runs.runs", lambda: run_folder("gone"))
        watch.look()
        watch.look()
    assert len(caplog.records) == 1 and not heard.acquire(timeout=0)


def test_a_watch_looks_again_and_again_and_at_once_when_woken() -> None:
    watch, heard = RunWatch(pause=600), threading.Semaphore(0)
    watch.ask(lambda found: heard.release())
    watch.start()
    watch.start()
    assert heard.acquire(timeout=120)
    watch.wake()
    assert heard.acquire(timeout=120)
    watch.stop()
    assert not heard.acquire(timeout=0.1)
