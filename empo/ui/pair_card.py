"""A pair as a card to leaf through: the dialogue, both replies, and the two emotions on the wheel.

Everything that anybody wrote is escaped here.
"""

from __future__ import annotations

from html import escape
from math import cos, radians, sin

from empo.data.emotions import PRIMARY
from empo.data.opposites import flips, reason
from empo.types import PreferencePair
from empo.ui.wheel_chart import RADIUS, SIZE, place

PLAIN = {"user": "Speaker", "assistant": "Listener", "system": "Instruction"}
ORIGINS = {
    "paper": "as in the paper",
    "balanced": "balanced",
    "hard": "hard",
    "same-situation": "same situation",
    "upload": "uploaded",
}


def card(pair: PreferencePair, at: int, total: int) -> str:
    """The card of `pair`, which is number `at` (from 0) of `total`."""
    turns = "".join(
        f'<p class="turn {turn.role}"><b>{PLAIN[turn.role]}</b>{_text(turn.text)}</p>'
        for turn in pair.prompt
    )
    return (
        f'<article class="pair" tabindex="0" aria-label="Pair {at + 1:,} of {total:,}">'
        f'{_leaf(at, total)}<div class="inside"><div class="said">{turns}'
        f'<div class="replies">{_reply("chosen", "to prefer", pair.chosen)}'
        f"{_reply('rejected', 'to reject', pair.rejected)}</div></div>{_feelings(pair)}</div>"
        "</article>"
    )


def _text(text: str) -> str:
    return f'<span dir="auto">{escape(text)}</span>'


def _reply(side: str, title: str, text: str) -> str:
    mark = "✓" if side == "chosen" else "✕"
    return (
        f'<div class="side {side}"><b><i aria-hidden="true">{mark}</i> {title}</b>'
        f"<p>{_text(text)}</p></div>"
    )


def _leaf(at: int, total: int) -> str:
    def button(go: str, sign: str, to: int, name: str) -> str:
        off = "" if 0 <= to < total else " disabled"
        return (
            f'<button type="button" data-go="{go}" data-to="{to}" aria-label="{name}"{off}>'
            f"{sign}</button>"
        )

    return (
        f'<div class="leaf">{button("back", "‹", at - 1, "Previous pair")}'
        f"<span>{at + 1:,} of {total:,}</span>{button('on', '›', at + 1, 'Next pair')}</div>"
    )


def _feelings(pair: PreferencePair) -> str:
    """Emotion, opposite, origin, and the little wheel where the emotions are known."""
    origin = escape(ORIGINS.get(pair.origin, pair.origin))
    if not pair.emotion or not pair.opposite:
        told = f"feels {escape(pair.emotion)}" if pair.emotion else "emotion not given"
        return f'<div class="feelings"><p>{told}</p><p class="origin">{origin}</p></div>'
    same = pair.emotion == pair.opposite
    why = reason(pair.emotion, pair.opposite)
    kind = (
        "the same dialogue"
        if same
        else "pleasant against unpleasant"
        if flips(pair.emotion, pair.opposite)
        else "both on one side"
    )
    told = (
        f"<b>{escape(pair.emotion)}</b>"
        if same
        else f"<b>{escape(pair.emotion)}</b> against <b>{escape(pair.opposite)}</b>"
    )
    note = f"<small>{escape(why)}</small>" if why else ""
    return (
        f'<div class="feelings">{wheel(pair.emotion, pair.opposite)}<p>{told}<br>{kind}{note}</p>'
        f'<p class="origin">{origin}</p></div>'
    )


def wheel(emotion: str, opposite: str) -> str:
    """A small Plutchik wheel: a full dot for the emotion, an open one for its opposite."""
    middle = SIZE / 2
    (x, y), (to_x, to_y) = place(emotion), place(opposite)
    names = "".join(
        f'<text x="{middle + (RADIUS + 26) * cos(radians(a)):.0f}" '
        f'y="{middle - (RADIUS + 26) * sin(radians(a)) + 6:.0f}">{name}</text>'
        for name, a in PRIMARY.items()
    )
    other = (
        f'<line x1="{x:.0f}" y1="{y:.0f}" x2="{to_x:.0f}" y2="{to_y:.0f}"/>'
        f'<circle class="to" cx="{to_x:.0f}" cy="{to_y:.0f}" r="11"/>'
        if emotion != opposite
        else ""
    )
    return (
        f'<svg class="little-wheel" viewBox="0 0 {SIZE} {SIZE}" role="img" aria-label="'
        f'{escape(emotion)} against {escape(opposite)} on Plutchik’s wheel">'
        f'<circle class="rim" cx="{middle}" cy="{middle}" r="{RADIUS}"/>'
        f'<circle class="rim" cx="{middle}" cy="{middle}" r="{RADIUS / 2}"/>{names}{other}'
        f'<circle class="from" cx="{x:.0f}" cy="{y:.0f}" r="11"/></svg>'
    )
