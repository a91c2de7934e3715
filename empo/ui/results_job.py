"""One evaluation at a time, in the background of the app: started, watched and stopped."""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

from empo.data.dialogues import find_split
from empo.errors import Busy, DataError, EmpoError, UsageError
from empo.evaluation.request import METRICS, OF_MODELS, Request, Stopped
from empo.sampling import check_message
from empo.ui.services import Services

MOST_DIALOGUES, MOST_SITUATIONS = 1000, 200
POLL = 0.5  # seconds between two looks at the loading engine


@dataclass(frozen=True, slots=True)
class Progress:
    """How far it is. `share` 0..1 of the part that `text` names; `left` in seconds, or unknown."""

    state: str = "idle"
    text: str = ""
    share: float = 0.0
    left: float | None = None
    report: str = ""


class Job:
    """The evaluation that runs, or ran last. Thread-safe."""

    def __init__(self, services: Services) -> None:
        self.services = services
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._progress = Progress()
        self._began = (0.0, 0.0)

    @property
    def progress(self) -> Progress:
        return self._progress

    def request(
        self, models: Sequence[str], dialogues: int | None, situations: Sequence[str]
    ) -> Request:
        """What was asked for, checked.

        Raises:
            UsageError: no model, an unknown one, too many dialogues, an empty situation.
            DataError: there are no dialogues to answer.
        """
        stack, config = self.services.stack, self.services.settings
        names = tuple(stack.model(name).name for name in models)
        if not names:
            raise UsageError("Choose at least one model.")
        texts = tuple(check_message(text) for text in situations if text.strip())
        if dialogues is None and not texts:
            raise UsageError("Write at least one situation, each on a line of its own.")
        if len(texts) > MOST_SITUATIONS:
            raise UsageError(f"At most {MOST_SITUATIONS} situations are taken, not {len(texts)}.")
        if dialogues is not None:
            if not 1 <= dialogues <= MOST_DIALOGUES:
                raise UsageError(f"Choose from 1 to {MOST_DIALOGUES} dialogues, not {dialogues}.")
            find_split(config.data_dir, "test")
        mark = hashlib.sha256("\n".join(texts).encode()).hexdigest()[:6]
        what = f"{dialogues}" if dialogues is not None else f"situations-{mark}"
        # A second copy of the weights, for their probabilities, only where they are small.
        metrics = METRICS if stack.name == "nano" else tuple(set(METRICS) - set(OF_MODELS))
        return Request(
            # The same choice has the same folder, where an interrupted evaluation goes on.
            out=config.home / "reports" / "-".join([stack.name, *names, what]),
            data=config.data_dir,
            stack=stack.name,
            models=names,
            limit=dialogues,
            metrics=tuple(name for name in METRICS if name in metrics),
            situations=texts if dialogues is None else (),
        ).checked()

    def start(self, request: Request) -> None:
        """Begin in the background.

        Raises:
            Busy: one is running already.
            UsageError: this machine cannot do it.
        """
        if self.services.settings.zero_gpu:
            raise UsageError(
                "On ZeroGPU nothing may run in the background: python -m empo evaluate does it."
            )
        if not self._lock.acquire(blocking=False):
            raise Busy("An evaluation is running already; wait for it, or stop it.")
        self._stop.clear()
        self._progress = Progress("running", "waiting for the models", 0.0, None, request.out.name)
        threading.Thread(target=self._run, args=(request,), name="evaluate", daemon=True).start()

    def stop(self) -> None:
        """Ask the running evaluation to stop; it does so after the batch it is at."""
        self._stop.set()

    def _run(self, request: Request) -> None:
        name = request.out.name
        try:
            from empo.evaluation.run import evaluate

            evaluate(request, self._heard, self._stop, self._engine())
            self._progress = Progress("done", "", 1.0, None, name)
        except Stopped:
            text = "Stopped. The same choice goes on from where it was."
            self._progress = Progress("stopped", text, 0.0, None, name)
        except EmpoError as error:
            self._progress = Progress("failed", str(error), 0.0, None, name)
        except Exception:
            logging.getLogger(__name__).exception("an evaluation failed")
            text = "Something went wrong here; the app's log tells more."
            self._progress = Progress("failed", text, 0.0, None, name)
        finally:
            self._lock.release()

    def _engine(self):
        holder = self.services.holder
        while not holder.wait(POLL):
            if self._stop.is_set():
                raise Stopped("Stopped before it began.")
        return holder.engine

    def _heard(self, text: str, share: float) -> None:
        now, before = time.monotonic(), self._progress
        if text != before.text:
            self._began = (now, share)
        began, start = self._began
        left = (now - began) * (1 - share) / (share - start) if start < share < 1 else None
        self._progress = Progress("running", text, share, left, before.report)


def can_answer(services: Services) -> bool:
    """Whether there are dialogues to answer."""
    try:
        find_split(services.settings.data_dir, "test")
    except DataError:
        return False
    return True
