"""What a run on HF Jobs would cost, before anything is sent: machine, price, time limit, the most.

Nothing starts without the offer having been accepted by its price (`Offer.accept`).
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from empo.budget import Budget, predict
from empo.errors import EmpoError, OutOfMemory, UsageError
from empo.estimate import operations, steps_of
from empo.hub.answers import Unseen
from empo.hub.hardware import SOURCE, TABLE, Flavor
from empo.hub.jobs import HubJobs
from empo.settings import settings
from empo.training.elsewhere import dollars, most
from empo.training.recipe import RunSpec

USUAL_LIMIT = "1h"
SHORTEST, LONGEST = 300, 7 * 24 * 3600  # seconds of a time limit
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_SLOW = 6e10  # operations a second that training reaches on two shared cores, about
_FREE = 0.9  # share of a machine's memory that a run can use
_OLD = "t4-"


@dataclass(frozen=True, slots=True)
class Offer:
    """A machine for `seconds` at most; `namespace` pays. `live`: the Hub itself named the price."""

    flavor: Flavor
    seconds: int
    namespace: str
    live: bool

    @property
    def cost(self) -> float:
        """Dollars at most."""
        return most(self.flavor.price, self.seconds)

    @property
    def said(self) -> str:
        """All of it in a few sentences."""
        source = (
            "The price is the Hub's own, asked for just now."
            if self.live
            else f"The Hub did not say its prices; this one is from {SOURCE}: check the price."
        )
        old = " A T4 has no bf16 of its own, so l4x1 is often cheaper in the end."
        return (
            f"HF Jobs, {self.flavor.said}, for {length(self.seconds)} at most: "
            f"{dollars(self.cost)} at most, paid by {self.namespace} by the minute, and less where "
            f"the run ends earlier. {source}{old if self.flavor.name.startswith(_OLD) else ''}"
        )

    def accept(self, amount: float) -> None:
        """Raises UsageError where more might be charged than the `amount` that was accepted."""
        if not isinstance(amount, int | float) or not self.cost <= amount + 0.005:
            raise UsageError(
                f"It may cost {dollars(self.cost)}, and that was not accepted: look at the price "
                "again, then accept it."
            )


def time_limit(text: str) -> int:
    """Seconds of 90m, 1h, 1.5h, 2d, or a number of seconds, as the Hub's own `timeout`.

    Raises:
        UsageError: it is none of these, or not between five minutes and a week.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd]?)", text.strip().lower())
    seconds = float(found[1]) * _UNITS[found[2] or "s"] if found else math.nan
    if not SHORTEST <= seconds <= LONGEST:
        raise UsageError(
            f"The time limit {text[:40]} is none: write 30m, 1h or 2d, from 5 minutes to 7 days."
        )
    return int(seconds)


def length(seconds: float) -> str:
    """A time limit for a person: 45 min, 1 h, 1 h 30 min."""
    hours, minutes = divmod(round(seconds / 60), 60)
    parts = [f"{hours} h"] if hours else []
    return " ".join([*parts, *([f"{minutes} min"] if minutes or not hours else [])])


def hub_jobs() -> HubJobs:
    """The jobs of whoever's token there is. Raises UsageError without one; says what to do."""
    token = settings().hub_token
    return HubJobs(token.get_secret_value() if token else None, settings().hub)


def known_flavors(hub: HubJobs) -> tuple[Sequence[Flavor], bool]:
    """What can be rented, and whether the Hub itself said so."""
    try:
        found = hub.flavors()
    except Unseen:
        found = ()
    except EmpoError:  # a Hub that has no such list
        found = ()
    return (found, True) if found else (TABLE, False)


def offer(
    spec: RunSpec,
    flavor: str | None = None,
    limit: str = USUAL_LIMIT,
    namespace: str | None = None,
    force: bool = False,
) -> Offer:
    """What doing `spec` on `flavor` costs (None: the cheapest that fits).

    Raises:
        UsageError: no token, no such flavour, or no such time limit.
        NotAllowed: the token is not accepted, or can only read.
        OutOfMemory: it is predicted not to fit there (unless `force`).
        FetchError: the Hub does not answer.
    """
    seconds = time_limit(limit)
    hub = hub_jobs()
    payer = hub.namespace(namespace)
    found, live = known_flavors(hub)
    machine = _named(found, flavor) if flavor else cheapest(spec, found, seconds)
    if not force:
        _fits(spec, machine)
    return Offer(machine, seconds, payer, live)


def _named(found: Sequence[Flavor], name: str) -> Flavor:
    for flavor in found:
        if flavor.name == name:
            return flavor
    names = ", ".join(flavor.name for flavor in found)
    raise UsageError(f"HF Jobs has no flavour “{name[:40]}” for one run; there are {names}.")


def cheapest(spec: RunSpec, found: Sequence[Flavor], seconds: int) -> Flavor:
    """The cheapest machine with memory enough; without a card only for what is soon done there."""
    work = operations(spec)
    soon = work is not None and work * steps_of(spec) / _SLOW < seconds / 4
    for flavor in sorted(found, key=lambda flavor: flavor.price):
        if flavor.name.startswith(_OLD) or not (flavor.gpu or soon):
            continue
        if _budget(spec, flavor).fits:
            return flavor
    return max(found, key=lambda flavor: flavor.memory)


def _budget(spec: RunSpec, flavor: Flavor) -> Budget:
    return predict(spec, round(flavor.memory * _FREE), gpu=flavor.gpu)


def _fits(spec: RunSpec, flavor: Flavor) -> None:
    budget = _budget(spec, flavor)
    if not budget.fits:
        raise OutOfMemory(
            f"This run is predicted to take {(budget.needed or 0) / 1e9:.1f} GB of memory, "
            f"{flavor.name} has {flavor.memory / 1e9:.0f} GB: {budget.fix}, or take another "
            "flavour."
        )
