"""Human replies in the wrong place: what a figure is worth that knows nothing of the situation.

- shuffled: every dialogue gets the human reply of another one;
- length-matched: of another one, as many words long as the system's reply (or as near as there
  is), so that what length alone brings is seen.
"""

from __future__ import annotations

import random
from collections.abc import Sequence


def shuffled(count: int, seed: int = 0) -> list[int]:
    """For each of `count` places another place, every one used once (a random cyclic order)."""
    order = list(range(count))
    random.Random(seed).shuffle(order)
    found = [0] * count
    for here, there in zip(order, order[1:] + order[:1], strict=True):
        found[here] = there
    return found


def length_matched(wanted: Sequence[int], lengths: Sequence[int], seed: int = 0) -> list[int]:
    """For each place i another place whose `lengths` is as near to `wanted[i]` as there is.

    Among equally near ones it is drawn at random. `lengths[i]` belongs to place i, which is never
    its own answer (but for a single place).
    """
    generator = random.Random(seed)
    places: dict[int, list[int]] = {}
    for i, length in enumerate(lengths):
        places.setdefault(length, []).append(i)
    known = sorted(places)
    return [_drawn(i, length, known, places, generator) for i, length in enumerate(wanted)]


def _drawn(
    i: int,
    wanted: int,
    known: Sequence[int],
    places: dict[int, list[int]],
    generator: random.Random,
) -> int:
    for length in sorted(known, key=lambda length: (abs(length - wanted), length)):
        if others := [j for j in places[length] if j != i]:
            return generator.choice(others)
    return i
