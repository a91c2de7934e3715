"""Shares of votes with their intervals, beside the half that chance would give."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

WIDTH, LEFT, RIGHT, TOP, ROW = 460, 176, 14, 4, 30
INK, MUTED, LINE, CARD = (
    "var(--ink, #2b2723)",
    "var(--muted, #655e55)",
    "var(--line, #ddd5c9)",
    "var(--card, #fff)",
)


@dataclass(frozen=True, slots=True)
class Share:
    """A share in 0..1 of `votes` votes, with its 95 % interval; None where it is not known."""

    label: str
    share: float
    low: float | None
    high: float | None
    votes: int

    def told(self) -> str:
        """ "the left reply wins: 54 % (49 – 59 %) of 240 votes"."""
        ends = "" if self.low is None or self.high is None else f" ({_range(self.low, self.high)})"
        return f"{self.label}: {100 * self.share:.0f} %{ends} of {self.votes} votes"


def share_of(label: str, found: Mapping[str, Any]) -> Share | None:
    """A share as `arena.clusters.share` gives it; None if there were no votes to count."""
    if found["share"] is None:
        return None
    return Share(label, found["share"], found["low"], found["high"], found["votes"])


def share_chart(shares: Sequence[Share]) -> str:
    """The picture, and the numbers as a table."""
    bottom = TOP + ROW * len(shares)
    rows = "".join(_drawn(share, TOP + ROW * (at + 0.5)) for at, share in enumerate(shares))
    spoken = "; ".join(share.told() for share in shares)
    return (
        f'<svg class="plot" viewBox="0 0 {WIDTH} {bottom + 24}" role="img" '
        f'aria-label="{escape(spoken)}.">{_grid(bottom)}{rows}</svg>{_table(shares)}'
    )


def _x(share: float) -> float:
    return LEFT + (WIDTH - LEFT - RIGHT) * share


def _grid(bottom: float) -> str:
    return "".join(
        f'<line x1="{_x(value):.1f}" x2="{_x(value):.1f}" y1="{TOP}" y2="{bottom}" '
        f'stroke="{LINE}"{dash}/><text x="{_x(value):.1f}" y="{bottom + 17}" '
        f'text-anchor="{anchor}" font-size="12" fill="{MUTED}">{100 * value:.0f} %</text>'
        for value, dash, anchor in (
            (0.0, ' stroke-dasharray="2 5"', "middle"),
            (0.5, "", "middle"),
            (1.0, ' stroke-dasharray="2 5"', "end"),
        )
    )


def _drawn(share: Share, y: float) -> str:
    line = ""
    if share.low is not None and share.high is not None:
        line = (
            f'<line x1="{_x(share.low):.1f}" x2="{_x(share.high):.1f}" y1="{y}" y2="{y}" '
            f'stroke="{INK}" stroke-width="2.5" stroke-linecap="round"/>'
        )
    paint = f'fill="{INK}" stroke="{CARD}"' if line else f'fill="{CARD}" stroke="{INK}"'
    return (
        f"<g><title>{escape(share.told())}</title>"
        f'<text x="{LEFT - 12}" y="{y + 4}" text-anchor="end" font-size="12" fill="{INK}">'
        f"{escape(share.label)}</text>{line}"
        f'<circle cx="{_x(share.share):.1f}" cy="{y}" r="5.5" {paint} stroke-width="1.8"/></g>'
    )


def _table(shares: Sequence[Share]) -> str:
    rows = "".join(
        f'<tr><th scope="row">{escape(share.label)}</th><td>{100 * share.share:.0f} %</td>'
        f"<td>{_range(share.low, share.high)}</td><td>{share.votes}</td></tr>"
        for share in shares
    )
    return (
        '<details data-key="shares"><summary>The numbers</summary><table><thead><tr>'
        '<th scope="col">of votes with a winner</th><th scope="col">share</th>'
        '<th scope="col">95 % interval</th><th scope="col">votes</th></tr></thead>'
        f"<tbody>{rows}</tbody></table></details>"
    )


def _range(low: float | None, high: float | None) -> str:
    if low is None or high is None:
        return "not known"
    return f"{100 * low:.0f} – {100 * high:.0f} %"
