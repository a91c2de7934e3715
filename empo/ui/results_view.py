"""The pieces of the Results tab as HTML. Whatever comes from files or people is escaped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from empo.evaluation.catalogue import GROUPS, Entry, measured
from empo.evaluation.line import Turn
from empo.evaluation.page import card, comparisons, facts
from empo.evaluation.pictures import heat, legend
from empo.evaluation.shelf import Found, headline
from empo.training.queue import EVALUATE
from empo.training.status import ACTIVE
from empo.types import ModelSpec
from empo.ui.results_job import MOST_DIALOGUES

STYLE = """<style>
#results .box { background: var(--card); border-radius: 14px; box-shadow: var(--lift);
  padding: 14px 18px; margin: 10px 0; color: var(--ink-soft); }
.dark #results .box, .dark #results summary { border: 1px solid var(--line); }
#results h2 { font-size: 1.3rem; font-weight: 700; margin: 18px 0 4px; color: var(--ink); }
#results .lead { font-size: 1.08rem; line-height: 1.45; max-width: 46em; color: var(--ink); }
#results .cards { display: grid; gap: 14px; margin: 10px 0;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 320px), 1fr)); }
#results .chart { max-width: none; margin: 0; }
#results .facts, #results .note { color: var(--muted); font-size: .92rem; margin: 4px 0; }
#results ul.legend { display: flex; flex-wrap: wrap; gap: 4px 18px; list-style: none; padding: 0;
  margin: 8px 0; color: var(--muted); font-size: .92rem; }
#results ul.legend li { display: inline-flex; align-items: center; gap: 7px; margin: 0; }
#results ul.legend svg { width: 26px; height: 10px; }
#results select, #results input[type=number], #results textarea { font: inherit; max-width: 100%;
  color: var(--ink); background: var(--card); border: 1px solid var(--edge); border-radius: 10px;
  padding: 6px 10px; }
#results textarea { width: 100%; min-height: 5.2em; }
#results select { appearance: auto; }
#results input[type=checkbox], #results input[type=radio] { appearance: auto; width: 17px;
  height: 17px; accent-color: var(--ink-soft); vertical-align: -3px; }
#results .rows { display: flex; flex-wrap: wrap; gap: 8px 18px; align-items: center;
  margin: 8px 0; }
#results label { color: var(--ink-soft); }
#results button.do { font: inherit; color: var(--paper); background: var(--ink); border: 0;
  border-radius: 12px; padding: 9px 20px; cursor: pointer; }
#results button.do:disabled { opacity: .5; }
#results .fold > summary { cursor: pointer; background: var(--card); border-radius: 14px;
  box-shadow: var(--lift); padding: 12px 18px; margin-top: 10px; font-weight: 700;
  color: var(--ink); }
#results .wide { overflow-x: auto; }
#results table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
#results th, #results td { text-align: right; padding: 2px 8px; font-weight: 400; border: 0;
  color: var(--ink-soft); }
#results th:first-child { text-align: left; }
#results .heat td { background: color-mix(in srgb, #009E73 calc(var(--heat, 0%) * .7), transparent);
  padding: 0; }
#results .heat td button { font: inherit; color: var(--ink); background: transparent; border: 0;
  width: 100%; padding: 4px 12px; text-align: right; cursor: pointer; }
#results .heat td button:hover { outline: 2px solid var(--ink-soft); outline-offset: -2px; }
#results progress { width: min(420px, 100%); height: 10px; appearance: none; border: 0;
  background: var(--line); border-radius: 5px; overflow: hidden; }
#results progress::-webkit-progress-bar { background: var(--line); }
#results progress::-webkit-progress-value { background: #2f8f5b; }
#results progress::-moz-progress-bar { background: #2f8f5b; }
#results textarea::placeholder { color: var(--muted); opacity: 1; }
#results .said { border-left: 4px solid var(--edge); padding: 2px 0 2px 12px; margin: 12px 0;
  overflow-wrap: anywhere; }
#results .said p { margin: 2px 0; }
#results .alarm { background: var(--alarm-soft); color: var(--ink); border-radius: 10px;
  padding: 9px 14px; }
</style>"""


def form(models: Sequence[ModelSpec], dialogues: bool, owner: bool) -> str:
    """What to evaluate; for visitors, who may."""
    if not owner:
        return (
            '<p class="note">Only the owner of this app may evaluate here. On a machine of your '
            "own: <code>make run</code>, or <code>python -m empo evaluate</code>.</p>"
        )
    boxes = "".join(
        f'<label><input type="checkbox" name="model" value="{escape(m.name)}" checked> '
        f"{escape(m.label)}</label>"
        for m in models[:3]
    ) + "".join(
        f'<label><input type="checkbox" name="model" value="{escape(m.name)}"> '
        f"{escape(m.label)}</label>"
        for m in models[3:]
    )
    if dialogues:
        count = (
            '<label><input type="radio" name="what" value="dialogues" checked> on '
            f'<input type="number" name="count" min="1" max="{MOST_DIALOGUES}" value="100" '
            'aria-label="How many dialogues"> dialogues of the test split</label>'
        )
        own = '<label><input type="radio" name="what" value="situations"> on situations:</label>'
    else:
        count = (
            '<span class="note">For dialogues with human replies to hold them against: '
            "<code>python -m empo fetch ed</code>.</span>"
        )
        own = (
            '<label><input type="radio" name="what" value="situations" checked> '
            "on situations:</label>"
        )
    return (
        '<details class="fold"><summary>Evaluate</summary><div class="box">'
        f'<div class="rows" role="group" aria-label="Models">{boxes}</div>'
        f'<div class="rows">{count}{own}</div>'
        '<textarea name="situations" aria-label="Situations, one a line" '
        'placeholder="I lost my job today.&#10;My sister is getting married!"></textarea>'
        '<div class="rows"><label>or a text file, one situation a line: '
        '<input type="file" accept=".txt,text/plain"></label>'
        '<button type="button" class="do" data-do="start">Evaluate</button></div>'
        '<p class="note">Situations and replies are kept with the report, in EMPO_HOME/reports of '
        "this machine, and everyone who may open this page can read them.</p>"
        "</div></details>"
    )


def status(turn: Turn, owner: bool) -> str:
    """How far an evaluation is, whom it waits for, or how it ended; what the owner may do."""
    found = turn.status
    name = escape(found.name, quote=True)
    if found.state == "finished":
        return f'<p class="note" role="status">{name} is ready, and shown below.</p>'
    share = found.step / found.steps if found.steps else 0.0
    buttons, bar = "", ""
    if found.state == "queued":
        said = waits(turn)
        buttons = _button("stop", name, "Take it out of the line")
    elif found.state in ACTIVE:
        said = found.phase or "starting"
        said += f" · {share:.0%} of this part" if share else ""
        if found.state == "stopping":
            said += " · it stops after the batch it is at"
        buttons = _button("stop", name, "Stop at once" if found.state == "stopping" else "Stop")
        bar = f'<progress max="1" value="{share:.3f}" aria-label="Progress"></progress>'
    else:
        said = " ".join(text for text in (found.sentence, found.action) if text)
        buttons = _button("again", name, "Go on with it")
    kind = ' role="alert"' if found.state == "failed" else ' role="status"'
    return (
        f'<div class="box"{kind}><b>{name}</b>: {escape(said)}'
        f'<div class="rows">{bar}{buttons if owner else ""}</div></div>'
    )


def waits(turn: Turn) -> str:
    """Whom an evaluation in line waits for."""
    if turn.at_work is None:
        return "in line; it begins in a moment."
    kind = "the evaluation" if turn.at_work.kind == EVALUATE else "the training run"
    said = f"waits in line behind {kind} {turn.at_work.name}"
    if turn.between:
        said += f" and {turn.between} before it"
    return f"{said}; it begins by itself."


def _button(do: str, name: str, text: str) -> str:
    return f'<button type="button" class="do" data-do="{do}" data-name="{name}">{text}</button>'


def problem(text: str) -> str:
    """One sentence about what went wrong."""
    return f'<p class="alarm" role="alert">{escape(text)}</p>'


def empty() -> str:
    """No report at all, not even an example."""
    return (
        '<p class="note">There is no report yet: <code>python -m empo evaluate</code> makes '
        "one.</p>"
    )


def pickers(found: Sequence[Found], chosen: Found, other: Found | None) -> str:
    """Which report, and which other one beside it."""
    first = "".join(_option(one.name, one.title, one == chosen) for one in found)
    rest = [one for one in found if one != chosen]
    second = _option("", "no other", other is None)
    second += "".join(_option(one.name, one.title, one == other) for one in rest)
    return (
        f'<div class="rows"><label>Report <select name="report">{first}</select></label>'
        f'<label>beside <select name="other">{second}</select></label></div>'
    )


def _option(value: str, title: str, selected: bool) -> str:
    mark = " selected" if selected else ""
    return f'<option value="{escape(value)}"{mark}>{escape(title)}</option>'


def report(shown: Mapping[str, Any], both: bool) -> str:
    """Every metric as a picture, by groups; the first group is open."""
    entries = measured(shown)
    lead = (
        "A is the first report, B the second; the lines are the baselines of A."
        if both
        else headline(shown)
    )
    parts = [
        f'<p class="lead">{escape(lead)}</p>{facts(shown)}<ul class="legend">{legend(shown)}</ul>'
    ]
    for number, group in enumerate((*GROUPS, "General knowledge")):
        own = [entry for entry in entries if entry.group == group]
        if own:
            cards = "".join(card(entry, shown) for entry in own)
            parts.append(
                f'<details class="fold"{"" if number else " open"} data-key="{group}"><summary>'
                f'{group}</summary><div class="cards">{cards}</div></details>'
            )
    if not both:
        parts.append(
            '<details class="fold" data-key="differences"><summary>Differences that chance does '
            f'not explain</summary><div class="box">{comparisons(shown)}</div></details>'
        )
    return "".join(parts)


def heat_map(
    shown: Mapping[str, Any],
    cells: Mapping[str, Mapping[str, tuple[float, int]]],
    entries: Sequence[Entry],
    entry: Entry,
) -> str:
    """One metric by emotion and system, with its picker."""
    options = "".join(_option(e.path, e.title, e == entry) for e in entries)
    columns = [*shown["systems"], *(["human"] if _has_human(cells) else [])]
    return (
        '<h2>By emotion</h2><div class="rows"><label>Metric '
        f'<select name="metric">{options}</select></label></div>'
        f'<p class="note">{escape(entry.about)} Choose a number for the replies behind it.</p>'
        f'<div class="wide box">{heat(cells, columns, entry)}</div>'
    )


def _has_human(cells: Mapping[str, Mapping[str, tuple[float, int]]]) -> bool:
    return any("human" in row for row in cells.values())


def replies(lines: Sequence[Mapping[str, Any]], entry: Entry, system: str, emotion: str) -> str:
    """The replies with the highest and lowest values, in their context."""
    head = f"<h2>{escape(system)}, {escape(emotion)}: {escape(entry.title)}</h2>"
    if not lines:
        return head + '<p class="note">No reply of this kind.</p>'
    if "reply" not in lines[0]:
        values = ", ".join(entry.written(line["scores"][entry.column]) for line in lines)
        return head + (
            f'<p class="note">Highest and lowest values: {values}. The dialogues are not ours to '
            "ship, so this example has numbers only; evaluate on your own machine to read them.</p>"
        )
    return head + "".join(_said(line, entry) for line in lines)


def _said(line: Mapping[str, Any], entry: Entry) -> str:
    value = entry.written(line["scores"][entry.column])
    human = line.get("human")
    beside = f'<p class="note">The human listener: {escape(str(human))}</p>' if human else ""
    return (
        f'<div class="said"><p class="note">{escape(str(line["context"][-1]))}</p>'
        f"<p><b>{value}</b> {escape(str(line['reply']))}</p>{beside}</div>"
    )
