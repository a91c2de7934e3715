"""What the speaker seems to feel: the likeliest emotion on Plutchik's wheel, now and as a path."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise
from math import cos, radians, sin

from empo.conversation import Exchange
from empo.data.emotions import EMOTIONS, PRIMARY
from empo.types import EmotionGuess

SIZE, RADIUS = 340, 122
READING = (
    "The big dot is the emotion that your last message most likely tells of; smaller dots are "
    "earlier turns. Stronger feelings lie nearer to the middle, as on Plutchik’s wheel. A guess "
    "from the words of one message, among 32 emotions."
)
INK, MUTED, LINE, PAPER, USER = (
    "var(--ink, #2b2723)",
    "var(--muted, #655e55)",
    "var(--line, #ddd5c9)",
    "var(--card, #fff)",
    "var(--user, #4a453f)",
)


@dataclass(frozen=True, slots=True)
class Stop:
    """A turn on the wheel: its number from 1, and the likeliest emotions; () is not measured."""

    turn: int
    guesses: tuple[EmotionGuess, ...]


def stops(path: Sequence[Exchange]) -> tuple[Stop, ...]:
    """What the speaker seemed to feel in every turn that has been answered.

    The guesses stand in the scores of every reply to the same message; the first will do.
    """
    found = []
    for turn, exchange in enumerate(path, 1):
        if not all(answer.reply for answer in exchange.answers):
            continue
        told = (a.scores.emotion for a in exchange.answers if a.scores and a.scores.emotion)
        found.append(Stop(turn, next(told, ())))
    return tuple(found)


def place(name: str) -> tuple[float, float]:
    """Where an emotion lies: x to the right, y downwards; the strongest at the centre."""
    emotion = EMOTIONS[name]
    return _at(emotion.angle, RADIUS * (1 - 0.85 * emotion.intensity))


def _at(angle: float, distance: float) -> tuple[float, float]:
    middle = SIZE / 2
    return middle + distance * cos(radians(angle)), middle - distance * sin(radians(angle))


def wheel_chart(path: Sequence[Exchange]) -> str:
    """The figure "What you seem to feel": wheel, reading line, and the numbers as a table."""
    head = "<h3>What the speaker seems to feel</h3>"
    found = stops(path)
    if not found:
        return (
            f'<figure class="chart">{head}<p class="empty">Say something, and what it tells of is '
            "shown here.</p></figure>"
        )
    return (
        f'<figure class="chart">{head}{_picture(found)}'
        f"<figcaption>{READING}</figcaption>{_table(found)}</figure>"
    )


def _picture(found: Sequence[Stop]) -> str:
    known = [stop for stop in found if stop.guesses]
    parts = [wheel(), _path(known), *(_dot(s, s is found[-1]) for s in known)]
    if not known:
        parts.append(_text(SIZE / 2, SIZE / 2, "not measured", 13, MUTED))
    told = "; ".join(f"turn {stop.turn} {_guess(stop)}" for stop in found)
    return (
        f'<svg class="plot wheel" viewBox="0 0 {SIZE} {SIZE}" role="img" '
        f'aria-label="Likeliest emotion of the speaker: {escape(told)}.">{"".join(parts)}</svg>'
    )


def wheel() -> str:
    """The empty wheel: three rings, and the eight primary emotions around it."""
    middle = SIZE / 2
    rings = "".join(
        f'<circle cx="{middle}" cy="{middle}" r="{RADIUS * share:.1f}" fill="none" '
        f'stroke="{LINE}"/>'
        for share in (0.33, 0.66, 1)
    )
    spokes, names = [], []
    for name, angle in PRIMARY.items():
        x, y = _at(angle, RADIUS)
        spokes.append(f'<line x1="{middle}" y1="{middle}" x2="{x:.1f}" y2="{y:.1f}"/>')
        names.append(_text(*_at(angle, RADIUS + 24), name, 12, MUTED))
    return f'{rings}<g stroke="{LINE}" stroke-dasharray="2 5">{"".join(spokes)}</g>{"".join(names)}'


def _text(x: float, y: float, text: str, size: int, colour: str, weight: int = 400) -> str:
    return (
        f'<text x="{x:.1f}" y="{y + 4:.1f}" text-anchor="middle" font-size="{size}" '
        f'font-weight="{weight}" fill="{colour}">{escape(text)}</text>'
    )


def _path(known: Sequence[Stop]) -> str:
    """Lines between turns that follow each other; a turn not measured is a gap."""
    parts = []
    for a, b in pairwise(known):
        if b.turn == a.turn + 1:
            (x, y), (to_x, to_y) = place(a.guesses[0].name), place(b.guesses[0].name)
            parts.append(
                f'<line class="step" x1="{x:.1f}" y1="{y:.1f}" x2="{to_x:.1f}" y2="{to_y:.1f}" '
                f'stroke="{USER}" stroke-width="2" stroke-linecap="round" stroke-dasharray="1 5"/>'
            )
    return "".join(parts)


def _dot(stop: Stop, now: bool) -> str:
    x, y = place(stop.guesses[0].name)
    title = f"turn {stop.turn}: {_guess(stop)}"
    size, fill = (8, USER) if now else (5, PAPER)
    label = _label(x, y, stop.guesses[0].name) if now else ""
    return (
        f"<g><title>{escape(title)}</title>"
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{size}" fill="{fill}" stroke="{USER}" '
        f'stroke-width="2"/>{label}</g>'
    )


def _label(x: float, y: float, name: str) -> str:
    """The word beside the dot, on the outer side; its rim keeps lines from crossing it."""
    y += 26 if y > SIZE / 2 else -15
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="middle" font-size="15" font-weight="700" '
        f'fill="{INK}" stroke="{PAPER}" stroke-width="4" paint-order="stroke">{escape(name)}</text>'
    )


def _guess(stop: Stop) -> str:
    if not stop.guesses:
        return "not measured"
    return f"{stop.guesses[0].name} {stop.guesses[0].probability * 100:.0f} %"


def _table(found: Sequence[Stop]) -> str:
    rows = "".join(
        f'<tr><th scope="row">{stop.turn}</th><td>{escape(_three(stop))}</td></tr>'
        for stop in found
    )
    return (
        '<details data-key="emotion"><summary>The numbers</summary><table><thead><tr>'
        '<th scope="col">turn</th><th scope="col">likeliest emotions</th></tr></thead>'
        f"<tbody>{rows}</tbody></table></details>"
    )


def _three(stop: Stop) -> str:
    if not stop.guesses:
        return "not measured"
    return ", ".join(f"{g.name} {g.probability * 100:.0f} %" for g in stop.guesses[:3])
