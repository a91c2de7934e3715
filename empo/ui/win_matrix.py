"""Who beats whom: how often the model of a row was preferred to that of a column."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from empo.ui.ranking_chart import wide

READING = (
    "How often the model at the left was preferred to the one on top; a tie is half a win. A cell "
    "has the colour of the model that is ahead in it, the stronger, the further ahead."
)


def win_matrix(matrix: Mapping[str, Any], order: Sequence[str], colours: Mapping[str, str]) -> str:
    """The figure "Who beats whom", its models in `order`; `matrix` as `arena.tallies` gives it."""
    at = [matrix["models"].index(name) for name in order]
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in order)
    rows = "".join(
        f'<tr><th scope="row">{escape(name)}</th>'
        + "".join(_cell(matrix, i, j, colours) for j in at)
        + "</tr>"
        for name, i in zip(order, at, strict=True)
    )
    table = wide(
        f'<table class="matrix"><thead><tr><td></td>{head}</tr></thead>'
        f"<tbody>{rows}</tbody></table>"
    )
    return (
        f'<figure class="chart"><h3>Who beats whom</h3>{table}'
        f"<figcaption>{READING}</figcaption></figure>"
    )


def _cell(matrix: Mapping[str, Any], i: int, j: int, colours: Mapping[str, str]) -> str:
    if i == j:
        return '<td class="none"></td>'
    rate = matrix["rate"][i][j]
    if rate is None:
        return '<td class="none" title="They have not met.">–</td>'
    met = matrix["wins"][i][j] + matrix["wins"][j][i] + matrix["ties"][i][j]
    ahead = colours.get(matrix["models"][i if rate > 0.5 else j], "#8C8279")
    tint = f"color-mix(in srgb, {ahead} {round(90 * abs(rate - 0.5))}%, transparent)"
    return f'<td style="background:{tint}"><b>{100 * rate:.0f} %</b><small>of {met}</small></td>'
