"""The scorer behind the page: loaded once, after the models, and never in a reply's way."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from functools import cached_property

from empo.errors import EmpoError
from empo.scoring.card import Listener, ScorerError, read_card
from empo.scoring.scorer import EMBEDDED, Pair, Scorer
from empo.types import Scores

PATIENCE = 5.0  # seconds that a finished turn waits for a scorer that is still being loaded


class LiveScorer:
    """Scores what it can; None is *not measured*. Thread-safe.

    `load` is called once; without it there is no scorer, and nothing is measured.
    """

    def __init__(self, load: Callable[[], Scorer] | None = None) -> None:
        self._load = load
        self._scorer: Scorer | None = None
        self._settled = threading.Event()
        self._started = threading.Lock()
        if load is None:
            self._settled.set()

    def load_here(self) -> None:
        """Load in this thread; a second call does nothing, and a failure only goes to the log."""
        if self._load is None or not self._started.acquire(blocking=False):
            return
        try:
            self._scorer = self._load()
        except EmpoError as error:
            logging.getLogger(__name__).warning("replies are not measured: %s", error)
        except Exception:
            logging.getLogger(__name__).exception("the scorer could not be loaded")
        finally:
            self._settled.set()

    @cached_property
    def listener(self) -> Listener | None:
        """What a typical human listener scores: read from the card, known before the weights."""
        if self._load is None:
            return None
        try:
            return read_card(EMBEDDED / "scorer.json").listener
        except ScorerError:
            return None

    def __call__(self, pairs: Sequence[Pair]) -> list[Scores | None]:
        """The scores of each (message, reply), in one batch; never raises."""
        if self._settled.wait(PATIENCE) and self._scorer is not None and pairs:
            try:
                return list(self._scorer.score(pairs))
            except Exception:
                # Whatever goes wrong here, the replies have been written and are to be read.
                logging.getLogger(__name__).exception("a turn could not be measured")
        return [None] * len(pairs)
