"""The ranking as a picture, dots with intervals, and below it as a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

WIDTH, LEFT, RIGHT, TOP, ROW = 460, 92, 52, 6, 36
MEAN = 1000
GAP = 20  # between groups that no votes connect
FAR = 450  # points beyond the ratings that are still drawn; an interval that goes on has an arrow
INK, MUTED, LINE, CARD = (
    "var(--ink, #2b2723)",
    "var(--muted, #655e55)",
    "var(--line, #ddd5c9)",
    "var(--card, #fff)",
)
READING = (
    "Dots: the rating, 1000 in the mean. Lines: 95 % intervals, which count people rather than "
    "votes; an arrow or a hollow dot: not known yet. 100 points ahead wins 64 of 100 votes that "
    "have a winner."
)
Row = Mapping[str, Any]  # a standing, as `leaderboard.ratings_report` gives it


def ranking_chart(
    report: Mapping[str, Any], colours: Mapping[str, str], adjusted: bool = False
) -> str:
    """The figure "Ranking" of a report that has standings."""
    rows: Sequence[Row] = report["adjusted" if adjusted else "standings"]
    sizes = [len(group) for group in report["groups"]]
    title = "Ranking, adjusted for length and side" if adjusted else "Ranking"
    return (
        f'<figure class="chart ranking"><h3>{title}</h3>{_picture(rows, sizes, colours)}'
        f"<figcaption>{READING}</figcaption>{_table(rows, report['both_bad'])}</figure>"
    )


def _picture(rows: Sequence[Row], sizes: Sequence[int], colours: Mapping[str, str]) -> str:
    low, high = _range(rows)

    def x(value: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * (value - low) / (high - low)

    breaks = {sum(sizes[:i]) for i in range(1, len(sizes))}
    parts, y = [], float(TOP)
    for at, row in enumerate(rows):
        if at in breaks:
            y += GAP
            parts.append(
                f'<line x1="0" x2="{WIDTH}" y1="{y - GAP / 2:.1f}" y2="{y - GAP / 2:.1f}" '
                f'stroke="{LINE}" stroke-dasharray="2 5"/>'
            )
        colour = colours.get(row["model"], "#8C8279")
        parts.append(_drawn(row, y + ROW / 2, colour, x, (low, high)))
        y += ROW
    return (
        f'<svg class="plot" viewBox="0 0 {WIDTH} {y + 24:.0f}" role="img" '
        f'aria-label="{escape(_spoken(rows))}">{_grid(low, high, x, y)}{"".join(parts)}</svg>'
    )


def _range(rows: Sequence[Row]) -> tuple[float, float]:
    """From where to where ratings are drawn: all intervals, but not endlessly."""
    ratings = [row["rating"] for row in rows]
    least, most = min(ratings) - FAR, max(ratings) + FAR
    ends = [end for row in rows for end in (row["low"], row["high"]) if end is not None]
    low = max(least, min([*ratings, *ends, 950]))
    high = min(most, max([*ratings, *ends, 1050]))
    room = 0.06 * (high - low)
    return low - room, high + room


def _grid(low: float, high: float, x: Any, bottom: float) -> str:
    step = next((s for s in (25, 50, 100, 200) if (high - low) / s <= 6), 500)
    parts = []
    for value in range(int(low // step + 1) * step, int(high) + 1, step):
        dash = "" if value == MEAN else ' stroke-dasharray="2 5"'
        parts.append(
            f'<line x1="{x(value):.1f}" x2="{x(value):.1f}" y1="{TOP}" y2="{bottom:.1f}" '
            f'stroke="{LINE}"{dash}/><text x="{x(value):.1f}" y="{bottom + 17:.1f}" '
            f'text-anchor="middle" font-size="12" fill="{MUTED}">{value}</text>'
        )
    return "".join(parts)


def _drawn(row: Row, y: float, colour: str, x: Any, ends: tuple[float, float]) -> str:
    known = row["low"] is not None or row["high"] is not None
    name = row["model"] if len(row["model"]) <= 12 else f"{row['model'][:11]}…"
    paint = f'fill="{colour}" stroke="{CARD}"' if known else f'fill="{CARD}" stroke="{colour}"'
    line = _interval(row, y, colour, x, ends) if known else ""
    return (
        f"<g><title>{escape(told(row))}</title>"
        f'<text x="{LEFT - 14}" y="{y + 5:.1f}" text-anchor="end" font-size="14" '
        f'font-weight="700" fill="{INK}">{escape(name)}</text>{line}'
        f'<circle cx="{x(row["rating"]):.1f}" cy="{y:.1f}" r="7.5" {paint} stroke-width="2.2"/>'
        f'<text x="{WIDTH}" y="{y + 5:.1f}" text-anchor="end" font-size="14" fill="{INK}">'
        f"{row['rating']:.0f}</text></g>"
    )


def _interval(row: Row, y: float, colour: str, x: Any, ends: tuple[float, float]) -> str:
    """The line; with an arrow where it goes on, or where nothing bounds it."""
    drawn, caps = [], []
    for end, edge, way in ((row["low"], ends[0], -1), (row["high"], ends[1], 1)):
        inside = end is not None and (end - edge) * way <= 0
        at = x(end if inside else edge)
        back = at if inside else at - 6 * way
        drawn.append(at)
        caps.append(f"M {back:.1f} {y - 5:.1f} L {at:.1f} {y:.1f} L {back:.1f} {y + 5:.1f}")
    whole = f"M {drawn[0]:.1f} {y:.1f} H {drawn[1]:.1f} {' '.join(caps)}"
    return (
        f'<path d="{whole}" fill="none" stroke="{colour}" stroke-width="3" stroke-linecap="round"/>'
    )


def told(row: Row) -> str:
    """ "DPO: 1043 (95 % interval 1010 – 1077), 120 votes"."""
    votes = f"{row['votes']} vote{'' if row['votes'] == 1 else 's'}"
    return f"{row['model']}: {row['rating']:.0f} ({interval(row['low'], row['high'])}), {votes}"


def interval(low: float | None, high: float | None) -> str:
    """An interval in words; an end that is None is not bounded by the votes."""
    if low is None and high is None:
        return "interval not known yet"
    if low is None or high is None:
        return "95 % interval open on one side"
    return f"95 % interval {bounded(low, 0, 2 * MEAN)} to {bounded(high, 0, 2 * MEAN)}"


def _spoken(rows: Sequence[Row]) -> str:
    return "Ratings. " + "; ".join(told(row) for row in rows) + "."


def _table(rows: Sequence[Row], both_bad: Mapping[str, Any]) -> str:
    bad = {row["model"]: row["both_bad"] for row in both_bad["models"]}
    heads = ("rating", "95 % interval", "won", "lost", "tied", "both bad")
    head = "".join(f'<th scope="col">{name}</th>' for name in ("model", *heads))
    body = "".join(
        f'<tr><th scope="row">{escape(row["model"])}</th><td>{row["rating"]:.0f}</td>'
        f"<td>{_short(row['low'], row['high'])}</td><td>{row['wins']}</td><td>{row['losses']}</td>"
        f"<td>{row['ties']}</td><td>{bad.get(row['model'], 0)}</td></tr>"
        for row in rows
    )
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    return wide(table)


def wide(table: str) -> str:
    """A table that scrolls by itself where the screen is narrow, with the keyboard, too."""
    return f'<div class="wide" tabindex="0">{table}</div>'


def _short(low: float | None, high: float | None) -> str:
    if low is None and high is None:
        return "not known yet"
    return f"{bounded(low, 0, 2 * MEAN)} – {bounded(high, 0, 2 * MEAN)}"


def bounded(end: float | None, least: float, most: float) -> str:
    """An end of an interval in words; beyond `least` and `most` nothing is known but that."""
    if end is None:
        return "open"
    if not least <= end <= most:
        return f"under {least:.0f}" if end < least else f"over {most:.0f}"
    return f"{end:.0f}"
