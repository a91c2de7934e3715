"""Which dialogues of the opposite emotion are hard to tell from the right one by their words.

Nearness is the cosine of TF-IDF vectors (Salton & Buckley 1988) of what the two speakers tell, plus
half that of the prompt and the other listener's reply: a reply of a like situation, that takes up
words of the prompt. With the half, word overlap with the prompt picks the human's reply in about
one pair of two (with nothing in seven of ten, with the whole in three of ten, which would teach the
opposite habit); the README's table of strategies measures it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from empo.data.preferences import last_exchange
from empo.types import Dialogue

REPLY_WEIGHT = 0.5


def story(dialogue: Dialogue) -> str:
    """What the speaker tells: the situation as described, and the speaker's own turns."""
    told = [turn.text for turn in dialogue.turns if turn.role == "user"]
    return " ".join([dialogue.situation or "", *told])


def nearest(
    dialogues: Sequence[Dialogue], opposites: Mapping[str, str], count: int
) -> list[list[int]]:
    """For each dialogue the places, among those of its opposite emotion, of the `count` nearest.

    Nearest first; equal ones keep their order, so that the result is the same everywhere.
    """
    import numpy as np
    from sklearn.feature_extraction.text import TfidfVectorizer

    vectors = TfidfVectorizer(sublinear_tf=True)
    stories = vectors.fit_transform([story(dialogue) for dialogue in dialogues])
    exchanges = [last_exchange(dialogue) for dialogue in dialogues]
    prompts = vectors.transform([" ".join(t.text for t in prompt) for prompt, _ in exchanges])
    replies = vectors.transform([reply for _, reply in exchanges])
    rows: dict[str, list[int]] = {}
    for place, dialogue in enumerate(dialogues):
        rows.setdefault(str(dialogue.emotion), []).append(place)
    found: list[list[int]] = [[] for _ in dialogues]
    for emotion, places in rows.items():
        if pool := rows.get(opposites[emotion]):
            alike = (stories[places] @ stories[pool].T).toarray()
            alike += REPLY_WEIGHT * (prompts[places] @ replies[pool].T).toarray()
            order = np.argsort(-alike.round(9), axis=1, kind="stable")[:, :count]
            for place, near in zip(places, order.tolist(), strict=True):
                found[place] = near
    return found
