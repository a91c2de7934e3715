"""Which model is preferred where: the emotions of the situations, on Plutchik's wheel."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from math import sqrt

from empo.data.emotions import EMOTIONS
from empo.ui.ranking_chart import wide
from empo.ui.wheel_chart import SIZE, place, wheel

CARD, MUTED = "var(--card, #fff)", "var(--muted, #655e55)"
Z = 1.96  # of a 95 % interval
READING = (
    "Each dot is an emotion; the bigger, the more votes. Its colour is that of the model that wins "
    "most there; filled where it wins more than half beyond chance (95 %), hollow where the votes "
    "are too few to say. Of 32 emotions one or two stand out by chance."
)
# {"wins", "losses", "ties", "votes", "rate"}, as `arena.tallies.emotion_wins` gives it
Cell = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Winner:
    """The model that wins most with an emotion, and whether that is more than chance."""

    emotion: str
    model: str
    votes: int
    sure: bool


def winner(emotion: str, cells: Mapping[str, Cell]) -> Winner:
    """The model with the highest share; sure, if Wilson's interval of it lies above one half."""
    model = max(sorted(cells), key=lambda name: cells[name]["rate"])
    n, rate = cells[model]["votes"], cells[model]["rate"]
    centre = (rate + Z**2 / (2 * n)) / (1 + Z**2 / n)
    half = Z * sqrt(rate * (1 - rate) / n + Z**2 / (4 * n**2)) / (1 + Z**2 / n)
    votes = sum(int(cell["votes"]) for cell in cells.values()) // 2
    return Winner(emotion, model, votes, centre - half > 0.5)


def win_wheel(emotions: Mapping[str, Mapping[str, Cell]], colours: Mapping[str, str]) -> str:
    """The figure "Which model suits which feeling" of emotions that have votes."""
    known = [winner(name, cells) for name, cells in emotions.items() if name in EMOTIONS]
    most = max((one.votes for one in known), default=1)
    # The big ones first, so that none hides a smaller one.
    drawn = sorted(known, key=lambda one: (-one.votes, one.emotion))
    dots = "".join(_dot(one, emotions[one.emotion], colours, most) for one in drawn)
    models = sorted({model for cells in emotions.values() for model in cells})
    legend = "".join(
        '<li><svg viewBox="-8 -8 16 16" aria-hidden="true">'
        f'<circle r="6" fill="{colours.get(model, "#8C8279")}"/></svg>{escape(model)}</li>'
        for model in models
    )
    spoken = "; ".join(f"{one.emotion} {one.model}" for one in known if one.sure)
    return (
        f'<figure class="chart"><h3>Which model suits which feeling</h3><ul class="legend">{legend}'
        f'</ul><svg class="plot wheel" viewBox="0 0 {SIZE} {SIZE}" role="img" aria-label="'
        f'Preferred beyond chance: {escape(spoken) or "nothing yet"}.">{wheel()}{dots}</svg>'
        f"<figcaption>{READING}</figcaption>{_table(emotions, models)}</figure>"
    )


def _dot(one: Winner, cells: Mapping[str, Cell], colours: Mapping[str, str], most: int) -> str:
    x, y = place(one.emotion)
    colour = colours.get(one.model, "#8C8279")
    paint = f'fill="{colour}" stroke="{CARD}"' if one.sure else f'fill="{CARD}" stroke="{colour}"'
    size = 3 + 5 * sqrt(one.votes / most)
    shares = ", ".join(f"{model} {_share(cell)}" for model, cell in sorted(cells.items()))
    return (
        f"<g><title>{escape(f'{one.emotion}: {shares}')}</title>"
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{size:.1f}" {paint} stroke-width="2"/></g>'
    )


def _share(cell: Cell) -> str:
    return f"{100 * cell['rate']:.0f} % of {cell['votes']:.0f}"


def _table(emotions: Mapping[str, Mapping[str, Cell]], models: list[str]) -> str:
    head = "".join(f'<th scope="col">{escape(model)}</th>' for model in models)
    rows = "".join(
        f'<tr><th scope="row">{escape(name)}</th>'
        + "".join(f"<td>{_share(cells[m]) if m in cells else '–'}</td>" for m in models)
        + "</tr>"
        for name, cells in sorted(emotions.items())
    )
    table = wide(
        f'<table><thead><tr><th scope="col">won, of votes</th>{head}</tr></thead>'
        f"<tbody>{rows}</tbody></table>"
    )
    return f'<details data-key="feelings"><summary>The numbers</summary>{table}</details>'
