"""The engine on this machine: one thread owns the model, callers wait in line for it."""

from __future__ import annotations

import gc
import queue
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from empo.errors import Busy, EmpoError, UsageError
from empo.models.decoding import Decoder
from empo.models.engine import Row, Step, ended_rows
from empo.models.stacks import Stack
from empo.sampling import check_sampling
from empo.types import Quantisation

_END = None


@dataclass(eq=False)
class _Job:
    """Rows to answer, or the stack whose adapters are to be laid over the base."""

    rows: tuple[Row, ...]
    cancel: threading.Event
    closed: threading.Event = field(default_factory=threading.Event)
    out: queue.SimpleQueue[Step | BaseException | None] = field(default_factory=queue.SimpleQueue)
    stack: Stack | None = None

    def stopped(self, row: int) -> bool:
        return self.cancel.is_set() or self.closed.is_set() or row in ended_rows(self.cancel)


class LocalEngine:
    """A stack loaded on this machine (`empo.models.loading.load_engine` makes one)."""

    def __init__(
        self,
        stack: Stack,
        quantisation: Quantisation,
        decoder: Decoder,
        tensor_bytes: Mapping[str, int],
        max_waiting: int = 64,
    ) -> None:
        self.stack = stack
        self.quantisation = quantisation
        self.device = str(decoder.device)
        self.decoder = decoder
        self.tensor_bytes = dict(tensor_bytes)
        self._jobs: queue.Queue[_Job | None] = queue.Queue(max_waiting)
        self._running = 0
        self._door = threading.Lock()
        self._closed = False
        self._thread = threading.Thread(target=self._serve, name="engine", daemon=True)
        self._thread.start()

    def stream(self, rows: Sequence[Row], cancel: threading.Event | None = None) -> Iterator[Step]:
        """See `Engine.stream`."""
        self._check(rows)
        job = _Job(tuple(rows), cancel or threading.Event())
        self._enter(job)
        try:
            while (item := job.out.get()) is not _END:
                if isinstance(item, BaseException):
                    raise item
                yield item
        finally:
            job.closed.set()

    def exchange(self, stack: Stack) -> None:
        """Serve `stack` from now on: the same base, more or fewer adapters and models over it.

        Waits its turn among the requests; those before it are answered by the old stack.

        Raises:
            StackError: another base, or an adapter that must not be loaded or does not fit; the
                old stack then goes on.
            Busy: too many requests wait already.
        """
        job = _Job((), threading.Event(), stack=stack)
        self._enter(job)
        while (item := job.out.get()) is not _END:
            if isinstance(item, BaseException):
                raise item

    def waiting(self) -> int:
        return self._jobs.qsize() + self._running

    def close(self) -> None:
        """Answer what has been asked already, stop the thread and let go of the weights."""
        with self._door:
            self._closed = True
        self._jobs.put(None)
        self._thread.join()
        if hasattr(self, "decoder"):
            del self.decoder
        _give_back()

    def _enter(self, job: _Job) -> None:
        # Nobody may come in behind the one who closes: there is no one left to serve them.
        with self._door:
            if self._closed:
                raise UsageError("The models have been unloaded or moved; send it again.")
            try:
                self._jobs.put_nowait(job)
            except queue.Full:
                raise Busy("Too many people are asking at once; try again in a moment.") from None

    def _check(self, rows: Sequence[Row]) -> None:
        if not rows:
            raise UsageError("There is nothing to answer: no model was chosen.")
        for row in rows:
            check_sampling(row.sampling)
            if not row.messages or not row.messages[-1].text.strip():
                raise UsageError("The message is empty: write something first.")
            if unknown := set(row.adapters) - set(self.stack.adapters):
                raise UsageError(f"The stack {self.stack.name} has no adapter “{min(unknown)}”.")

    def _serve(self) -> None:
        while (job := self._jobs.get()) is not None:
            self._running = 1
            try:
                if job.stack is not None:
                    size = _exchange(self.decoder, self.stack, job.stack)
                    self.stack, self.tensor_bytes["stack"] = job.stack, size
                    continue
                self._check(job.rows)  # the stack may have changed since
                for step in self.decoder.decode(job.rows, job.stopped):
                    job.out.put(step)
            except Exception as error:
                job.out.put(_for_people(error))
            finally:
                self._running = 0
                job.out.put(_END)


def _give_back() -> None:
    """What nothing refers to any more goes back to the machine, for other processes to take."""
    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def _exchange(decoder: Decoder, old: Stack, new: Stack) -> int:
    from empo.models.loading import exchange

    return exchange(decoder, old, new)


def _for_people(error: Exception) -> Exception:
    """Running out of memory is the one failure here that a person can do something about."""
    if "out of memory" in str(error).lower() and not isinstance(error, EmpoError):
        return Busy("The GPU ran out of memory; shorten the conversation or compare fewer models.")
    return error
