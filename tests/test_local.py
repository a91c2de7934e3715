"""The engine's thread: turns in line, stopping, refusing, failing, closing."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from empo.errors import Busy, UsageError
from empo.models.engine import Row, Step, Stop
from empo.models.local import LocalEngine
from empo.types import Sampling, Turn
from tests.tiny_models import answer, engine_of, gather, row, save_adapter, save_base, stack_of

LONG = 150  # tokens: far more than any test that stops lets pass


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalEngine]:
    folder = tmp_path_factory.mktemp("local")
    base = save_base(folder / "base")
    a = save_adapter(base, folder / "a", 1)
    b = save_adapter(base, folder / "b", 2, r=4)
    made = engine_of(stack_of(base, {"a": a, "b": b}), max_queue=3)
    yield made
    made.close()


def turn(thread: int, number: int) -> list[Row]:
    """Two voices; prompts, lengths and blends differ from turn to turn and thread to thread."""
    name = "ab"[thread]
    sampling = {"temperature": 0.8, "seed": number, "max_new_tokens": 2 + number % 4}
    text = "and then? " * (1 + number % 3)
    return [row(text, {name: 1.0}, **sampling), row(f"turn {number}", {}, **sampling)]


def texts(engine: LocalEngine, thread: int) -> list[list[str]]:
    return [[r.text for r in answer(engine, turn(thread, number))] for number in range(50)]


@pytest.mark.slow
def test_two_threads_get_what_they_get_in_sequence(engine: LocalEngine) -> None:
    with ThreadPoolExecutor(2) as pool:
        together = list(pool.map(lambda thread: texts(engine, thread), (0, 1)))
    assert together == [texts(engine, 0), texts(engine, 1)]
    assert together[0] != together[1]


class Counter:
    """Forward passes so far, and how many rows each had."""

    def __init__(self, engine: LocalEngine) -> None:
        self.rows: list[int] = []
        self.hook = engine.decoder.model.register_forward_pre_hook(self._count, with_kwargs=True)

    @property
    def passes(self) -> int:
        return len(self.rows)

    def _count(self, module: object, args: object, given: dict[str, torch.Tensor]) -> None:
        self.rows.append(given["input_ids"].shape[0])


@pytest.fixture
def counter(engine: LocalEngine) -> Iterator[Counter]:
    counted = Counter(engine)
    yield counted
    counted.hook.remove()


@pytest.fixture
def gate(engine: LocalEngine) -> Iterator[threading.Semaphore]:
    """A pass waits for a permit, so that tests know how far the engine can have come."""
    permits = threading.Semaphore(0)
    hook = engine.decoder.model.register_forward_pre_hook(lambda *_: permits.acquire() and None)
    yield permits
    hook.remove()
    permits.release(10 * LONG)
    idle(engine)


def wait_for(true: object, seconds: float = 120) -> None:
    until = time.monotonic() + seconds
    while not true():  # type: ignore[operator]
        assert time.monotonic() < until, "it never came"
        time.sleep(0.002)


def idle(engine: LocalEngine) -> None:
    wait_for(lambda: engine.waiting() == 0)


def test_cancel_stops_within_two_tokens(
    engine: LocalEngine, counter: Counter, gate: threading.Semaphore
) -> None:
    """The replies so far come, and add up; no more than two passes after the one that was seen."""
    cancel = threading.Event()
    rows = [row("Hi", max_new_tokens=LONG), row("Hello there", {"a": 1.0}, max_new_tokens=LONG)]
    gate.release(5)
    steps = engine.stream(rows, cancel)
    seen: list[Step] = [next(steps) for _ in range(5)]
    cancel.set()
    gate.release(10 * LONG)
    replies = gather([*seen, *steps], 2)
    assert {reply.stopped_by for reply in replies} == {"cancelled"}
    assert all(5 <= reply.tokens <= 7 for reply in replies)
    idle(engine)
    assert counter.passes <= 7


def test_closing_the_iterator_stops_within_two_tokens(
    engine: LocalEngine, counter: Counter, gate: threading.Semaphore
) -> None:
    gate.release(3)
    steps = engine.stream([row("Hi", max_new_tokens=LONG)])
    for _ in range(3):
        next(steps)
    steps.close()
    gate.release(10 * LONG)
    idle(engine)
    assert counter.passes <= 5


def test_one_row_stops_and_costs_no_more(
    engine: LocalEngine, counter: Counter, gate: threading.Semaphore
) -> None:
    """The stopped row leaves the batch; the other's text is that of its being alone."""
    gate.release(10 * LONG)
    alone = answer(engine, [row("Hi", max_new_tokens=12)])[0].text
    idle(engine)
    while gate.acquire(blocking=False):
        pass
    stop = Stop()
    rows = [row("Hi", max_new_tokens=12), row("Hello there", {"a": 1.0}, max_new_tokens=LONG)]
    gate.release(3)
    steps = engine.stream(rows, stop)
    seen: list[Step] = [next(steps) for _ in range(3)]
    stop.rows.add(1)
    counter.rows.clear()
    gate.release(10 * LONG)
    first, second = gather([*seen, *steps], 2)
    assert (first.text, first.stopped_by) == (alone, "length")
    assert second.stopped_by == "cancelled" and 3 <= second.tokens <= 5
    assert counter.rows[-1] == 1 and counter.rows.count(2) <= 2


def test_a_turn_cancelled_while_it_waits_costs_no_pass(
    engine: LocalEngine, counter: Counter
) -> None:
    cancel = threading.Event()
    cancel.set()
    (reply,) = gather(engine.stream([row("Hi")], cancel), 1)
    assert (reply.text, reply.tokens, reply.stopped_by) == ("", 0, "cancelled")
    assert counter.passes == 0


def test_a_full_line_refuses_at_once(engine: LocalEngine, gate: threading.Semaphore) -> None:
    """One runs, three wait, the fifth is told; the others are answered once it goes on."""
    with ThreadPoolExecutor(4) as pool:
        running = pool.submit(answer, engine, [row("Hi", max_new_tokens=3)])
        wait_for(lambda: engine.waiting() == 1 and engine._running)
        others = [pool.submit(answer, engine, [row("Hi", max_new_tokens=3)]) for _ in range(3)]
        wait_for(lambda: engine.waiting() == 4)
        start = time.monotonic()
        with pytest.raises(Busy, match="try again in a moment"):
            next(engine.stream([row("Hi")]))
        assert time.monotonic() - start < 10  # what runs is held at the gate
        gate.release(10 * LONG)
        replies = [job.result(120)[0].text for job in [running, *others]]
    assert len(set(replies)) == 1


def message(*turns: Turn) -> Row:
    return Row("voice", turns, {}, Sampling(temperature=0, max_new_tokens=3))


@pytest.mark.parametrize(
    ("rows", "why"),
    [
        ([], "no model was chosen"),
        ([row("Hi", {"nobody": 1.0})], "the stack tiny has no adapter “nobody”"),
        ([row("Hi"), row("  \n ")], "message is empty"),
        ([message()], "message is empty"),
        ([row("word " * 300)], "too long for this model"),
        ([row("Hi", temperature=3.0)], "temperature must be"),
        ([row("Hi", max_new_tokens=0)], "max-new-tokens must be"),
    ],
)
def test_what_cannot_be_answered_is_said(engine: LocalEngine, rows: list[Row], why: str) -> None:
    with pytest.raises(UsageError, match=f"(?i){why}"):
        next(engine.stream(rows))
    assert answer(engine, [row("Hi", max_new_tokens=2)])[0].tokens == 2


@pytest.mark.parametrize(
    ("error", "raised", "why"),
    [
        (RuntimeError("a layer broke"), RuntimeError, "a layer broke"),
        (
            torch.OutOfMemoryError("CUDA out of memory. Tried to"),
            Busy,
            "ran out of memory; shorten",
        ),
    ],
)
def test_a_failure_reaches_its_caller_and_the_engine_goes_on(
    engine: LocalEngine, error: Exception, raised: type[Exception], why: str
) -> None:
    """It breaks in the middle of a layer's work, at the third token of a reply."""
    rows = [row("Hi", {"a": 1.0}, max_new_tokens=8), row("Hello there", max_new_tokens=8)]
    before = [reply.text for reply in answer(engine, rows)]
    passes = iter(range(100))

    def fail(*_: object) -> None:
        if next(passes) == 2:
            raise error

    layer = engine.decoder.model.model.layers[1].self_attn.k_proj
    hook = layer.register_forward_pre_hook(fail)
    got: list[Step] = []
    try:
        with pytest.raises(raised, match=why):
            got += engine.stream(rows)
    finally:
        hook.remove()
    assert [reply.text for reply in answer(engine, rows)] == before


def test_steps_before_a_failure_arrive(engine: LocalEngine) -> None:
    passes = iter(range(100))

    def fail(*_: object) -> None:
        if next(passes) == 2:
            raise RuntimeError("third pass")

    hook = engine.decoder.model.register_forward_pre_hook(fail)
    steps = engine.stream([row("Hi", max_new_tokens=8)])
    try:
        assert [type(next(steps)) for _ in range(2)] == [Step, Step]
        with pytest.raises(RuntimeError, match="third pass"):
            next(steps)
    finally:
        hook.remove()


def test_closing_ends_the_thread_and_refuses_what_comes_later(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    own = engine_of(stack_of(save_base(tmp_path_factory.mktemp("closing")), {}))
    assert answer(own, [row("Hi", max_new_tokens=2)])[0].tokens == 2
    own.close()
    assert not own._thread.is_alive()
    with pytest.raises(UsageError, match="have been unloaded"):
        next(own.stream([row("Hi")]))
    own.close()


def test_a_turn_in_line_is_answered_before_the_engine_closes(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    own = engine_of(stack_of(save_base(tmp_path_factory.mktemp("closing")), {}))
    permits = threading.Semaphore(0)
    own.decoder.model.register_forward_pre_hook(lambda *_: permits.acquire() and None)
    with ThreadPoolExecutor(3) as pool:
        jobs = [pool.submit(answer, own, [row("Hi", max_new_tokens=3)]) for _ in range(2)]
        wait_for(lambda: own.waiting() == 2)
        closing = pool.submit(own.close)
        wait_for(lambda: own._closed)
        permits.release(100)
        assert [job.result(120)[0].tokens for job in jobs] == [3, 3]
        closing.result(120)
