"""The curves of a run as an SVG picture: loss, margin, accuracy.

Thin: every logged step; bold: their running mean; dots: the validation split.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from statistics import fmean
from typing import Any

WIDTH, HEIGHT, GAP = 300, 220, 24
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 10, 44, 30
_INK, _FAINT, _GRID, _CHECK = "#1f2937", "#93b4e8", "#e2e5ea", "#b45309"
_LINE = "#1d4ed8"
# What the panels show: the keys of the trainers' logs that mean the same, the first that is there.
PANELS = (
    ("Loss", ("loss",), ("eval_loss",)),
    ("Margin", ("rewards/margins",), ("eval_rewards/margins",)),
    ("Accuracy", ("rewards/accuracies", "mean_token_accuracy"),
     ("eval_rewards/accuracies", "eval_mean_token_accuracy")),
)  # fmt: skip

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class _Panel:
    title: str
    train: Sequence[Point]
    valid: Sequence[Point]


def figure(title: str, rows: Sequence[Mapping[str, Any]]) -> str:
    """The SVG of a run's `metrics.jsonl`; a panel that the method does not log is left out."""
    panels = [_Panel(name, _points(rows, a), _points(rows, b)) for name, a, b in PANELS]
    panels = [panel for panel in panels if panel.train or panel.valid]
    width = len(panels) * WIDTH + (len(panels) - 1) * GAP if panels else WIDTH
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {HEIGHT}" '
        f'width="{width}" height="{HEIGHT}" font-family="system-ui, sans-serif" font-size="11" '
        f'role="img" aria-label="{escape(_told(title, panels), quote=True)}">',
        f'<rect width="{width}" height="{HEIGHT}" fill="#ffffff"/>',
        f'<text x="4" y="15" fill="{_INK}" font-size="13">{escape(title)}</text>',
    ]
    for n, panel in enumerate(panels):
        parts += _panel(panel, n * (WIDTH + GAP))
    return "\n".join([*parts, "</svg>", ""])


def _points(rows: Sequence[Mapping[str, Any]], names: Sequence[str]) -> list[Point]:
    for name in names:
        found = [
            (float(row["step"]), float(row[name]))
            for row in rows
            if isinstance(row.get(name), int | float)
        ]
        if found:
            return found
    return []


def _told(title: str, panels: Sequence[_Panel]) -> str:
    """The picture in words."""
    said = [
        f"{panel.title.lower()} from {points[0][1]:.3g} to {points[-1][1]:.3g}"
        for panel in panels
        if (points := panel.train or panel.valid)
    ]
    return f"{title}: {', '.join(said) or 'nothing logged yet'}"


def _panel(panel: _Panel, left: float) -> list[str]:
    every = [*panel.train, *panel.valid]
    last = max(1.0, max(step for step, _ in every))
    low, high = min(v for _, v in every), max(v for _, v in every)
    if high - low < 1e-9:
        low, high = low - 0.5, high + 0.5
    wide, tall = WIDTH - _LEFT - _RIGHT, HEIGHT - _TOP - _BOTTOM

    def at(point: Point) -> Point:
        step, value = point
        share = (value - low) / (high - low)
        return left + _LEFT + wide * step / last, _TOP + tall * (1 - share)

    parts = [f'<text x="{left + _LEFT}" y="{_TOP - 8}" fill="{_INK}">{panel.title}</text>']
    for value in (low, (low + high) / 2, high):
        x, y = at((0, value))
        parts.append(f'<path d="M{x:.1f} {y:.1f}h{wide}" stroke="{_GRID}"/>')
        parts.append(
            f'<text x="{x - 5:.1f}" y="{y + 4:.1f}" text-anchor="end" fill="{_INK}">'
            f"{value:.3g}</text>"
        )
    end = left + _LEFT + wide
    parts.append(
        f'<text x="{end}" y="{HEIGHT - 10}" text-anchor="end" fill="{_INK}">step {last:.0f}</text>'
    )
    parts += _lines(panel, at)
    return parts


def _lines(panel: _Panel, at: Any) -> list[str]:
    parts = []
    for points, colour, width in ((panel.train, _FAINT, 1.0), (smooth(panel.train), _LINE, 2.0)):
        if points:
            path = " ".join(f"{x:.1f},{y:.1f}" for x, y in map(at, points))
            parts.append(
                f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="{width}"/>'
            )
    for x, y in map(at, panel.valid):
        parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{_CHECK}"/>')
    return parts


def smooth(points: Sequence[Point], around: int = 0) -> list[Point]:
    """Means over `around` points on both sides (0: a twentieth of all)."""
    around = around or max(1, len(points) // 20)
    return [
        (step, fmean(value for _, value in points[max(0, n - around) : n + around + 1]))
        for n, (step, _) in enumerate(points)
    ]
