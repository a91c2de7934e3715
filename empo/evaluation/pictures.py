"""Pictures of a report as SVG: metric × model with intervals, baselines as lines, and a heat map.

Plain functions from numbers to text, the same for the report's own page and for the app.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from empo.evaluation.baselines import CONSTANT, HUMAN, MATCHED, SHUFFLED
from empo.evaluation.catalogue import Entry

WIDTH, RIGHT, STEP, TOP = 360, 14, 24, 8
LETTER, MOST = 7.2, 17  # width of a letter, and how many of a name are shown
INK, MUTED, LINE, CARD = (
    "var(--ink, #2b2723)",
    "var(--muted, #655e55)",
    "var(--line, #ddd5c9)",
    "var(--card, #fff)",
)
# Okabe and Ito's colours; the first three as everywhere: base, SFT, DPO.
COLOURS = {"base": "#0072B2", "sft": "#E69F00", "dpo": "#009E73", HUMAN: "#8C8279"}
_FURTHER = ("#CC79A7", "#56B4E9", "#D55E00", "#0072B2", "#E69F00", "#009E73")
# Baseline → dash pattern and what the legend calls it.
LINES = {
    HUMAN: ("", "human listener"),
    CONSTANT: ("2 4", "constant 0"),
    SHUFFLED: ("7 4", "shuffled human"),
    MATCHED: ("1 3", "human, as long"),
}
Numbers = Mapping[str, Any]


def colour(name: str, taken: Sequence[str] = ()) -> str:
    """The colour of a system: by its name, or the next free one."""
    for key, value in COLOURS.items():
        if name == key or name.split("_")[-1] == key:
            return value
    place = int(hashlib.sha256(name.encode()).hexdigest(), 16)
    free = [c for c in _FURTHER if c not in taken] or list(_FURTHER)
    return free[0] if taken else free[place % len(free)]


def colours(names: Sequence[str]) -> dict[str, str]:
    """System → colour, none twice as long as there are enough."""
    found: dict[str, str] = {}
    for name in names:
        own = colour(name)
        found[name] = own if own not in found.values() else colour(name, list(found.values()))
    return found


def dots(entry: Entry, report: Mapping[str, Any]) -> str:
    """One metric: a dot with its interval for each system, the baselines as lines."""
    systems = {name: entry.of(m) for name, m in report["systems"].items()}
    lines = baseline_values(entry, report)
    known = [n for n in systems.values() if n and n["value"] is not None]
    values = [n[k] for n in known for k in ("value", "low", "high") if n[k] is not None]
    values += [value for _, _, value in lines]
    if not values:
        return ""
    low, high = _range(values)
    left = 20 + LETTER * min(MOST, max(map(len, systems)))

    def x(value: float) -> float:
        return left + (WIDTH - left - RIGHT) * (value - low) / (high - low)

    bottom = TOP + STEP * len(systems)
    parts = [_axis(entry, low, high, x, bottom)]
    for name, dash, value in lines:
        parts.append(
            f"<g><title>{escape(name)}: {entry.written(value)}</title>"
            f'<line x1="{x(value):.1f}" x2="{x(value):.1f}" y1="{TOP - 4}" y2="{bottom}" '
            f'stroke="{INK}" stroke-width="1.6" stroke-dasharray="{dash}"/></g>'
        )
    tints = colours(list(systems))
    for row, (name, number) in enumerate(systems.items()):
        parts.append(_dot(entry, name, number, tints[name], left, TOP + STEP * (row + 0.5), x))
    return (
        f'<svg class="plot" viewBox="0 0 {WIDTH} {bottom + 22}" role="img" '
        f'aria-label="{escape(spoken(entry, report))}">{"".join(parts)}</svg>'
    )


def baseline_values(entry: Entry, report: Mapping[str, Any]) -> list[tuple[str, str, float]]:
    """(name, dash, value) of the baselines that are drawn as lines."""
    found = []
    for name, metrics in report["baselines"].items():
        key = MATCHED if name.startswith(MATCHED) else name
        number = entry.of(metrics)
        if key in LINES and number and number["value"] is not None:
            found.append((name, LINES[key][0], number["value"]))
    return found


def _range(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    room = 0.06 * (high - low) or 0.1 * abs(high) or 1.0
    # Nothing that cannot be negative gets an axis that is.
    return max(0.0, low - room) if low >= 0 else low - room, high + room


def _axis(entry: Entry, low: float, high: float, x: Any, bottom: float) -> str:
    parts = []
    for share, anchor in ((0.04, "start"), (0.5, "middle"), (0.96, "end")):
        value = low + share * (high - low)
        parts.append(
            f'<line x1="{x(value):.1f}" x2="{x(value):.1f}" y1="{TOP}" y2="{bottom}" '
            f'stroke="{LINE}"/><text x="{x(value):.1f}" y="{bottom + 16}" text-anchor="{anchor}" '
            f'font-size="12" fill="{MUTED}">{entry.written(value)}</text>'
        )
    return "".join(parts)


def _dot(entry: Entry, name: str, number: Any, tint: str, left: float, y: float, x: Any) -> str:
    label = name if len(name) <= MOST else f"…{name[1 - MOST :]}"
    parts = [
        f'<text x="{left - 12:.1f}" y="{y + 4:.1f}" text-anchor="end" font-size="13" '
        f'fill="{INK}">{escape(label)}</text>'
    ]
    if not number or number["value"] is None:
        parts.append(
            f'<text x="{left + 4:.1f}" y="{y + 4:.1f}" font-size="12" font-style="italic" '
            f'fill="{MUTED}">not measured</text>'
        )
        return f"<g><title>{escape(why(name, number))}</title>{''.join(parts)}</g>"
    if number["low"] is not None:
        parts.append(
            f'<line x1="{x(number["low"]):.1f}" x2="{x(number["high"]):.1f}" y1="{y:.1f}" '
            f'y2="{y:.1f}" stroke="{tint}" stroke-width="3" stroke-linecap="round"/>'
        )
    parts.append(
        f'<circle cx="{x(number["value"]):.1f}" cy="{y:.1f}" r="5.5" fill="{tint}" '
        f'stroke="{CARD}" stroke-width="1.5"/>'
    )
    return f"<g><title>{escape(told(entry, name, number))}</title>{''.join(parts)}</g>"


def told(entry: Entry, name: str, number: Numbers) -> str:
    """One system's number in words."""
    text = f"{name}: {entry.written(number['value'])}"
    if number["low"] is not None:
        text += f" ({entry.written(number['low'])} to {entry.written(number['high'])})"
    return f"{text}, {number['n']:,} replies"


def why(name: str, number: Numbers | None) -> str:
    """Why a system has no number."""
    reason = number.get("why") if number else None
    return f"{name}: not measured. {reason or ''}".strip()


def spoken(entry: Entry, report: Mapping[str, Any]) -> str:
    """The whole picture in a sentence, for those who hear it."""
    found = []
    for name, metrics in report["systems"].items():
        number = entry.of(metrics)
        known = number and number["value"] is not None
        found.append(told(entry, name, number) if known else f"{name}: not measured")
    found += [f"{name}: {entry.written(v)}" for name, _, v in baseline_values(entry, report)]
    return f"{entry.title}. {'; '.join(found)}."


def legend(report: Mapping[str, Any]) -> str:
    """The list of lines that baselines are drawn as."""
    keys = [
        key
        for key in LINES
        if any(
            name.startswith(key) if key == MATCHED else name == key for name in report["baselines"]
        )
    ]
    return "".join(
        f'<li><svg viewBox="0 0 26 10" aria-hidden="true"><line x1="1" x2="25" y1="5" y2="5" '
        f'stroke="{INK}" stroke-width="2" stroke-dasharray="{LINES[key][0]}"/></svg>'
        f"{LINES[key][1]}</li>"
        for key in keys
    )


def heat(
    cells: Mapping[str, Mapping[str, tuple[float, int]]],
    columns: Sequence[str],
    entry: Entry,
) -> str:
    """A table emotion × system, each cell tinted by its value; a click tells which one it was.

    `cells`: emotion → system → (mean, replies).
    """
    values = [value for row in cells.values() for value, _ in row.values()]
    if not values:
        return '<p class="empty">Nothing of this was measured reply by reply.</p>'
    low, high = min(values), max(values)
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in columns)
    rows = []
    for emotion in sorted(cells):
        row = "".join(_cell(entry, emotion, n, cells[emotion].get(n), low, high) for n in columns)
        rows.append(f'<tr><th scope="row">{escape(emotion)}</th>{row}</tr>')
    return (
        f'<table class="heat"><thead><tr><th scope="col">emotion</th>{head}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table>"
    )


def _cell(
    entry: Entry,
    emotion: str,
    name: str,
    found: tuple[float, int] | None,
    low: float,
    high: float,
) -> str:
    if found is None:
        return "<td>–</td>"
    value, count = found
    share = (value - low) / (high - low) if high > low else 0.0
    return (
        f'<td style="--heat: {100 * share:.0f}%"><button type="button" '
        f'data-emotion="{escape(emotion)}" data-system="{escape(name)}" '
        f'title="{escape(name)}, {escape(emotion)}: {count} replies">'
        f"{entry.written(value)}</button></td>"
    )
