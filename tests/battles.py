"""Battles for the tests of the store: pools, seats, what was said, and votes cast in one line."""

from __future__ import annotations

from empo.arena.store import Store
from empo.types import Ballot, Battle, Outcome, Pool, Round, Sampling, Seat, Transcript

LIVE = Pool("nano", True, "none", Sampling(), "none", "b0b0b0b0")
RECORDED = Pool("paper", False, "as-published")
BASE, SFT, DPO = Seat("base"), Seat("sft", "5f75f7"), Seat("dpo", "d90d90")


def said(
    message: str = "My dog died.", a: str = "Oh no.", b: str = "How old was she?"
) -> Transcript:
    return Transcript((Round(message, a, b),))


def ready(
    store: Store,
    voter: str = "anon:1",
    pool: Pool = LIVE,
    seats: tuple[Seat, Seat] = (BASE, SFT),
    item: str | None = None,
    transcript: Transcript | None = None,
) -> tuple[Battle, str]:
    """A battle that can be voted on, and its token."""
    battle, token = store.open_battle(voter, pool, seats, item, "sad", consent="1")
    store.finish(token, voter, transcript or said())
    return battle, token


def cast(
    store: Store,
    outcome: Outcome = "a",
    voter: str = "anon:1",
    pool: Pool = LIVE,
    seats: tuple[Seat, Seat] = (BASE, SFT),
    item: str | None = None,
    transcript: Transcript | None = None,
    reason: str = "",
) -> Battle:
    """A battle that was voted on."""
    battle, token = ready(store, voter, pool, seats, item, transcript)
    store.vote(token, voter, Ballot(outcome, reason=reason))
    return battle
