"""What may be asked for: the ranges of the sampling settings, and what counts as a message.

One place for the command line and the page, so that both refuse the same things in the same words.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Final

from empo.errors import UsageError
from empo.types import Sampling

MAX_CHARACTERS: Final = 8000


@dataclass(frozen=True, slots=True)
class Limits:
    """The range low..high of a setting; `low` itself is excluded where `above` is set."""

    low: float
    high: float
    whole: bool = False
    above: bool = False

    def __contains__(self, value: object) -> bool:
        if isinstance(value, bool) or not isinstance(value, int | float):
            return False
        if not math.isfinite(value) or (self.whole and value != int(value)):
            return False
        return self.low <= value <= self.high and not (self.above and value == self.low)

    def __str__(self) -> str:
        kind = "a whole number " if self.whole else ""
        start = f"above {self.low:g} and at most" if self.above else f"from {self.low:g} to"
        return f"{kind}{start} {self.high:g}" if self.high < 1e6 else f"{kind}{start} {self.high}"


# top_k 0 and min_p 0 switch those filters off; temperature 0 is argmax.
LIMITS: dict[str, Limits] = {
    "temperature": Limits(0, 2),
    "top_p": Limits(0, 1, above=True),
    "top_k": Limits(0, 1000, whole=True),
    "min_p": Limits(0, 1),
    "repetition_penalty": Limits(1, 2),
    "max_new_tokens": Limits(1, 1024, whole=True),
    "seed": Limits(0, 2**32 - 1, whole=True),
}


def check_sampling(sampling: Sampling) -> Sampling:
    """`sampling` itself, when every value lies in its range.

    Raises:
        UsageError: a value does not; names the setting and its range.
    """
    for name, limits in LIMITS.items():
        if (value := getattr(sampling, name)) not in limits:
            title = name.replace("_", "-")
            raise UsageError(f"The setting {title} must be {limits}, not {value}.")
    return sampling


# C0 and C1 controls but tab and newline: never typed, and terminals and databases choke on them.
_CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
_SURROGATES = re.compile(r"[\ud800-\udfff]")


def clean_message(text: str) -> str:
    """`text` stripped, without controls (tab and newline stay), lone surrogates replaced."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return _SURROGATES.sub("\ufffd", _CONTROLS.sub("", text)).strip()


def check_message(text: str) -> str:
    """The message as it will be used: `clean_message(text)`.

    Raises:
        UsageError: nothing is left of it, or it is longer than `MAX_CHARACTERS`.
    """
    if len(text) > MAX_CHARACTERS:
        raise UsageError(
            f"The message has {len(text):,} characters; at most {MAX_CHARACTERS:,} are taken: "
            "shorten it."
        )
    if not (cleaned := clean_message(text)):
        raise UsageError("The message is empty: write something first.")
    return cleaned
