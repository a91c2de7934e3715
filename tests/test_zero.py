"""ZeroGPU's engine, each call in a forked process and everything pickled, as spaces does."""

from __future__ import annotations

import multiprocessing
import pickle
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from empo.errors import UsageError
from empo.models.engine import Row, Step, Stop
from empo.models.stacks import load_stack
from empo.models.zero import LONGEST, ZeroEngine, duration
from empo.types import Reply, Sampling, Turn

STACK = load_stack("nano")
ROWS = (
    Row("base", (Turn("user", "hi"),)),
    Row("sft", (Turn("user", "hi"),), {"sft": 1.0}),
)


class Counting:
    """A decoder without weights: row i says the numbers up to 4 + i, one a pass."""

    device = "cpu"

    def decode(self, rows: Sequence[Row], stopped: Callable[[int], bool]) -> Iterator[Step]:
        for n in range(4 + len(rows)):
            live = [i for i in range(len(rows)) if n < 4 + i]
            whole = {i: " ".join(map(str, range(n + 1))) for i in live}
            ended = {i: self._reply(rows[i], whole[i], n) for i in live if n == 3 + i}
            if live:
                yield Step(dict.fromkeys(live, f"{' ' if n else ''}{n}"), ended)

    def _reply(self, row: Row, text: str, n: int) -> Reply:
        return Reply(row.model, text, n + 1, 1.0, 0.1, "end")


class Forking:
    """The face of `spaces.GPU`: a fork for each call, all that passes is pickled."""

    def __init__(self) -> None:
        self.asked: list[int] = []
        self.ended: list[bool] = []

    def __call__(self, duration: Callable[..., int]) -> Callable[[Any], Any]:
        def decorate(task: Callable[..., Iterator[Any]]) -> Callable[..., Iterator[Any]]:
            def call(*args: Any) -> Iterator[Any]:
                self.asked.append(duration(*args))
                ours, theirs = multiprocessing.get_context("fork").Pipe()
                arguments = pickle.dumps(args)
                worker = multiprocessing.get_context("fork").Process(
                    target=_work, args=(task, arguments, theirs), daemon=True
                )
                worker.start()
                try:
                    while (step := pickle.loads(ours.recv_bytes())) is not None:
                        yield step
                finally:
                    worker.terminate()
                    worker.join(10)
                    self.ended.append(not worker.is_alive())

            return call

        return decorate


def _work(task: Callable[..., Iterator[Any]], arguments: bytes, pipe: Any) -> None:
    for step in task(*pickle.loads(arguments)):
        pipe.send_bytes(pickle.dumps(step))
    pipe.send_bytes(pickle.dumps(None))


def test_a_turn_of_all_voices_is_one_call() -> None:
    gpu = Forking()
    engine = ZeroEngine(STACK, "nf4", Counting(), gpu)
    replies: dict[int, Reply] = {}
    texts = ["", ""]
    for step in engine.stream(ROWS):
        assert engine.waiting() == 1
        replies.update(step.replies)
        for row, text in step.texts.items():
            texts[row] += text
    assert texts == ["0 1 2 3", "0 1 2 3 4"] == [replies[i].text for i in (0, 1)]
    assert (gpu.asked, gpu.ended, engine.waiting()) == ([duration(ROWS)], [True], 0)


def test_a_stop_ends_the_worker_and_the_replies_so_far_come() -> None:
    gpu, cancel = Forking(), threading.Event()
    engine = ZeroEngine(STACK, "nf4", Counting(), gpu)
    steps = []
    for step in engine.stream(ROWS, cancel):
        steps.append(step)
        if len(steps) == 2:
            cancel.set()
    assert {i: (r.text, r.tokens, r.stopped_by) for i, r in steps[-1].replies.items()} == {
        0: ("0 1", 2, "cancelled"),
        1: ("0 1", 2, "cancelled"),
    }
    assert gpu.ended == [True]


def test_one_voice_stops_and_the_other_goes_on() -> None:
    gpu, stop = Forking(), Stop()
    engine = ZeroEngine(STACK, "nf4", Counting(), gpu)
    replies: dict[int, Reply] = {}
    texts = ["", ""]
    for number, step in enumerate(engine.stream(ROWS, stop), 1):
        if number == 2:
            stop.rows.add(0)
        assert not set(step.texts) & set(replies)
        replies.update(step.replies)
        for row, text in step.texts.items():
            texts[row] += text
    found = [(replies[i].text, replies[i].stopped_by) for i in (0, 1)]
    assert found == [("0 1", "cancelled"), ("0 1 2 3 4", "end")]
    assert texts == ["0 1", "0 1 2 3 4"] and gpu.ended == [True]


def test_leaving_ends_the_worker() -> None:
    gpu = Forking()
    engine = ZeroEngine(STACK, "nf4", Counting(), gpu)
    steps = engine.stream(ROWS)
    next(steps)
    steps.close()
    assert (gpu.ended, engine.waiting()) == ([True], 0)


def test_the_time_asked_for_follows_the_request() -> None:
    short, long = (
        (Row("base", (), sampling=Sampling(max_new_tokens=n)), *ROWS) for n in (60, 1024)
    )
    assert duration(ROWS) == round(12 + 0.08 * 60) == duration(short)
    assert duration(short) < duration(long) <= LONGEST


def test_wrong_requests_never_reach_the_gpu() -> None:
    gpu = Forking()
    engine = ZeroEngine(STACK, "nf4", Counting(), gpu)
    for rows in ((), (Row("x", (Turn("user", "hi"),), {"nobody": 1.0}),)):
        with pytest.raises(UsageError):
            next(engine.stream(rows))
    assert gpu.asked == []


def test_off_spaces_the_decorator_changes_nothing() -> None:
    import spaces

    engine = ZeroEngine(STACK, "none", Counting(), spaces.GPU)
    *_, last = engine.stream(ROWS)
    assert last.replies[1].text == "0 1 2 3 4"
