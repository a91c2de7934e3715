"""Charts as SVG from plain values: the same picture on the page and in a downloaded transcript.

Every text is escaped here. Colours come from CSS variables where they follow light and dark
(`--ink`, `--muted`, `--line`, `--paper`), with fallbacks for a file that stands alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise

from empo.conversation import Exchange
from empo.types import Vad, Valence
from empo.ui.colours import NO_MODEL

WIDTH, HEIGHT = 460, 216
LEFT, RIGHT, TOP, BOTTOM = 88, 12, 14, 34
YOU = "you"
READING = (
    "Up is pleasant, down is unpleasant, by the words used (VADER, −1 to 1). "
    "A gap means not measured: no word of the text is in the lexicon."
)
READING_AROUSAL = (
    "Up is excited, down is calm, by the NRC VAD lexicon (0 to 1): the mean over the words that it "
    "knows, so with few known words it says little. Point at a mark, or unfold the numbers, for "
    "the share of unknown words."
)


@dataclass(frozen=True, slots=True)
class Scale:
    """What the height of a mark means: `name` in words, `low`..`high`, and words for values."""

    name: str
    low: float
    high: float
    words: tuple[tuple[float, str], ...]
    signed: bool = False


VALENCE = Scale("Valence", -1, 1, ((1, "pleasant"), (0, "neutral"), (-1, "unpleasant")), True)
AROUSAL = Scale("Arousal", 0, 1, ((1, "excited"), (0.5, "neutral"), (0, "calm")))


@dataclass(frozen=True, slots=True)
class Series:
    """A line: one value per turn, None where not measured or where the voice was absent.

    `notes` say more about each value; there may be none.
    """

    name: str
    colour: str
    values: tuple[float | None, ...]
    notes: tuple[str, ...] = ()


def voices(
    path: Sequence[Exchange], colours: Mapping[str, str], who: str = YOU
) -> tuple[tuple[str, str, tuple[Valence | None, ...]], ...]:
    """(name, colour, valence per turn) of the user, called `who`, and of every model that spoke."""
    names: dict[str, str] = {}
    for exchange in path:
        for answer in exchange.answers:
            names.setdefault(answer.model, answer.label)
    found = [(who, "var(--user, #4A453F)", tuple(e.valence for e in path))]
    for model, label in names.items():
        said = tuple(_said(exchange, model) for exchange in path)
        found.append((label, colours.get(model, NO_MODEL), said))
    return tuple(found)


def _said(exchange: Exchange, model: str) -> Valence | None:
    for answer in exchange.answers:
        if answer.model == model and answer.reply is not None:
            return answer.valence
    return None


def mood_series(
    path: Sequence[Exchange], colours: Mapping[str, str], who: str = YOU
) -> tuple[Series, ...]:
    """The lines of valence (VADER) over the turns."""
    return tuple(
        Series(name, colour, tuple(v.vader if v else None for v in said))
        for name, colour, said in voices(path, colours, who)
    )


def arousal_series(
    path: Sequence[Exchange], colours: Mapping[str, str], who: str = YOU
) -> tuple[Series, ...]:
    """The lines of arousal (NRC VAD) over the turns; () where no text was measured with it."""
    lines = tuple(
        Series(
            name,
            colour,
            tuple(v.vad.arousal if v and v.vad else None for v in said),
            tuple(unknown(v.vad) if v and v.vad else "" for v in said),
        )
        for name, colour, said in voices(path, colours, who)
    )
    measured = any(value is not None for line in lines for value in line.values)
    return lines if measured else ()


def unknown(vad: Vad) -> str:
    """ "67 % of the words unknown"."""
    return f"{vad.unknown * 100:.0f} % of the words unknown"


def mood_chart(path: Sequence[Exchange], colours: Mapping[str, str], who: str = YOU) -> str:
    """The figure "Mood over the conversation": legend, pictures, reading lines and numbers.

    Arousal is shown where the NRC VAD lexicon was there to measure it.
    """
    series = mood_series(path, colours, who)
    head = "<h3>Mood over the conversation</h3>"
    if not path:
        return (
            f'<figure class="chart">{head}<p class="empty">Say something, and the mood of each '
            "message and reply is drawn here.</p></figure>"
        )
    legend = "".join(
        f'<li><svg viewBox="-8 -8 16 16" aria-hidden="true">{mark(i, 0, 0, line.colour)}</svg>'
        f"{escape(line.name)}</li>"
        for i, line in enumerate(series)
    )
    return (
        f'<figure class="chart">{head}<ul class="legend">{legend}</ul>'
        f'<div class="valence">{_picture(series, VALENCE)}</div>'
        f"<figcaption>{READING}</figcaption>{_table(series)}{_arousal(path, colours, who)}</figure>"
    )


def _arousal(path: Sequence[Exchange], colours: Mapping[str, str], who: str) -> str:
    series = arousal_series(path, colours, who)
    if not series:
        return ""
    return (
        f'<div class="arousal"><h4>Arousal: how calm or excited the words are</h4>'
        f"{_picture(series, AROUSAL)}<p>{READING_AROUSAL}</p>"
        f"{_vad_table(voices(path, colours, who))}</div>"
    )


def _picture(series: Sequence[Series], scale: Scale) -> str:
    turns = len(series[0].values)
    parts = [_axes(turns, scale)]
    for number, line in enumerate(series):
        shift = (number - (len(series) - 1) / 2) * _dodge(turns, len(series))
        parts.append(_line(number, line, turns, shift, scale))
    if not any(value is not None for line in series for value in line.values):
        parts.append(
            f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{_y(0.4):.1f}" text-anchor="middle" '
            'font-size="12" fill="var(--muted, #655e55)">nothing measured yet</text>'
        )
    return (
        f'<svg class="plot" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-label="{escape(_spoken(series, scale))}">{"".join(parts)}</svg>'
    )


def _dodge(turns: int, lines: int) -> float:
    """Distance between the marks of one turn, so that equal values stay apart."""
    return min(15.0, 0.7 * (WIDTH - LEFT - RIGHT) / turns / lines)


def _spoken(series: Sequence[Series], scale: Scale) -> str:
    last = "; ".join(f"{line.name} {_number(line.values[-1], scale)}" for line in series)
    return f"{scale.name} by turn. At the last turn: {last}."


def _x(turn: int, turns: int) -> float:
    return LEFT + (WIDTH - LEFT - RIGHT) * (turn + 0.5) / turns


def _y(value: float, scale: Scale = VALENCE) -> float:
    share = (value - scale.low) / (scale.high - scale.low)
    return TOP + (HEIGHT - TOP - BOTTOM) * (1 - share)


def _axes(turns: int, scale: Scale) -> str:
    style = 'font-size="12" fill="var(--muted, #655e55)"'
    parts = []
    for value, name in scale.words:
        dash = "" if name == "neutral" else ' stroke-dasharray="2 5"'
        y = _y(value, scale)
        parts.append(
            f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}" '
            f'stroke="var(--line, #ddd5c9)"{dash}/>'
            f'<text x="{LEFT - 10}" y="{y + 4:.1f}" text-anchor="end" {style}>{name}</text>'
        )
    every = max(1, -(-turns // 10))
    for turn in range(0, turns, every):
        label = f"turn {turn + 1}" if turns <= 5 else str(turn + 1)
        parts.append(
            f'<text x="{_x(turn, turns):.1f}" y="{HEIGHT - 10}" text-anchor="middle" {style}>'
            f"{label}</text>"
        )
    return "".join(parts)


def _line(number: int, line: Series, turns: int, shift: float, scale: Scale) -> str:
    points = [
        None if value is None else (_x(turn, turns) + shift, _y(value, scale))
        for turn, value in enumerate(line.values)
    ]
    parts = []
    for a, b in pairwise(points):
        if a and b:
            dash = ' stroke-dasharray="1 5"' if number == 0 else ""
            parts.append(
                f'<line x1="{a[0]:.1f}" y1="{a[1]:.1f}" x2="{b[0]:.1f}" y2="{b[1]:.1f}" '
                f'stroke="{line.colour}" stroke-width="2.5" stroke-linecap="round"{dash}/>'
            )
    for turn, point in enumerate(points):
        if point:
            title = f"{line.name}, turn {turn + 1}: {_number(line.values[turn], scale)}"
            title += f", {line.notes[turn]}" if line.notes else ""
            parts.append(
                f"<g><title>{escape(title)}</title>{mark(number, *point, line.colour)}</g>"
            )
    return "".join(parts)


def mark(number: int, x: float, y: float, colour: str) -> str:
    """A marker; its shape differs by series, so that colour is not the only sign."""
    paint = f'fill="{colour}" stroke="var(--paper, #fff)" stroke-width="1.5"'
    shape = number % 5
    if shape == 0:
        paint = f'fill="var(--paper, #fff)" stroke="{colour}" stroke-width="2.2"'
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4.4" {paint}/>'
    if shape == 1:
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="6" {paint}/>'
    if shape == 2:
        return f'<rect x="{x - 5:.1f}" y="{y - 5:.1f}" width="10" height="10" {paint}/>'
    if shape == 3:
        r = 7
        outline = f"{x:.1f},{y - r:.1f} {x + r:.1f},{y:.1f} {x:.1f},{y + r:.1f} {x - r:.1f},{y:.1f}"
    else:
        outline = f"{x:.1f},{y - 7:.1f} {x + 7:.1f},{y + 5:.1f} {x - 7:.1f},{y + 5:.1f}"
    return f'<polygon points="{outline}" {paint}/>'


def _number(value: float | None, scale: Scale = VALENCE) -> str:
    if value is None:
        return "not measured"
    return f"{value:+.2f}".replace("-", "−") if scale.signed else f"{value:.2f}"


def _table(series: Sequence[Series]) -> str:
    turns = range(len(series[0].values))
    head = "".join(f'<th scope="col">{escape(line.name)}</th>' for line in series)
    rows = "".join(
        f'<tr><th scope="row">{turn + 1}</th>'
        + "".join(f"<td>{_number(line.values[turn])}</td>" for line in series)
        + "</tr>"
        for turn in turns
    )
    return (
        '<details data-key="valence"><summary>The numbers</summary><table><thead><tr>'
        f'<th scope="col">turn</th>{head}</tr></thead><tbody>{rows}</tbody></table></details>'
    )


def _vad_table(found: Sequence[tuple[str, str, tuple[Valence | None, ...]]]) -> str:
    rows = "".join(
        f'<tr><th scope="row">{turn + 1}</th><td>{escape(name)}</td>{_vad_cells(said[turn])}</tr>'
        for turn in range(len(found[0][2]))
        for name, _, said in found
        if said[turn] is not None
    )
    head = "".join(
        f'<th scope="col">{name}</th>'
        for name in ("turn", "voice", "arousal", "valence (NRC VAD)", "words unknown")
    )
    return (
        '<details data-key="arousal"><summary>The numbers</summary><table><thead><tr>'
        f"{head}</tr></thead><tbody>{rows}</tbody></table></details>"
    )


def _vad_cells(valence: Valence | None) -> str:
    vad = valence.vad if valence else None
    if vad is None:
        return f"{'<td>not measured</td>' * 2}<td></td>"
    return f"<td>{vad.arousal:.2f}</td><td>{vad.valence:.2f}</td><td>{vad.unknown * 100:.0f} %</td>"
