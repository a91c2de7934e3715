"""How the rejected reply of a pair is found. Pure, seeded; dialogues in, pairs out, in their order.

`random_pairs` is the paper's pairing (arXiv 2406.19071, section 3): the authors' code pairs
unseeded and reuses the first dialogues of a smaller class; here each draw is uniform over the
opposite class, from one seeded generator, without repeats within a dialogue.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence

from empo.data.emotions import EMOTIONS
from empo.data.nearness import nearest
from empo.data.preferences import last_exchange, listener_places
from empo.data.strategies import Sampler
from empo.errors import DataError
from empo.types import Dialogue, PreferencePair

NEAR = 5  # of the opposite class: how many neighbours a hard reply is chosen from, at least
Opposites = Mapping[str, str]
Classes = dict[str, list[Dialogue]]


def sampled_pairs(
    sampler: Sampler,
    dialogues: Sequence[Dialogue],
    opposites: Opposites,
    origin: str,
    seed: int = 0,
    draws: int = 1,
) -> tuple[PreferencePair, ...]:
    """Up to `draws` pairs for each dialogue, in the order of `dialogues`.

    A rejected reply that reads like the chosen one (a bare "Wow!") makes no pair, and a class with
    fewer than `draws` replies gives as many pairs as there are.

    Raises:
        DataError: a dialogue has no emotion of EmpatheticDialogues, or no pair can be made.
    """
    classes = by_emotion(dialogues)
    if sampler == "same-situation":
        pairs = tuple(same_situation_pairs(dialogues, origin, seed, draws))
    else:
        find = {"random": random_pairs, "balanced": balanced_pairs, "hard": hard_pairs}[sampler]
        pairs = tuple(find(dialogues, classes, opposites, origin, seed, draws))
    if not pairs:
        raise DataError(
            "No pair can be made: no dialogue has a second reply of its listener."
            if sampler == "same-situation"
            else "No pair can be made: no dialogue has one of opposite emotion beside it."
        )
    return pairs


def by_emotion(dialogues: Sequence[Dialogue]) -> Classes:
    """The dialogues of each emotion, in order."""
    found: Classes = {}
    for dialogue in dialogues:
        if dialogue.emotion not in EMOTIONS:
            raise DataError(f"Dialogue {dialogue.id} carries no emotion of EmpatheticDialogues.")
        found.setdefault(dialogue.emotion, []).append(dialogue)
    return found


def same_reply(one: str, other: str) -> bool:
    """Whether two replies differ in nothing but case, spacing and the final mark."""
    return _plain(one) == _plain(other)


def _plain(reply: str) -> str:
    return " ".join(reply.lower().split()).rstrip(".!?… ")


def _pair(dialogue: Dialogue, other: Dialogue, opposite: str, origin: str) -> PreferencePair | None:
    prompt, chosen = last_exchange(dialogue)
    rejected = last_exchange(other)[1]
    if same_reply(chosen, rejected):
        return None
    emotion = str(dialogue.emotion)
    return PreferencePair(
        prompt, chosen, rejected, emotion, opposite, origin, dialogue.id, other.id
    )


def random_pairs(
    dialogues: Sequence[Dialogue],
    classes: Classes,
    opposites: Opposites,
    origin: str,
    seed: int,
    draws: int,
) -> Iterator[PreferencePair]:
    """The paper's pairing: each draw uniform over the opposite class."""
    generator = random.Random(seed)
    for dialogue in dialogues:
        opposite = opposites[str(dialogue.emotion)]
        pool = classes.get(opposite, [])
        for other in generator.sample(pool, min(draws, len(pool))):
            if pair := _pair(dialogue, other, opposite, origin):
                yield pair


def balanced_pairs(
    dialogues: Sequence[Dialogue],
    classes: Classes,
    opposites: Opposites,
    origin: str,
    seed: int,
    draws: int,
) -> Iterator[PreferencePair]:
    """In each draw, class and opposite class are shuffled and laid side by side.

    So every reply of the smaller class is rejected once a draw, none of the larger more than once,
    and both directions of an opposition give as many pairs. Later draws shift the same order by
    one, so that no dialogue meets the same reply twice.
    """
    generator = random.Random(seed)
    orders = {name: generator.sample(members, len(members)) for name, members in classes.items()}
    found: dict[str, list[PreferencePair]] = {}
    for emotion, order in sorted(orders.items()):
        other = orders.get(opposite := opposites[emotion], [])
        size = min(len(order), len(other))
        smaller, longer = (order, other) if len(order) <= len(other) else (other, order)
        for draw in range(min(draws, len(longer))):
            for at in range(size):
                one, two = smaller[at], longer[(at + draw) % len(longer)]
                asked, answered = (one, two) if smaller is order else (two, one)
                if pair := _pair(asked, answered, opposite, origin):
                    found.setdefault(asked.id, []).append(pair)
    for dialogue in dialogues:
        yield from found.pop(dialogue.id, ())


def hard_pairs(
    dialogues: Sequence[Dialogue],
    classes: Classes,
    opposites: Opposites,
    origin: str,
    seed: int,
    draws: int,
) -> Iterator[PreferencePair]:
    """Among the nearest dialogues of the opposite class (`nearness`), those used least so far.

    Some situations are near to many others ("hubs", Radovanović et al. 2010); taking the least
    used keeps one reply from becoming everybody's rejected one.
    """
    generator = random.Random(seed)
    neighbours = nearest(dialogues, opposites, max(NEAR, 2 * draws))
    used: dict[str, int] = {}
    for place, dialogue in enumerate(dialogues):
        opposite = opposites[str(dialogue.emotion)]
        pool = classes.get(opposite, [])
        near = [pool[at] for at in neighbours[place]]
        order = sorted(
            range(len(near)), key=lambda at: (used.get(near[at].id, 0), generator.random())
        )
        made = 0
        for other in (near[at] for at in order):
            if made == draws:
                break
            if pair := _pair(dialogue, other, opposite, origin):
                used[other.id] = used.get(other.id, 0) + 1
                made += 1
                yield pair


def same_situation_pairs(
    dialogues: Sequence[Dialogue], origin: str, seed: int, draws: int
) -> Iterator[PreferencePair]:
    """An earlier turn of the dialogue with its reply, against a later reply of the same listener.

    Never an earlier one: that stands in the prompt, where its repetition would give it away.
    """
    generator = random.Random(seed)
    for dialogue in dialogues:
        places = listener_places(dialogue)
        pairs = [
            (asked, later)
            for i, asked in enumerate(places)
            for later in places[i + 1 :]
            if not same_reply(dialogue.turns[asked].text, dialogue.turns[later].text)
        ]
        for asked, later in sorted(generator.sample(pairs, min(draws, len(pairs)))):
            yield PreferencePair(
                dialogue.turns[:asked],
                dialogue.turns[asked].text,
                dialogue.turns[later].text,
                str(dialogue.emotion),
                str(dialogue.emotion),
                origin,
                dialogue.id,
                dialogue.id,
            )
