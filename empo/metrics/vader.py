"""VADER's compound score of a reply, as the paper's tables have it and as measured.

Hutto & Gilbert 2014 (ICWSM): −1 unpleasant … 1 pleasant. The library gives exactly 0 to a text with
no word of its list, which says nothing about the text. A table that counts these as 0 can be
compared with published ones; the mean over the measured replies is the honest one beside it.
"""

from __future__ import annotations


def as_published(compound: float | None) -> float:
    """The compound score with 0 for *not measured*, as the library itself gives it."""
    return 0.0 if compound is None else compound
