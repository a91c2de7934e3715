"""The recorded deck goes round: a battle is shown until enough people have judged it."""

from __future__ import annotations

import random
from collections.abc import Collection, Mapping, Sequence
from itertools import combinations

from empo.arena.matchmaking import Pair, draw_pair

# So many voters judge one battle before it makes room: then one can say how far they agree.
QUORUM = 5

# A battle of the deck: the card's id, and the two whose replies are shown.
Item = tuple[str, Pair]


def next_item(
    cards: Sequence[str],
    models: Sequence[str],
    judged: Mapping[Item, int],
    seen: Collection[Item],
    rng: random.Random,
) -> Item | None:
    """What to deal to a voter who has `seen` these battles; None: every one of them.

    `judged` counts the voters of each battle. Battles already begun come first, those nearest to
    `QUORUM` foremost, so that few are open at a time. If none is left for this voter, a fresh one
    is begun, between those two that the ranking needs most (`matchmaking`). When the quorum is
    reached everywhere, the next round adds as many votes again. A situation that the voter knows
    already comes back, with another pair, only when there is no new one.
    """
    left = [(card, pair) for card in cards for pair in combinations(sorted(models), 2)]
    left = [item for item in left if item not in seen]
    if not left:
        return None
    known = {card for card, _ in seen}
    left = [item for item in left if item[0] not in known] or left
    rounds = {item: judged.get(item, 0) // QUORUM for item in left}
    current = min(rounds.values())
    open_now = [item for item in left if rounds[item] == current]
    begun = {item: count for item in open_now if (count := judged.get(item, 0) % QUORUM)}
    if begun:
        most = max(begun.values())
        return rng.choice([item for item, count in begun.items() if count == most])
    pair = draw_pair(models, votes_by_pair(judged), rng)
    return rng.choice([item for item in open_now if item[1] == pair] or open_now)


def votes_by_pair(judged: Mapping[Item, int]) -> dict[Pair, int]:
    """The votes on each pair, over all cards."""
    found: dict[Pair, int] = {}
    for (_, pair), count in judged.items():
        found[pair] = found.get(pair, 0) + count
    return found
