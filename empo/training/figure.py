"""The curves of a run as an SVG picture: loss, margin, accuracy.

Thin: every logged step; bold: their running mean; dots: the validation split. The picture has its
own colours for a light and a dark page (`prefers-color-scheme`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from statistics import fmean
from typing import Any

WIDTH, HEIGHT, GAP, EDGE = 290, 276, 22, 20
_LEFT, _RIGHT, _TOP, _BOTTOM = 38, 12, 96, 58
_STYLE = """<style>
.card{fill:#ffffff;stroke:#e2e5ea}.ink{fill:#1f2937}.soft{fill:#5b6472}.grid{stroke:#e8eaee}
.chance{stroke:#9aa3b0;stroke-dasharray:2 4}.fine{stroke:#a9c3f0}.line{stroke:#1d4ed8}
.area{fill:#1d4ed8;opacity:.07}.seen{stroke:#c2570c;opacity:.55}.dot{fill:#c2570c;stroke:#ffffff}
.line,.fine,.seen{fill:none;stroke-linejoin:round;stroke-linecap:round}
@media (prefers-color-scheme:dark){
.card{fill:#12161d;stroke:#2b323d}.ink{fill:#e8ebf0}.soft{fill:#9ca6b5}.grid{stroke:#262d38}
.chance{stroke:#6b7585}.fine{stroke:#34538c}.line{stroke:#7fb0ff}.area{fill:#7fb0ff;opacity:.10}
.seen{stroke:#ffab61}.dot{fill:#ffab61;stroke:#12161d}}
</style>"""
# What the panels show: the keys of the trainers' logs that mean the same, the first that is there.
PANELS = (
    ("Loss", ("loss",), ("eval_loss",)),
    ("Margin", ("rewards/margins",), ("eval_rewards/margins",)),
    ("Accuracy", ("rewards/accuracies", "mean_token_accuracy"),
     ("eval_rewards/accuracies", "eval_mean_token_accuracy")),
)  # fmt: skip
_ABOUT = {
    "Loss": "what training lowers",
    "Margin": "chosen reward minus rejected",
    "Accuracy": "the chosen one preferred",
}

Point = tuple[float, float]
Place = Callable[[Point], Point]


@dataclass(frozen=True, slots=True)
class _Panel:
    title: str
    train: Sequence[Point]
    valid: Sequence[Point]
    pairs: bool  # whether 0.5 is chance


def figure(title: str, rows: Sequence[Mapping[str, Any]]) -> str:
    """The SVG of a run's `metrics.jsonl`; a panel that the method does not log is left out."""
    pairs = any("rewards/accuracies" in row for row in rows)
    panels = [_Panel(name, _points(rows, a), _points(rows, b), pairs) for name, a, b in PANELS]
    panels = [panel for panel in panels if panel.train or panel.valid]
    count = max(1, len(panels))
    width = 2 * EDGE + count * WIDTH + (count - 1) * GAP
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {HEIGHT}" '
        f'width="{width}" height="{HEIGHT}" font-family="system-ui, sans-serif" font-size="12" '
        f'role="img" aria-label="{escape(_told(title, panels), quote=True)}">',
        _STYLE,
        f'<rect class="card" x="0.5" y="0.5" width="{width - 1}" height="{HEIGHT - 1}" rx="12"/>',
        f'<text class="ink" x="{EDGE}" y="33" font-size="15" font-weight="600">'
        f"{escape(title)}</text>",
    ]
    for n, panel in enumerate(panels):
        parts += _panel(panel, EDGE + n * (WIDTH + GAP))
    return "\n".join([*parts, *_legend(panels), "</svg>", ""])


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
    marks = ticks(min(v for _, v in every), max(v for _, v in every))
    wide, tall = WIDTH - _LEFT - _RIGHT, HEIGHT - _TOP - _BOTTOM
    start, floor = left + _LEFT, _TOP + tall

    def at(point: Point) -> Point:
        share = (point[1] - marks[0]) / (marks[-1] - marks[0])
        return start + wide * point[0] / last, _TOP + tall * (1 - share)

    percent = panel.title == "Accuracy"
    parts = [
        f'<text class="ink" x="{start}" y="{_TOP - 30}" font-size="13" font-weight="600">'
        f"{panel.title}</text>",
        f'<text class="soft" x="{start}" y="{_TOP - 14}" font-size="11">'
        f"{_ABOUT[panel.title]}</text>",
    ]
    for value in marks:
        _, y = at((0, value))
        parts.append(f'<path class="grid" d="M{start} {y:.1f}h{wide}"/>')
        parts.append(
            f'<text class="soft" x="{start - 7}" y="{y + 4:.1f}" text-anchor="end" '
            f'font-size="11">{_number(value, percent)}</text>'
        )
    if percent and panel.pairs and marks[0] < 0.5 < marks[-1]:
        parts.append(f'<path class="chance" d="M{start} {at((0, 0.5))[1]:.1f}h{wide}"/>')
    parts.append(
        f'<text class="soft" x="{start + wide}" y="{floor + 17}" text-anchor="end" '
        f'font-size="11">step {last:.0f}</text>'
    )
    return [*parts, *_lines(panel, at, floor)]


def _number(value: float, percent: bool) -> str:
    said = f"{value:.0%}" if percent else f"{value:.4g}"
    return said.replace("-", "−")


def ticks(low: float, high: float) -> list[float]:
    """Three to six round numbers, evenly spaced, that hold `low` and `high` between them."""
    span = max(high - low, 1e-9, 1e-6 * abs(high))
    size = 10 ** math.floor(math.log10(span / 3))
    step = next(size * n for n in (1, 2, 2.5, 5, 10) if span / (size * n) <= 4)
    first, end = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [n * step for n in range(first, max(end, first + 2) + 1)]


def _lines(panel: _Panel, at: Place, floor: float) -> list[str]:
    parts = []
    mean = smooth(panel.train)
    if mean:
        over = _path(mean, at)
        (begin, _), (end, _) = at(mean[0]), at(mean[-1])
        parts += [
            f'<path class="area" d="M{begin:.1f} {floor} L{over} L{end:.1f} {floor}Z"/>',
            f'<polyline class="fine" points="{_path(panel.train, at)}"/>',
            f'<polyline class="line" points="{over}" stroke-width="2.2"/>',
        ]
    if panel.valid:
        parts.append(f'<polyline class="seen" points="{_path(panel.valid, at)}"/>')
    for x, y in map(at, panel.valid):
        parts.append(f'<circle class="dot" cx="{x:.1f}" cy="{y:.1f}" r="4"/>')
    return parts


def _path(points: Sequence[Point], at: Place) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in map(at, points))


def _legend(panels: Sequence[_Panel]) -> list[str]:
    """What thin, bold and dots are, below the panels."""
    if not panels:
        return []
    x, y = EDGE + _LEFT, HEIGHT - 17
    entries = [("fine", "each step", 1.0), ("line", "running mean", 2.2)]
    if any(panel.valid for panel in panels):
        entries.append(("seen", "validation split, never trained on", 1.0))
    if any(panel.pairs for panel in panels):
        entries.append(("chance", "chance", 1.0))
    parts = []
    for name, said, thick in entries:
        parts.append(f'<path class="{name}" d="M{x} {y}h24" stroke-width="{thick}"/>')
        if name == "seen":
            parts.append(f'<rect class="dot" x="{x + 8}" y="{y - 4}" width="8" height="8" rx="4"/>')
        parts.append(f'<text class="soft" x="{x + 31}" y="{y + 4}" font-size="11">{said}</text>')
        x += 56 + round(5.4 * len(said))
    return parts


def smooth(points: Sequence[Point], around: int = 0) -> list[Point]:
    """Means over `around` points on both sides (0: a twentieth of all)."""
    around = around or max(1, len(points) // 20)
    return [
        (step, fmean(value for _, value in points[max(0, n - around) : n + around + 1]))
        for n, (step, _) in enumerate(points)
    ]
