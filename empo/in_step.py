"""Two replies heard in step: nothing but their own words tells the two sides apart.

Both are written in one batch whose rows stand in the order of the models' names, whatever seats
they have, and nothing is shown before both are whole. Then both are given out in equal chunks at
the same instants. So no time on the wire can depend on who sits where: not the first chunk, not a
pause, not an error.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from math import ceil
from typing import Final

from empo.compare import compare
from empo.errors import Busy, EmpoError
from empo.models.engine import Engine
from empo.types import ModelSpec, Sampling, Turn

TICK: Final = 0.1  # seconds between two chunks
CHUNK: Final = 9  # characters of either side in a chunk, about as fast as one reads
TICKS: Final = 40  # longer texts come in larger chunks
BEAT: Final = 0.25  # seconds between two signs of life while both write
ATTEMPTS: Final = 3
NO_ANSWER: Final = "The two could not answer this time: try again, or take another situation."
STOPPED: Final = "The replies were stopped: try again, or take another situation."

Clock = Callable[[], float]
Sleep = Callable[[float], None]


def both_written(
    engine: Engine,
    asked: Mapping[str, Sequence[Turn]],
    specs: Mapping[str, ModelSpec],
    sampling: Sampling,
    prompt: str,
    cancel: threading.Event,
    clock: Clock = time.monotonic,
) -> Iterator[dict[str, str] | None]:
    """The replies of all models of `asked` (name → history) by name; None while they write.

    Where one of them says nothing, all are asked again with another seed.

    Raises:
        Busy: as `Engine.stream`.
        EmpoError: they could not answer, or `cancel` was set; it does not say which of them.
    """
    names = sorted(asked)
    rows = [asked[name] for name in names], [specs[name] for name in names]
    for attempt in range(ATTEMPTS):
        seed = (sampling.seed + attempt) % 2**32
        found: dict[str, str] = {}
        steps = compare(engine, *rows, replace(sampling, seed=seed), prompt, cancel)
        told = clock()
        try:
            for step in steps:
                found |= {names[row]: reply.text.strip() for row, reply in step.replies.items()}
                if clock() - told >= BEAT:
                    told = clock()
                    yield None
        except Busy:
            raise
        except Exception as error:
            # Whatever it says may name a model: it goes to the log, not to the page.
            logging.getLogger(__name__).exception("two models could not answer")
            raise EmpoError(NO_ANSWER) from error
        finally:
            steps.close()
        if cancel.is_set():
            raise EmpoError(STOPPED)
        if len(found) == len(names) and all(found.values()):
            yield found
            return
    raise EmpoError(NO_ANSWER)


def frames(a: str, b: str) -> Iterator[tuple[str, str]]:
    """Both texts from their beginnings, in equal chunks; the last frame has them whole."""
    longest = max(len(a), len(b))
    chunk = max(CHUNK, ceil(longest / TICKS))
    for end in range(chunk, longest + chunk, chunk):
        yield a[:end], b[:end]


def in_step(
    a: str, b: str, clock: Clock = time.monotonic, sleep: Sleep = time.sleep
) -> Iterator[tuple[str, str]]:
    """The `frames`, one every `TICK` seconds."""
    start = clock()
    for number, frame in enumerate(frames(a, b)):
        sleep(max(0.0, start + number * TICK - clock()))
        yield frame
