"""diff-EPITOME: how far a reply's empathy levels are from the human listener's.

Lee, Lim & Choi 2022 (COLING, *Does GPT-3 Generate Empathetic Dialogues?*), as used by EmPO
(arXiv 2406.19071): for each EPITOME mechanism (Sharma et al. 2020, arXiv 2009.08441), the squared
difference of the predicted level of the model's reply and of the human's, averaged over replies.
Lower is better. Most human levels are 0, so a system that is never empathetic scores well: show
the constant 0 beside it.
"""

from __future__ import annotations

import numpy as np

Levels = np.ndarray
"""(replies, 3) predicted levels 0, 1 or 2 as float; nan is *not measured*."""


def squared_differences(levels: Levels, human: Levels) -> np.ndarray:
    """(replies, 3): (level − human level)², nan where either was not measured."""
    return np.square(levels - human)


def majority(human: Levels) -> tuple[int, ...]:
    """The commonest level of each mechanism (the lower of a tie): the best-informed constant.

    Raises:
        ValueError: a mechanism was never measured.
    """
    found = []
    for column in human.T:
        known = column[~np.isnan(column)].astype(int)
        if not len(known):
            raise ValueError("No human level was measured.")
        found.append(int(np.bincount(known).argmax()))
    return tuple(found)
