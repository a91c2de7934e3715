"""The curves of one run or several, as SVG: reward margin first, then what explains it.

Thin: every logged step; bold: their running mean; dots: the validation split. Several runs lie over
each other, each in its colour and dash. Every picture has a table of its last values beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from empo.training.figure import Point, smooth

WIDE, NARROW, HEIGHT = 860, 430, 230  # of the first picture, of the others
_LEFT, _RIGHT, _TOP, _BOTTOM = 58, 14, 14, 30
TINTS = ("#009E73", "#E69F00", "#0072B2", "#CC79A7", "#D55E00", "#56B4E9")
DASHES = ("", "8 4", "2 4", "10 3 2 3", "5 5", "1 5")
MOST = len(TINTS)  # runs in one picture
Rows = Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Panel:
    """One picture: keys of the trainers' logs, and the words for them."""

    title: str
    about: str
    lines: tuple[tuple[str, str, str], ...]  # name, key, key of the validation split


PANELS = (
    Panel(
        "Reward margin",
        "how much more it now prefers the chosen replies to the rejected ones than it did at first",
        (("margin", "rewards/margins", "eval_rewards/margins"),),
    ),
    Panel(
        "Reward accuracy",
        "share of pairs whose chosen reply it has come to prefer; 0.5 is chance",
        (("accuracy", "rewards/accuracies", "eval_rewards/accuracies"),),
    ),
    Panel("Loss", "what training makes small", (("loss", "loss", "eval_loss"),)),
    Panel(
        "Chosen and rejected rewards",
        "above 0: likelier than at first; solid is chosen, dashed rejected",
        (
            ("chosen", "rewards/chosen", "eval_rewards/chosen"),
            ("rejected", "rewards/rejected", "eval_rewards/rejected"),
        ),
    ),
    Panel(
        "Right words",
        "share of the reply's tokens that it finds likeliest",
        (("token accuracy", "mean_token_accuracy", "eval_mean_token_accuracy"),),
    ),
    Panel(
        "General knowledge",
        "share of forty questions it answers rightly; the gate stops it where that falls too far",
        (("right answers", "probe", ""),),
    ),
    Panel("Learning rate", "how large the steps are", (("rate", "learning_rate", ""),)),
)


@dataclass(frozen=True, slots=True)
class _Line:
    label: str
    colour: str
    dash: str
    train: Sequence[Point]
    valid: Sequence[Point]


def curves(runs: Mapping[str, Rows]) -> str:
    """All panels that any of `runs` (name → its metrics) has something for."""
    some = dict(list(runs.items())[:MOST])
    found = [(panel, _lines(panel, some)) for panel in PANELS]
    drawn = [_panel(panel, lines, n == 0) for n, (panel, lines) in enumerate(found) if lines]
    if not drawn:
        return '<p class="quiet">No step has been logged yet: the first come in a moment.</p>'
    return f'{_legend(tuple(some))}<div class="panels">{"".join(drawn)}</div>'


def _legend(names: Sequence[str]) -> str:
    if len(names) < 2:
        return ""
    items = "".join(
        f'<li><svg viewBox="0 0 24 16" aria-hidden="true"><path d="M0 8h24" stroke="{TINTS[n]}" '
        f'stroke-width="3" stroke-dasharray="{DASHES[n]}"/></svg>{escape(name)}</li>'
        for n, name in enumerate(names)
    )
    return f'<ul class="legend">{items}</ul>'


def _lines(panel: Panel, runs: Mapping[str, Rows]) -> list[_Line]:
    found = []
    for n, (name, rows) in enumerate(runs.items()):
        for at, (what, key, other) in enumerate(panel.lines):
            train, valid = _points(rows, key), _points(rows, other)
            if train or valid:
                dash = DASHES[n] if len(panel.lines) == 1 else ("" if at == 0 else "6 4")
                label = what if len(runs) == 1 else f"{name}, {what}"
                found.append(_Line(label, TINTS[n], dash, train, valid))
    return found


def _points(rows: Rows, key: str) -> list[Point]:
    return [
        (float(row["step"]), float(row[key]))
        for row in rows
        if isinstance(row.get(key), int | float) and isinstance(row.get("step"), int | float)
    ]


def _panel(panel: Panel, lines: Sequence[_Line], first: bool) -> str:
    widths = {"broad": WIDE, "slim": NARROW} if first else {"": NARROW}  # slim: on a phone
    drawn = "".join(_svg(panel, lines, name, width) for name, width in widths.items())
    return (
        f'<figure class="chart{" first" if first else ""}"><h3>{panel.title}'
        f"<small>{_now(lines)}</small></h3>{drawn}<figcaption>{panel.about}</figcaption></figure>"
    )


def _svg(panel: Panel, lines: Sequence[_Line], name: str, width: int) -> str:
    every = [point for line in lines for point in (*line.train, *line.valid)]
    last = max(1.0, max(step for step, _ in every))
    low, high = min(v for _, v in every), max(v for _, v in every)
    if high - low < 1e-12:
        room = abs(high) / 2 or 0.5
        low, high = low - room, high + room
    wide, tall = width - _LEFT - _RIGHT, HEIGHT - _TOP - _BOTTOM

    def at(point: Point) -> Point:
        share = (point[1] - low) / (high - low)
        return _LEFT + wide * point[0] / last, _TOP + tall * (1 - share)

    parts = [_grid((low, (low + high) / 2, high), last, at, wide)]
    parts += [_drawn(line, at, len(lines) == 1) for line in lines]
    spoken = escape(f"{panel.title}: {_told(lines)}", quote=True)
    return (
        f'<svg class="plot {name}" viewBox="0 0 {width} {HEIGHT}" role="img" '
        f'aria-label="{spoken}">{"".join(parts)}</svg>'
    )


def _now(lines: Sequence[_Line]) -> str:
    """The newest smoothed values, for a glance."""
    if len(lines) > 2:
        return ""
    said = [f"{smooth(line.train)[-1][1]:.3g}" for line in lines if line.train]
    return f" {' / '.join(said)}".replace("-", "−") if said else ""


def _told(lines: Sequence[_Line]) -> str:
    said = []
    for line in lines:
        points = line.train or line.valid
        said.append(f"{line.label} from {points[0][1]:.3g} to {points[-1][1]:.3g}")
    return ", ".join(said)


def _grid(values: Sequence[float], last: float, at: Callable[[Point], Point], wide: float) -> str:
    parts = []
    for value in values:
        x, y = at((0, value))
        near_zero = abs(value) < 1e-3 * (max(values) - min(values))  # 0, but for rounding
        said = "0" if near_zero else f"{value:.3g}".replace("-", "−")
        parts.append(
            f'<path d="M{x:.1f} {y:.1f}h{wide}" stroke="var(--line, #e6ddd0)"/>'
            f'<text x="{x - 7:.1f}" y="{y + 4:.1f}" text-anchor="end" font-size="13" '
            f'fill="var(--muted, #655e55)">{said}</text>'
        )
    parts.append(
        f'<text x="{_LEFT + wide}" y="{HEIGHT - 8}" text-anchor="end" font-size="13" '
        f'fill="var(--muted, #655e55)">step {last:.0f}</text>'
    )
    return "".join(parts)


def _drawn(line: _Line, at: Callable[[Point], Point], alone: bool) -> str:
    parts = []
    if alone and len(line.train) > 1:
        parts.append(_path(line.train, at, f'stroke="{line.colour}" opacity=".35"'))
    if len(line.train) > 1:
        look = f'stroke="{line.colour}" stroke-width="2.6" stroke-dasharray="{line.dash}"'
        parts.append(_path(smooth(line.train), at, look))
    dots = line.valid if len(line.train) > 1 else (*line.train, *line.valid)
    for x, y in map(at, dots):
        parts.append(
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4.5" fill="{line.colour}" '
            'stroke="var(--card, #fff)" stroke-width="1.5"/>'
        )
    return f"<g><title>{escape(line.label)}</title>{''.join(parts)}</g>"


def _path(points: Sequence[Point], at: Callable[[Point], Point], look: str) -> str:
    places = " ".join(f"{x:.1f},{y:.1f}" for x, y in map(at, points))
    return f'<polyline points="{places}" fill="none" stroke-linejoin="round" {look}/>'
