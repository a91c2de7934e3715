"""What HF Jobs rents: flavours, their memory and their price, from the Hub itself where it answers.

Only machines with one card or none: a run uses one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from empo.hub.prices import hourly

SOURCE = "huggingface.co/docs/hub/jobs-pricing, as it stood in November 2026"
_SIZES = {"MB": 1e6, "GB": 1e9, "TB": 1e12}


@dataclass(frozen=True, slots=True)
class Flavor:
    """A machine: the Hub's name for it, `memory` of its card (or its own) in bytes, `price` in
    dollars an hour."""

    name: str
    title: str
    memory: float
    gpu: bool
    price: float

    @property
    def said(self) -> str:
        """For a person: l4x1 (1x Nvidia L4, 24 GB), $0.80 an hour."""
        return f"{self.name} ({self.title}, {self.memory / 1e9:.0f} GB), ${self.price:.2f} an hour"


def _gpu(name: str, title: str, gigabytes: float, price: float) -> Flavor:
    return Flavor(name, title, gigabytes * 1e9, True, price)


# For when the Hub does not say (from SOURCE): check the price there before you rely on it.
TABLE: tuple[Flavor, ...] = (
    Flavor("cpu-basic", "CPU Basic, 2 cores", 16e9, False, 0.01),
    Flavor("cpu-upgrade", "CPU Upgrade, 8 cores", 32e9, False, 0.03),
    _gpu("t4-small", "Nvidia T4 - small", 16, 0.40),
    _gpu("t4-medium", "Nvidia T4 - medium", 16, 0.60),
    _gpu("l4x1", "1x Nvidia L4", 24, 0.80),
    _gpu("a10g-small", "Nvidia A10G - small", 24, 1.00),
    _gpu("a10g-large", "Nvidia A10G - large", 24, 1.50),
    _gpu("l40sx1", "1x Nvidia L40S", 48, 1.80),
    _gpu("a100-large", "Nvidia A100 - large", 80, 2.50),
    _gpu("rtx-pro-6000", "Nvidia RTX PRO 6000", 96, 2.75),
    _gpu("h200", "Nvidia H200", 141, 5.00),
)


def flavors(hardware: Iterable[Any]) -> tuple[Flavor, ...]:
    """Of the Hub's own list (`list_jobs_hardware`) what a run can use, the cheapest first."""
    found = (_read(item) for item in hardware)
    return tuple(sorted((f for f in found if f), key=lambda flavor: flavor.price))


def _read(item: Any) -> Flavor | None:
    """One machine; None where its unit or memory is unknown, or it is not for a run."""
    price = hourly([item]).get(item.name)
    card = item.accelerator
    if card and (card.type != "gpu" or card.manufacturer.lower() != "nvidia"):
        return None
    if card and str(card.quantity) != "1":
        return None
    memory = _bytes(card.vram if card else item.ram)
    if price is None or memory is None:
        return None
    return Flavor(item.name, item.pretty_name, memory, bool(card), round(price, 4))


def _bytes(text: str) -> float | None:
    found = re.match(r"\s*([\d.]+)\s*(MB|GB|TB)", str(text))
    return float(found[1]) * _SIZES[found[2]] if found else None
