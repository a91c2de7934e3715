"""For visitors who may not train here: what it takes on a Space of their own. Pure."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape

import yaml

from empo.budget import predict
from empo.estimate import operations, steps_of
from empo.training.recipe import RunSpec
from empo.ui.run_view import clock

CPU = 6e10  # operations a second that training reaches on two shared cores, about


@dataclass(frozen=True, slots=True)
class Hardware:
    """What a Space can rent: bytes of memory, operations a second in training, dollars an hour.

    `key` is the Hub's own name for it.
    """

    key: str
    name: str
    memory: int
    speed: float
    price: float


# Memory, less what is taken before a run begins, and price as LIST said when this was written: for
# where the Hub does not say its prices itself (empo/hub/prices.py). Speed: a third of dense bf16.
LIST = "https://huggingface.co/docs/hub/spaces-gpus"
FREE = Hardware("cpu-basic", "CPU basic", 14_000_000_000, CPU, 0.0)
GPUS = (
    Hardware("l4x1", "Nvidia L4", 22_000_000_000, 4.0e13, 0.80),
    Hardware("a10g-small", "Nvidia A10G", 22_000_000_000, 4.2e13, 1.00),
    Hardware("l40sx1", "Nvidia L40S", 46_000_000_000, 1.2e14, 1.80),
    Hardware("a100-large", "Nvidia A100", 78_000_000_000, 1.0e14, 2.50),
)
_SLOW = 4 * 3600  # seconds from which on a GPU is better


def own_space(spec: RunSpec, space: str | None, prices: Mapping[str, float] | None = None) -> str:
    """Duplicate link, recipe file, and time and cost of `spec`; `space` is the Space's name.

    `prices`: dollars an hour as the Hub says them now.
    """
    where = (
        f'<a href="https://huggingface.co/spaces/{escape(space, quote=True)}?duplicate=true" '
        'target="_blank" rel="noopener noreferrer">Duplicate this Space</a>, sign in there'
        if space
        else "Put this app on a Space or a machine of your own (<code>python app.py</code>)"
    )
    return (
        "<h3>Train this on your own Space</h3>"
        f"<p>Only the owner of this page starts runs here. {where}, and start it in its Train tab, "
        f"or with <code>python -m empo runs start {escape(spec.name)}.yaml</code>.</p>"
        f"<p>{escape(cost(spec, prices))} "
        f'<a href="{LIST}" target="_blank" rel="noopener noreferrer">What hardware costs</a></p>'
        f"{recipe_link(spec)}"
    )


def cost(spec: RunSpec, prices: Mapping[str, float] | None = None) -> str:
    """The cheapest hardware on which `spec` fits, with its time and price."""
    work = operations(spec)
    if work is None:
        return "Its time and cost are not known: the size of its base is not."
    total = work * steps_of(spec)
    cheap = [(FREE, predict(spec, FREE.memory, gpu=False))] if total / CPU < _SLOW else []
    choices = cheap + [(card, predict(spec, card.memory, gpu=True)) for card in GPUS]
    for card, budget in choices:
        if budget.fits:
            seconds = total / card.speed
            known = "" if budget.needed else " (if its memory is enough, which is not known here)"
            return (
                f"Roughly {clock(seconds)} of training on {card.name}{known}: "
                f"{_price(card, seconds, prices)}; loading and measuring come on top."
            )
    return "It does not fit on one card as it is: choose nf4, or smaller batches."


def _price(card: Hardware, seconds: float, prices: Mapping[str, float] | None) -> str:
    """What `seconds` on `card` cost, to one significant digit, and where the price is from."""
    if not card.price:
        return "no charge by the hour (making a Space may need a paid plan)"
    hourly = (prices or {}).get(card.key)
    dollars = seconds / 3600 * (card.price if hourly is None else hourly)
    said = "less than a cent" if dollars < 0.01 else f"about ${float(f'{dollars:.1g}'):.2f}"
    if hourly is not None:
        return f"{said}, at ${hourly:.2f} an hour as the Hub says today"
    return f"{said}, at ${card.price:.2f} an hour when this was written (check it)"


def recipe_link(spec: RunSpec) -> str:
    """The recipe as a file to download, carried by the link itself."""
    raw = spec.model_dump(mode="json", exclude_none=True)
    text = yaml.safe_dump(raw, sort_keys=False, allow_unicode=True)
    data = base64.b64encode(text.encode()).decode()
    return (
        f'<p><a class="file" download="{escape(spec.name, quote=True)}.yaml" '
        f'href="data:application/yaml;base64,{data}">Recipe as a file ({escape(spec.name)}.yaml)'
        "</a></p>"
    )
