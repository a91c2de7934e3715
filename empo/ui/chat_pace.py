"""How fast chat answers without a training run and beside one: measured on turns, never assumed."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from statistics import median

from empo.types import Reply

KEPT = 8  # turns of each kind; older ones were had under other circumstances
LEAST = 8  # tokens of a turn: of fewer the speed says little


class ChatPace:
    """Tokens a second over all voices of a turn, by voices. Thread-safe.

    Turns of different numbers of voices are not compared: all voices share one pass.
    """

    def __init__(self) -> None:
        self._turns: dict[tuple[int, bool], deque[float]] = {}
        self._lock = threading.Lock()

    def note(self, replies: Sequence[Reply], beside: bool) -> None:
        """Count a finished turn; `beside`: a run was at work from its start to its end."""
        tokens = sum(reply.tokens for reply in replies)
        seconds = max((reply.seconds for reply in replies), default=0.0)
        if tokens < LEAST or seconds <= 0:
            return
        with self._lock:
            kept = self._turns.setdefault((len(replies), beside), deque(maxlen=KEPT))
            kept.append(tokens / seconds)

    def figures(self) -> tuple[int, float | None, float | None]:
        """Voices, and the median speeds without a run and beside one; None: not measured."""
        with self._lock:
            turns = {key: (len(kept), median(kept)) for key, kept in self._turns.items()}
        counts = {
            voices: tuple(turns.get((voices, beside), (0, None)) for beside in (False, True))
            for voices, _ in turns
        }
        if not counts:
            return 0, None, None
        # Of the numbers of voices that were had, one that can be compared, then the most usual.
        voices = max(counts, key=lambda n: (min(c for c, _ in counts[n]), counts[n][1][0], n))
        (_, alone), (_, beside) = counts[voices]
        return voices, alone, beside

    def said(self) -> str:
        """Both speeds, and how much slower, in a sentence."""
        voices, alone, beside = self.figures()
        with_ = f"{voices} voice{'' if voices == 1 else 's'}"
        if alone is None and beside is None:
            return "How much more slowly is not measured yet: it is once something has been said."
        if beside is None:
            return (
                f"Without a run it answers at {_speed(alone)} ({with_}); beside this one: not "
                "measured yet."
            )
        if alone is None:
            return (
                f"Beside this run it answers at {_speed(beside)} ({with_}); without one: not "
                "measured yet."
            )
        change = alone / beside
        much = f"{change:.1f} times slower" if change >= 1.05 else "no slower"
        return (
            f"Beside this run it answers at {_speed(beside)}, without one at {_speed(alone)}: "
            f"{much} (median of the last turns, {with_})."
        )


def _speed(tokens: float) -> str:
    return f"{tokens:.0f} tokens/s" if tokens >= 10 else f"{tokens:.2g} tokens/s"
