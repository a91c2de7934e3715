"""Emotion-grounded preference pairs of dialogues, by strategy.

After *EmPO* (arXiv 2406.19071, section 3): the chosen reply is the human listener's, the rejected
one comes, in the paper, from a dialogue whose emotion lies opposite. The other strategies
(`empo.data.strategies`) make the rejected reply harder to tell by its topic, length or habits.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

from empo.data.opposites import opposite_map
from empo.data.samplers import sampled_pairs
from empo.data.strategies import DEFAULT_MIX, MIX, SAMPLERS, Sampler, normalised, strategy
from empo.errors import UsageError
from empo.types import Dialogue, PreferencePair

PAPER = "paper"
MAX_DRAWS = 20


def paper_pairs(
    dialogues: Sequence[Dialogue], seed: int = 0, draws: int = 1
) -> tuple[PreferencePair, ...]:
    """`draws` pairs for each of `dialogues`, in their order, as `make_pairs` with `paper`."""
    return make_pairs(dialogues, PAPER, seed, draws)


def make_pairs(
    dialogues: Sequence[Dialogue],
    name: str = PAPER,
    seed: int = 0,
    draws: int = 1,
    mix: Mapping[str, float] | None = None,
    map_name: str | None = None,
    sampler: str | None = None,
) -> tuple[PreferencePair, ...]:
    """The pairs of strategy `name`; `map_name` and `sampler` replace its own.

    `origin` of each pair is the strategy's name, or `sampler/map` where one of the two was
    replaced. For `mix`, `mix` gives the shares (default: `DEFAULT_MIX`); each pair keeps the
    origin of its own strategy.

    Raises:
        UsageError: no such strategy, map or sampler, or draws out of range.
        DataError: a dialogue has no emotion, or no pair can be made.
    """
    if not 1 <= draws <= MAX_DRAWS:
        raise UsageError(f"The draws must be a whole number from 1 to {MAX_DRAWS}, not {draws}.")
    if name == MIX:
        if map_name or sampler:
            raise UsageError("A mix takes its maps and samplers from its strategies: give neither.")
        return mixed_pairs(dialogues, normalised(mix or DEFAULT_MIX), seed, draws)
    chosen = strategy(name)
    own_map, own_sampler = map_name or chosen.map, _sampler(sampler or chosen.sampler)
    same = (own_map, own_sampler) == (chosen.map, chosen.sampler)
    origin = name if same else f"{own_sampler}/{own_map}"
    return sampled_pairs(own_sampler, dialogues, opposite_map(own_map), origin, seed, draws)


def _sampler(name: str) -> Sampler:
    for known in SAMPLERS:
        if known == name:
            return known
    raise UsageError(f"There is no sampler “{name}”; choose one of {', '.join(SAMPLERS)}.")


def mixed_pairs(
    dialogues: Sequence[Dialogue], shares: Mapping[str, float], seed: int, draws: int
) -> tuple[PreferencePair, ...]:
    """As many pairs as there are dialogues × `draws`, or as the scarcest strategy allows.

    The shares are exact to one pair; which pairs of each strategy are taken is drawn by `seed`.
    Pairs are ordered by dialogue, as those of every strategy.

    Raises:
        UsageError, DataError: as `make_pairs`.
    """
    made = {name: make_pairs(dialogues, name, seed, draws) for name in shares}
    total = min(
        [len(dialogues) * draws, *(int(len(made[name]) / share) for name, share in shares.items())]
    )
    generator = random.Random(seed)
    place = {dialogue.id: at for at, dialogue in enumerate(dialogues)}
    found: list[PreferencePair] = []
    for name, share in shares.items():
        count = min(round(total * share), len(made[name]))
        found += generator.sample(made[name], count)
    return tuple(sorted(found, key=lambda pair: place[pair.dialogue_id]))
