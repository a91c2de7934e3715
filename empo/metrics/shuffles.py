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

    Among equally long ones it is drawn at random, each once as long as there are enough.
    `lengths[i]` belongs to place i, which is never its own answer (but for a single place).
    """
    generator = random.Random(seed)
    places: dict[int, list[int]] = {}
    for i, length in enumerate(lengths):
        places.setdefault(length, []).append(i)
    fresh: dict[int, list[int]] = {}
    return [
        _drawn(i, length, places, fresh, generator) if len(lengths) > 1 else i
        for i, length in enumerate(wanted)
    ]


def _drawn(
    i: int,
    wanted: int,
    places: dict[int, list[int]],
    fresh: dict[int, list[int]],
    generator: random.Random,
) -> int:
    """A place of the nearest length, from the ones not drawn yet while there are any."""
    length = min(
        (length for length in places if places[length] != [i]),
        key=lambda length: (abs(length - wanted), length),
    )
    left = [j for j in fresh.get(length, ()) if j != i]
    if not left:
        fresh[length] = generator.sample(places[length], len(places[length]))
        left = [j for j in fresh[length] if j != i]
    fresh[length].remove(left[-1])
    return left[-1]
