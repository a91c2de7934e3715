"""The report's pictures as SVG: the same on the page and in a file that stands alone.

Every text is escaped here. Colours are CSS variables with fallbacks, so that a picture follows
light and dark where it is put; shapes differ as well, so that colour is never the only sign.
"""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

from empo.data.emotions import EMOTIONS
from empo.data.opposites import flips

INK, MUTED, LINE, PAPER = (
    "var(--ink, #2b2723)",
    "var(--muted, #655e55)",
    "var(--line, #ddd5c9)",
    "var(--card, #fff)",
)
CHOSEN, REJECTED, FLIPPED, KEPT = "#009E73", "#D55E00", "#0072B2", "#CC79A7"
TELLS = {
    "length": ("Length alone", "takes the longer reply"),
    "emotion": ("An emotion classifier", "TF-IDF, told the emotion"),
    "overlap": ("Word overlap", "with the prompt"),
}
SIDES = {
    "emotional_reaction": "How warm",
    "interpretation": "How understanding",
    "exploration": "How curious",
}
WIDTH, LEFT, RIGHT, ROW, TOP = 460, 172, 26, 46, 30


def tells_plot(report: Mapping[str, Any]) -> str:
    """How often each baseline picks the human's reply, with intervals; 50 % is a line."""
    rows = [(TELLS[name], report["tells"].get(name)) for name in TELLS]
    spoken = "; ".join(f"{title[0]}: {percent(value)}" for title, value in rows)
    parts = [_grid((0, 0.25, 0.5, 0.75, 1), 1.0, len(rows), lambda v: f"{v:.0%}", strong=0.5)]
    for number, ((title, note), value) in enumerate(rows):
        y = _row(number)
        parts.append(_label(title, note, y))
        parts.append(
            _interval(value, y) if value else _text(LEFT + 6, y + 4, "not measured", MUTED)
        )
    return _svg(parts, len(rows), f"Share of pairs whose human reply is picked. {spoken}.")


def levels_plot(report: Mapping[str, Any]) -> str:
    """Mean EPITOME level (0 to 2) of the chosen and the rejected replies."""
    parts = [_grid((0, 0.5, 1, 1.5, 2), 2.0, len(SIDES), lambda v: f"{v:g}")]
    spoken = []
    for number, (name, title) in enumerate(SIDES.items()):
        y, found = _row(number), report.get(name)
        means = (found["chosen"], found["rejected"]) if found else (None, None)
        parts.append(_label(title, name.replace("_", " "), y))
        spoken.append(f"{title}: chosen {number_text(means[0])}, rejected {number_text(means[1])}")
        if None in means:
            parts.append(_text(LEFT + 6, y + 4, "not measured", MUTED))
            continue
        a, b = (_x(mean / 2) for mean in means)
        parts.append(
            f'<line x1="{a:.1f}" x2="{b:.1f}" y1="{y}" y2="{y}" stroke="{MUTED}" stroke-width="2"/>'
            f"<g><title>rejected {means[1]:.2f}</title>{_square(b, y)}</g>"
            f"<g><title>chosen {means[0]:.2f}</title>{_circle(a, y)}</g>"
        )
    return _svg(parts, len(SIDES), f"Mean level, 0 to 2. {'; '.join(spoken)}.")


def arrows_plot(report: Mapping[str, Any]) -> str:
    """Emotions (rows) by the emotion of the rejected reply (columns): a mark where there are pairs.

    Pleasant emotions stand first, so that marks in two quarters flip the polarity.
    """
    names = sorted(EMOTIONS, key=lambda name: (-EMOTIONS[name].polarity, name))
    place = {name: at for at, name in enumerate(names)}
    cell, left, top = 11, 76, 72
    size = cell * len(names)
    most = max((n for row in report["opposites"].values() for n in row.values()), default=1)
    parts = [
        f'<rect x="{left}" y="{top}" width="{size}" height="{size}" fill="none" stroke="{LINE}"/>',
        f'<path d="M{left + size / 2},{top}v{size}M{left},{top + size / 2}h{size}" '
        f'stroke="{LINE}"/>',
    ]
    for name, at in place.items():
        y = top + cell * (at + 0.5)
        parts.append(_text(left - 5, y + 3, name, MUTED, 9, "end"))
        x = left + cell * (at + 0.5)
        parts.append(
            f'<text transform="translate({x + 3:.1f},{top - 5}) rotate(-90)" font-size="9" '
            f'fill="{MUTED}">{escape(name)}</text>'
        )
    for emotion, row in report["opposites"].items():
        for opposite, count in row.items():
            parts.append(
                _cell(
                    left + cell * place[opposite],
                    top + cell * place[emotion],
                    cell,
                    (emotion, opposite, count, most),
                )
            )
    whole = left + size + 8
    return (
        f'<svg class="plot arrows" viewBox="0 0 {whole} {whole}" role="img" aria-label="'
        f'{len(report["opposites"])} emotions by the emotion of their rejected replies.">'
        f"{''.join(parts)}</svg>"
    )


def _cell(x: float, y: float, cell: int, what: tuple[str, str, int, int]) -> str:
    emotion, opposite, count, most = what
    flipped = flips(emotion, opposite)
    colour, r = (FLIPPED if flipped else KEPT), cell / 2 * (0.4 + 0.6 * count / most)
    middle = (x + cell / 2, y + cell / 2)
    shape = (
        f'<circle cx="{middle[0]}" cy="{middle[1]}" r="{r:.1f}" fill="{colour}"/>'
        if flipped
        else f'<rect x="{middle[0] - r:.1f}" y="{middle[1] - r:.1f}" width="{2 * r:.1f}" '
        f'height="{2 * r:.1f}" fill="{colour}"/>'
    )
    title = f"{escape(emotion)} against {escape(opposite)}: {count:,} pairs"
    return f"<g><title>{title}</title>{shape}</g>"


def percent(value: Mapping[str, Any] | None, digits: int = 0) -> str:
    """A share with its interval, as text."""
    if value is None:
        return "not measured"
    low, high = (f"{100 * value[key]:.{digits}f}" for key in ("low", "high"))
    return f"{100 * value['value']:.{digits}f} % ({low}–{high})"


def number_text(value: float | None, digits: int = 2) -> str:
    return "not measured" if value is None else f"{value:.{digits}f}".replace("-", "−")


def legend(kind: str) -> str:
    """What the marks of `levels` and `arrows` mean."""
    marks = {
        "levels": ((_circle(0, 0), "chosen"), (_square(0, 0), "rejected")),
        "arrows": (
            (f'<circle r="6" fill="{FLIPPED}"/>', "pleasant against unpleasant"),
            (f'<rect x="-5" y="-5" width="10" height="10" fill="{KEPT}"/>', "both on one side"),
        ),
    }[kind]
    items = "".join(
        f'<li><svg viewBox="-8 -8 16 16" aria-hidden="true">{mark}</svg>{text}</li>'
        for mark, text in marks
    )
    return f'<ul class="legend">{items}</ul>'


def _row(number: int) -> float:
    return TOP + ROW * (number + 0.5)


def _x(share: float) -> float:
    return LEFT + (WIDTH - LEFT - RIGHT) * share


def _svg(parts: list[str], rows: int, spoken: str) -> str:
    height = TOP + ROW * rows + 8
    return (
        f'<svg class="plot" viewBox="0 0 {WIDTH} {height}" role="img" '
        f'aria-label="{escape(spoken)}">{"".join(parts)}</svg>'
    )


def _grid(values: tuple[float, ...], top: float, rows: int, name: Any, strong: float = -1) -> str:
    end = TOP + ROW * rows
    lines = []
    for value in values:
        x, bold = _x(value / top), value == strong
        dash = "" if bold else ' stroke-dasharray="2 5"'
        lines.append(
            f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{TOP - 6}" y2="{end}" '
            f'stroke="{MUTED if bold else LINE}"{dash}/>'
            + _text(x, TOP - 12, name(value), MUTED, 12, "middle")
        )
    return "".join(lines)


def _label(title: str, note: str, y: float) -> str:
    return _text(LEFT - 12, y - 2, title, INK, 13, "end") + _text(
        LEFT - 12, y + 13, note, MUTED, 11, "end"
    )


def _interval(value: Mapping[str, Any], y: float) -> str:
    low, middle, high = (_x(value[key]) for key in ("low", "value", "high"))
    return (
        f"<g><title>{escape(percent(value, 1))}</title>"
        f'<line x1="{low:.1f}" x2="{high:.1f}" y1="{y}" y2="{y}" stroke="{INK}" '
        f'stroke-width="2.5"/><circle cx="{middle:.1f}" cy="{y}" r="6" fill="{INK}" '
        f'stroke="{PAPER}" stroke-width="1.5"/></g>'
    )


def _circle(x: float, y: float) -> str:
    return (
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="6" fill="{CHOSEN}" stroke="{PAPER}" '
        'stroke-width="1.5"/>'
    )


def _square(x: float, y: float) -> str:
    return (
        f'<rect x="{x - 6:.1f}" y="{y - 6:.1f}" width="12" height="12" fill="{PAPER}" '
        f'stroke="{REJECTED}" stroke-width="2.5"/>'
    )


def _text(x: float, y: float, text: str, fill: str, size: int = 12, anchor: str = "start") -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" '
        f'fill="{fill}">{escape(text)}</text>'
    )
