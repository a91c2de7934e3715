"""What a sweep shows: empathy, valence and length against the dial, the texts, and the numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise

from empo.conversation import Answer, Exchange
from empo.models.dial import USUAL, dial_position
from empo.scoring.card import Listener
from empo.types import MECHANISMS
from empo.ui.charts import Series, mark
from empo.ui.mechanisms import CAUTION, LEVELS, STRONGEST, WORDS
from empo.ui.view import foot

WIDTH, LEFT, RIGHT = 460, 94, 20
HEAD, BODY, GAP, FOOT = 28, 92, 22, 46  # heights of a panel's parts, and of the axis below all
INK, MUTED, LINE = "var(--ink, #2b2723)", "var(--muted, #655e55)", "var(--line, #ddd5c9)"
TINTS = ("var(--why-warm, #b0305c)", "var(--why-mind, #5b4bb0)", "var(--why-ask, #1d6f86)")
PLAIN = "var(--user, #4a453f)"


@dataclass(frozen=True, slots=True)
class Panel:
    """One of the pictures over the same axis: its lines, its range, and words for values of it."""

    title: str
    lines: tuple[Series, ...]
    low: float
    high: float
    marks: tuple[tuple[float, str], ...]


def sweep_result(exchange: Exchange, listener: Listener | None = None) -> str:
    """The HTML of a sweep; pictures and numbers come when every reply is whole."""
    at = [dial_position(answer.model) or 0.0 for answer in exchange.answers]
    whole = all(answer.reply for answer in exchange.answers)
    drawn = ""
    if whole:
        panels = _panels(exchange)
        drawn = (
            f"{_legend(panels[0])}{_picture(panels, at)}"
            f"<figcaption>{_reading(exchange)}</figcaption>{_table(exchange, at, listener)}"
        )
    return (
        '<figure class="chart sweep-chart"><h3>One message along the dial</h3>'
        f'<p class="swept">“{escape(exchange.message)}”</p>{_texts(exchange)}{drawn}</figure>'
    )


def _reading(exchange: Exchange) -> str:
    return (
        "From left (SFT) to right (DPO) the weights change, and nothing else: same history, "
        f"settings and seed ({exchange.sampling.seed}). A gap means not measured. "
        "<b>One reply at each place proves little</b>: a small change of the weights can turn a "
        f"reply around by chance. Sweep other messages and seeds, too. {CAUTION}"
    )


# ---- the texts


def _texts(exchange: Exchange) -> str:
    items = "".join(
        f"<li><p><b>{escape(a.label)}</b> <small>{escape(a.plain)}</small></p>"
        f'<p class="text">{escape(a.text) or "…"}</p><p><small>{escape(foot(a))}</small></p></li>'
        for a in exchange.answers
    )
    return f'<ol class="texts">{items}</ol>'


# ---- the values


def _level(at: int) -> Callable[[Answer], float | None]:
    def level(answer: Answer) -> float | None:
        score = answer.scores.mechanism(MECHANISMS[at]) if answer.scores else None
        return score.expected if score else None

    return level


def valence(answer: Answer) -> float | None:
    return answer.valence.vader


def words(answer: Answer) -> float:
    return float(len(answer.text.split()))


def _panels(exchange: Exchange) -> tuple[Panel, ...]:
    def line(name: str, colour: str, value: Callable[[Answer], float | None]) -> Series:
        return Series(name, colour, tuple(value(answer) for answer in exchange.answers))

    empathy = tuple(
        line(WORDS[name].key, TINTS[at], _level(at)) for at, name in enumerate(MECHANISMS)
    )
    longest = max(10.0, *(words(answer) for answer in exchange.answers))
    return (
        Panel("How they empathise (expected level)", empathy, 0, STRONGEST, tuple(
            enumerate(LEVELS)
        )),
        Panel(
            "Valence (VADER, −1 to 1)",
            (line("valence", PLAIN, valence),),
            -1,
            1,
            ((1, "pleasant"), (0, "neutral"), (-1, "unpleasant")),
        ),
        Panel(
            "Length (words)",
            (line("words", PLAIN, words),),
            0,
            longest,
            ((0, "0"), (longest, f"{longest:g}")),
        ),
    )  # fmt: skip


# ---- the picture


def _legend(panel: Panel) -> str:
    items = "".join(
        f'<li><svg viewBox="-8 -8 16 16" aria-hidden="true">{mark(n, 0, 0, line.colour)}</svg>'
        f"{escape(line.name)}</li>"
        for n, line in enumerate(panel.lines, 1)
    )
    return f'<ul class="legend">{items}</ul>'


def _picture(panels: Sequence[Panel], at: Sequence[float]) -> str:
    each = HEAD + BODY + GAP
    bottom = each * len(panels)
    parts = [_panel(panel, at, each * n) for n, panel in enumerate(panels)]
    parts += [_place(position, at, bottom - GAP + 18) for position in at]
    parts.append(_said((LEFT + WIDTH - RIGHT) / 2, bottom + FOOT - 24, "alignment dial", "middle"))
    told = "; ".join(
        f"{line.name} {', '.join(_number(value) for value in line.values)}"
        for panel in panels
        for line in panel.lines
    )
    return (
        f'<svg class="plot" viewBox="0 0 {WIDTH} {bottom + FOOT - 18}" role="img" '
        f'aria-label="Along the dial from {at[0]:g} to {at[-1]:g}: {escape(told)}.">'
        f"{''.join(parts)}</svg>"
    )


def _x(position: float, at: Sequence[float]) -> float:
    inner = 14  # so that marks at the ends stay inside
    return LEFT + inner + (WIDTH - LEFT - RIGHT - 2 * inner) * position / max(at[-1], USUAL)


def _place(position: float, at: Sequence[float], y: float) -> str:
    name = {0.0: " SFT", USUAL: " DPO"}.get(position, "")
    return _said(_x(position, at), y, f"{position:g}{name}", "middle")


def _said(x: float, y: float, text: str, anchor: str, weight: int = 400) -> str:
    colour = INK if weight > 400 else MUTED
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="12" '
        f'font-weight="{weight}" fill="{colour}">{escape(text)}</text>'
    )


def _panel(panel: Panel, at: Sequence[float], top: float) -> str:
    def y(value: float) -> float:
        share = (value - panel.low) / (panel.high - panel.low)
        return top + HEAD + 6 + (BODY - 12) * (1 - share)

    parts = [_said(0, top + 13, panel.title, "start", 700)]
    for value, word in panel.marks:
        parts.append(
            f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(value):.1f}" y2="{y(value):.1f}" '
            f'stroke="{LINE}" stroke-dasharray="2 5"/>' + _said(LEFT - 8, y(value) + 4, word, "end")
        )
    parts += [_line(n, line, at, y) for n, line in enumerate(panel.lines, 1)]
    if not any(value is not None for line in panel.lines for value in line.values):
        parts.append(_said((LEFT + WIDTH - RIGHT) / 2, top + HEAD + BODY / 2, "not measured",
                           "middle"))  # fmt: skip
    return "".join(parts)


def _line(number: int, line: Series, at: Sequence[float], y: Callable[[float], float]) -> str:
    points = [
        None if value is None else (_x(position, at), y(value))
        for position, value in zip(at, line.values, strict=True)
    ]
    parts = [
        f'<line x1="{a[0]:.1f}" y1="{a[1]:.1f}" x2="{b[0]:.1f}" y2="{b[1]:.1f}" '
        f'stroke="{line.colour}" stroke-width="2" stroke-linecap="round"/>'
        for a, b in pairwise(points)
        if a and b
    ]
    for position, value, point in zip(at, line.values, points, strict=True):
        if point:
            title = f"{line.name} at {position:g}: {_number(value)}"
            parts.append(
                f"<g><title>{escape(title)}</title>{mark(number, *point, line.colour)}</g>"
            )
    return "".join(parts)


# ---- the numbers


def _number(value: float | None) -> str:
    return "not measured" if value is None else f"{value:.2f}".replace("-", "−")


def _table(exchange: Exchange, at: Sequence[float], listener: Listener | None) -> str:
    names = [*(WORDS[name].key for name in MECHANISMS), "valence", "words"]
    rows = []
    for position, answer in zip(at, exchange.answers, strict=True):
        values = [_level(n)(answer) for n in range(len(MECHANISMS))] + [valence(answer)]
        cells = [*map(_number, values), f"{words(answer):g}"]
        rows.append(_row(f"{position:g}", cells))
    if listener:
        own = [_number(listener.expected.get(name)) for name in MECHANISMS]
        rows.append(_row("typical human listener", [*own, "", ""]))
    head = "".join(f'<th scope="col">{name}</th>' for name in names)
    return (
        '<details data-key="sweep"><summary>The numbers</summary><div class="wide"><table><thead>'
        f'<tr><th scope="col">dial</th>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table>'
        "</div></details>"
    )


def _row(name: str, cells: Sequence[str]) -> str:
    return f'<tr><th scope="row">{name}</th>{"".join(f"<td>{cell}</td>" for cell in cells)}</tr>'
