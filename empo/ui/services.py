"""What the page needs from below: the engine that loads behind it, the line before it, the runs."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from empo.errors import EmpoError
from empo.models.engine import Engine
from empo.models.stacks import Stack
from empo.settings import Settings
from empo.types import Quantisation
from empo.ui.control import Running
from empo.ui.live_scorer import LiveScorer
from empo.ui.waiting import Line

State = Literal["loading", "ready", "failed"]
Report = Callable[[str, float], None]


@dataclass(frozen=True, slots=True)
class Status:
    """How far the engine is: what is being done now, and the share done (0..1)."""

    state: State
    text: str
    share: float = 0.0


class EngineHolder:
    """Loads an engine once, in a thread of its own, and says how far it is. Thread-safe.

    `after` is called in the same thread when loading has ended: for what may come later.
    """

    def __init__(
        self, load: Callable[[Report], Engine], after: Callable[[], None] | None = None
    ) -> None:
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
            self._engine = self._load(self._report)
            self._status = Status("ready", "The models are ready.", 1.0)
        except EmpoError as error:
            self._fail(error)
        except Exception as error:
            self._fail(EmpoError(f"The models could not be loaded ({type(error).__name__})."))
            raise
        finally:
            self._settled.set()
            if self._after:
                self._after()

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
            EmpoError: it is not ready, or could not be loaded (the reason).
        """
        if self._engine is None:
            raise self._error or EmpoError("The models are still being loaded; wait a moment.")
        return self._engine


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
    loads: Loads = Loads()
