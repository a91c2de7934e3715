"""The arrays that the scorer's graph reads: texts laid end to end, and indices between layouts.

Every distinct text of a call is encoded once, however many replies share it as their context.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np


def pack(
    texts: Sequence[Sequence[int]],
    roles: Sequence[int],
    pairs: Sequence[tuple[int, int]],
    speakers: Sequence[int],
) -> dict[str, np.ndarray]:
    """The graph's inputs for `texts` (ids in pieces, none empty).

    `roles` is 0 for a speaker's text and 1 for a reply; `pairs` are (post, reply) and `speakers`
    single texts, all as indices into `texts`. Lengths are in pieces; padding points at token 0
    and is masked by the lengths.
    """
    import numpy as np

    lengths = np.array([len(text) for text in texts], np.int64)
    starts = np.cumsum(lengths) - lengths
    rows = _rows(range(len(texts)), starts, lengths)
    places = np.concatenate([np.arange(n) for n in lengths])
    owner = np.repeat(np.arange(len(texts)), lengths)
    arrays = {
        "ids": np.concatenate([np.asarray(text, np.int64) for text in texts]),
        "places": places,
        "roles": np.asarray(roles, np.int64)[owner],
        "rows": rows,
        "row_lengths": lengths.astype(np.int32),
        "back": owner * rows.shape[1] + places,
    }
    groups = {
        "post": ("posts", [post for post, _ in pairs]),
        "reply": ("replies", [reply for _, reply in pairs]),
        "speaker": ("speakers", list(speakers)),
    }
    for name, (plural, chosen) in groups.items():
        arrays[plural] = _rows(chosen, starts, lengths)
        arrays[f"{name}_lengths"] = lengths[chosen].astype(np.int32)
    return arrays


def _rows(chosen: Sequence[int], starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Token numbers (len(chosen), longest) of the texts `chosen`, 0 where there is none."""
    import numpy as np

    chosen = np.asarray(chosen, np.int64)
    offsets = np.arange(lengths[chosen].max())
    inside = offsets < lengths[chosen][:, None]
    return np.where(inside, starts[chosen][:, None] + offsets, 0)
