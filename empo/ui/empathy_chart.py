"""How the replies empathise, as bars: each mechanism and model, beside a typical human listener."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

from empo.conversation import Exchange
from empo.scoring.card import Listener
from empo.types import MECHANISMS, Mechanism, MechanismScore
from empo.ui.mechanisms import CAUTION, LEVELS, STRONGEST, WORDS, probabilities

WIDTH, LEFT, RIGHT, TOP = 460, 66, 16, 8
BAR, STEP, GAP, HEAD = 11, 17, 16, 20
INK, MUTED, LINE, CARD = (
    "var(--ink, #2b2723)",
    "var(--muted, #655e55)",
    "var(--line, #ddd5c9)",
    "var(--card, #fff)",
)


@dataclass(frozen=True, slots=True)
class Bar:
    """One model and mechanism: this turn's score and the mean level over the turns measured.

    `mean` is of expected levels, 0..2; `turns` how many it is over.
    """

    label: str
    colour: str
    score: MechanismScore | None
    mean: float | None
    turns: int


def last_whole(path: Sequence[Exchange]) -> int:
    """The place in `path` of the last exchange whose replies are all whole; -1: none."""
    whole = [all(answer.reply for answer in exchange.answers) for exchange in path]
    return max((at for at, done in enumerate(whole) if done), default=-1)


def bars(path: Sequence[Exchange], colours: Mapping[str, str]) -> dict[Mechanism, tuple[Bar, ...]]:
    """The bars of the last whole turn of `path`, in the order of its columns."""
    at = last_whole(path)
    if at < 0:
        return dict.fromkeys(MECHANISMS, ())
    return {
        name: tuple(
            _bar(path[: at + 1], answer.model, column, name, colours)
            for column, answer in enumerate(path[at].answers)
        )
        for name in MECHANISMS
    }


def _bar(
    path: Sequence[Exchange],
    model: str,
    column: int,
    name: Mechanism,
    colours: Mapping[str, str],
) -> Bar:
    answer = path[-1].answers[column]
    found = [
        score.expected
        for exchange in path
        for given in exchange.answers
        if given.model == model and given.scores and (score := given.scores.mechanism(name))
    ]
    mean = sum(found) / len(found) if found else None
    score = answer.scores.mechanism(name) if answer.scores else None
    return Bar(answer.label, colours.get(model, "#8C8279"), score, mean, len(found))


def empathy_chart(
    path: Sequence[Exchange], colours: Mapping[str, str], listener: Listener | None = None
) -> str:
    """The figure "How they empathise": bars, reading line, and the numbers as a table."""
    head = "<h3>How they empathise</h3>"
    found = bars(path, colours)
    if not found[MECHANISMS[0]]:
        return (
            f'<figure class="chart">{head}<p class="empty">When the replies are whole, their '
            "warmth, understanding and curiosity are drawn here.</p></figure>"
        )
    turn = last_whole(path) + 1
    return (
        f'<figure class="chart">{head}{_picture(found, turn, listener)}'
        f"<figcaption>{_reading(turn, listener)}</figcaption>{_table(found, listener)}</figure>"
    )


def _reading(turn: int, listener: Listener | None) -> str:
    parts = [f"Bars: expected level in turn {turn}, from none to strong."]
    if turn > 1:
        parts.append("Rings: mean over the conversation so far.")
    if listener:
        parts.append(
            f'<span title="{escape(listener.source)}, {listener.replies:,} replies">'
            "Dark ticks: a typical human listener.</span>"
        )
    return f"{' '.join(parts)} {CAUTION}"


def _picture(found: Mapping[Mechanism, Sequence[Bar]], turn: int, listener: Listener | None) -> str:
    parts, y = [], float(TOP)
    for name in MECHANISMS:
        tick = listener.expected.get(name) if listener else None
        parts.append(_group(name, found[name], y, turn, tick))
        y += HEAD + STEP * len(found[name]) + GAP
    height = y + 14
    return (
        f'<svg class="plot" viewBox="0 0 {WIDTH} {height:.0f}" role="img" '
        f'aria-label="{escape(_spoken(found))}">{_grid(y - 4)}{"".join(parts)}</svg>'
    )


def _spoken(found: Mapping[Mechanism, Sequence[Bar]]) -> str:
    return " ".join(
        f"{WORDS[name].plain}, 0 to 2: "
        + "; ".join(f"{bar.label} {_number(_level(bar))}" for bar in found[name])
        + "."
        for name in MECHANISMS
    )


def _x(level: float) -> float:
    return LEFT + (WIDTH - LEFT - RIGHT) * level / STRONGEST


def _grid(bottom: float) -> str:
    return "".join(
        f'<line x1="{_x(level):.1f}" x2="{_x(level):.1f}" y1="{TOP + HEAD - 4}" '
        f'y2="{bottom - 8:.1f}" stroke="{LINE}"/>'
        f'<text x="{_x(level):.1f}" y="{bottom + 8:.1f}" text-anchor="{anchor}" font-size="12" '
        f'fill="{MUTED}">{word}</text>'
        for level, word, anchor in zip(
            range(STRONGEST + 1), LEVELS, ("middle", "middle", "end"), strict=True
        )
    )


def _group(name: Mechanism, group: Sequence[Bar], y: float, turn: int, tick: float | None) -> str:
    words = WORDS[name]
    parts = [
        f'<text x="0" y="{y + 10:.1f}" font-size="13" font-weight="700" fill="{INK}" '
        f'stroke="{CARD}" stroke-width="5" paint-order="stroke">'
        f"<title>{words.term} (EPITOME). {CAUTION}</title>{words.plain}</text>"
    ]
    for number, bar in enumerate(group):
        parts.append(_drawn(words.plain, bar, y + HEAD + STEP * number, turn))
    if tick is not None:
        x, bottom = _x(tick), y + HEAD + STEP * len(group)
        parts.append(
            f"<g><title>typical human listener: {tick:.2g} of 2</title>"
            f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{y + HEAD - 4:.1f}" y2="{bottom - 2:.1f}" '
            f'stroke="{INK}" stroke-width="2"/></g>'
        )
    return "".join(parts)


def _drawn(plain: str, bar: Bar, y: float, turn: int) -> str:
    middle = y + BAR / 2
    label = bar.label if len(bar.label) <= 9 else f"{bar.label[:8]}…"
    parts = [
        f'<text x="{LEFT - 8}" y="{middle + 4:.1f}" text-anchor="end" font-size="12" '
        f'fill="{MUTED}">{escape(label)}</text>'
    ]
    if bar.score is None:
        parts.append(
            f'<text x="{LEFT + 6}" y="{middle + 4:.1f}" font-size="12" font-style="italic" '
            f'fill="{MUTED}">not measured</text>'
        )
    else:
        width = max(2.0, _x(bar.score.expected) - LEFT)
        parts.append(
            f'<rect x="{LEFT}" y="{y:.1f}" width="{width:.1f}" height="{BAR}" rx="3" '
            f'fill="{bar.colour}"/>'
        )
    if turn > 1 and bar.mean is not None:
        parts.append(
            f'<circle cx="{_x(bar.mean):.1f}" cy="{middle:.1f}" r="4" fill="{CARD}" '
            f'stroke="{INK}" stroke-width="1.8"/>'
        )
    return f"<g><title>{escape(_told(plain, bar))}</title>{''.join(parts)}</g>"


def _told(plain: str, bar: Bar) -> str:
    if bar.score is None:
        return f"{bar.label}, {plain.lower()}: not measured"
    level = f"{_number(bar.score.expected)} of 2 ({probabilities(bar.score)})"
    return f"{bar.label}, {plain.lower()}: {level}"


def _level(bar: Bar) -> float | None:
    return bar.score.expected if bar.score else None


def _number(value: float | None) -> str:
    return "not measured" if value is None else f"{value:.2f}"


def _table(found: Mapping[Mechanism, Sequence[Bar]], listener: Listener | None) -> str:
    heads = "".join(f'<th scope="col">{WORDS[name].key}</th>' for name in MECHANISMS)
    rows = []
    for number, bar in enumerate(found[MECHANISMS[0]]):
        own = [found[name][number] for name in MECHANISMS]
        rows.append(_row(f"{bar.label}, this turn", [_level(b) for b in own]))
        rows.append(_row(f"{bar.label}, mean of {_turns(bar.turns)}", [b.mean for b in own]))
    if listener:
        values = [listener.expected.get(name) for name in MECHANISMS]
        rows.append(_row("typical human listener", values))
    return (
        '<details data-key="empathy"><summary>The numbers</summary><table><thead><tr>'
        f'<th scope="col">expected level, 0 to 2</th>{heads}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></details>"
    )


def _turns(count: int) -> str:
    return f"{count} turn{'' if count == 1 else 's'}"


def _row(name: str, values: Sequence[float | None]) -> str:
    cells = "".join(f"<td>{_number(value)}</td>" for value in values)
    return f'<tr><th scope="row">{escape(name)}</th>{cells}</tr>'
