"""What the page needs from below: the engine that loads behind it, the line before it, the runs."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

from empo.errors import EmpoError
from empo.models.engine import Engine
from empo.models.stacks import Stack
from empo.settings import Settings
from empo.types import Quantisation
from empo.ui.chat_pace import ChatPace
from empo.ui.control import Running
from empo.ui.live_scorer import LiveScorer
from empo.ui.run_watch import RunWatch
from empo.ui.waiting import Line

State = Literal["loading", "ready", "failed", "parked"]
Report = Callable[[str, float], None]
Load = Callable[[Report], Engine | None]  # None: there is no place for the models now


@dataclass(frozen=True, slots=True)
class Status:
    """How far the engine is: what is being done now, and the share done (0..1)."""

    state: State
    text: str
    share: float = 0.0


class EngineHolder:
    """Loads an engine in a thread of its own, says how far it is, and exchanges it. Thread-safe.

    `after` is called in the same thread when the first loading has ended: for what may come later.
    """

    def __init__(self, load: Load, after: Callable[[], None] | None = None) -> None:
        self._load = load
        self._after = after
        self._engine: Engine | None = None
        self._error: EmpoError | None = None
        self._status = Status("loading", "The models are being loaded.")
        self._settled = threading.Event()
        self._started = threading.Lock()

    def start(self) -> None:
        """Begin to load in the background; a second call does nothing."""
        if self._started.acquire(blocking=False):
            threading.Thread(target=self._run, name="load-engine", daemon=True).start()

    def load_here(self) -> None:
        """Load in this thread, for ZeroGPU, which must see the weights before the page starts."""
        if self._started.acquire(blocking=False):
            self._run()

    def _run(self) -> None:
        try:
            self._settle(self._load)
        finally:
            if self._after:
                self._after()

    def exchange(self, load: Load, text: str) -> None:
        """Let go of the engine and put what `load` gives in its place, in this thread.

        The turn that is being answered ends first; those after it wait, and are told `text`.
        """
        self._settled.clear()
        self._status = Status("loading", text)
        old, self._engine, self._error = self._engine, None, None
        if old is not None:
            old.close()
        del old  # its weights must be gone before others come
        self._settle(load)

    def _settle(self, load: Load) -> None:
        try:
            self._engine = load(self._report)
            self._status = Status("ready", "The models are ready.", 1.0)
            if self._engine is None:
                self._status = Status("parked", "The models are parked.")
        except EmpoError as error:
            self._fail(error)
        except Exception as error:
            self._fail(EmpoError(f"The models could not be loaded ({type(error).__name__})."))
            raise
        finally:
            self._settled.set()

    def say(self, text: str) -> None:
        """What is said of parked models."""
        if self._status.state == "parked":
            self._status = Status("parked", text)

    def _fail(self, error: EmpoError) -> None:
        self._error, self._status = error, Status("failed", str(error))

    def _report(self, text: str, share: float) -> None:
        self._status = Status("loading", text, min(max(share, 0.0), 1.0))

    @property
    def status(self) -> Status:
        return self._status

    def wait(self, seconds: float) -> bool:
        """Whether loading has ended, well or not, within `seconds`."""
        return self._settled.wait(seconds)

    @property
    def engine(self) -> Engine:
        """The loaded engine.

        Raises:
            EmpoError: it is not ready, is parked, or could not be loaded (the reason).
        """
        if (engine := self._engine) is None:
            if self._status.state == "parked":
                raise EmpoError(self._status.text)
            raise self._error or EmpoError("The models are still being loaded; wait a moment.")
        return engine


class Whereabouts(Protocol):
    """Where the models are while a run has the GPU (empo/ui/chat_place.py)."""

    @property
    def away(self) -> bool:
        """Whether they gave way to a run."""
        ...

    @property
    def said(self) -> str:
        """Where they are and until when, in a sentence; "" when they gave way to none."""
        ...

    def released(self) -> int:
        """Bytes of the GPU that come free when they give way."""
        ...


@dataclass(frozen=True, slots=True)
class Loads:
    """What another process needs to load the same: a stack's name or YAML file, how, by what."""

    stack: str = "nano"
    quantisation: Quantisation | None = None
    engine: Literal["local", "echo"] = "local"


@dataclass(frozen=True)
class Services:
    """Everything the page is given. `stack` is known before its engine is."""

    stack: Stack
    holder: EngineHolder
    settings: Settings
    line: Line
    running: Running
    replies: Path  # folder or file of recorded replies
    hashes: dict[str, str] = field(default_factory=dict)  # by model; filled while loading
    scorer: LiveScorer = field(default_factory=LiveScorer)
    watch: RunWatch = field(default_factory=RunWatch)
    pace: ChatPace = field(default_factory=ChatPace)
    place: Whereabouts | None = None  # None: the models stay where they are
    loads: Loads = Loads()

    def on_gpu(self) -> bool:
        """Whether the models live on a GPU, where a training run may need their place."""
        if self.place is not None and self.place.away:
            return True
        return self.holder.status.state == "ready" and self.holder.engine.device[:4] == "cuda"
