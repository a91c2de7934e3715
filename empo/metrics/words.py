"""How long a reply is: white-space words, as a reader would count them."""

from __future__ import annotations


def words(reply: str) -> int:
    """The number of white-space words of `reply`."""
    return len(reply.split())
