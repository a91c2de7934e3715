"""What a Space's hardware costs now, as the Hub says; asked in the background, once a day."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

KEPT = 24 * 3600.0  # seconds that an answer counts
AGAIN = 600.0  # seconds after which a Hub that did not answer is asked once more
_HOURS = {"minute": 60, "hour": 1}
Ask = Callable[[], Iterable[Any]]


def spaces_hardware() -> Iterable[Any]:
    """The Hub's own list: `name`, `unit_cost_usd` and `unit_label` of each."""
    from huggingface_hub import HfApi

    return HfApi().list_spaces_hardware(token=False)


def hourly(hardware: Iterable[Any]) -> dict[str, float]:
    """Dollars an hour by the Hub's name of the hardware; a unit that is not known is left out."""
    return {
        item.name: float(item.unit_cost_usd) * _HOURS[item.unit_label]
        for item in hardware
        if item.unit_label in _HOURS
    }


def _behind(work: Callable[[], None]) -> None:
    threading.Thread(target=work, name="prices", daemon=True).start()


class Prices:
    """The prices as of the last answer. Nobody waits for the Hub. Thread-safe."""

    def __init__(
        self,
        ask: Ask = spaces_hardware,
        clock: Callable[[], float] = time.monotonic,
        start: Callable[[Callable[[], None]], None] = _behind,
    ) -> None:
        """`start` does what it is given without being waited for."""
        self._ask, self._clock, self._start = ask, clock, start
        self._found: dict[str, float] | None = None
        self._due: float | None = None  # when to ask again
        self._lock = threading.Lock()

    def known(self) -> Mapping[str, float] | None:
        """Dollars an hour by name; None: the Hub has not answered. Asks it when it is time to."""
        with self._lock:
            due = self._due is None or self._clock() >= self._due
            if due:
                self._due = self._clock() + AGAIN
        if due:
            self._start(self._refresh)
        return self._found

    def _refresh(self) -> None:
        """Ask; an older answer stays where the Hub gives none."""
        try:
            found = hourly(self._ask())
        except Exception:  # the Hub's many errors, network errors, an answer of another form
            return
        with self._lock:
            self._found, self._due = found, self._clock() + KEPT
