"""`report.html`: a report as pictures in one file, which needs nothing else and runs no script."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from empo.evaluation.catalogue import GROUPS, Entry, measured
from empo.evaluation.collect import OWN
from empo.evaluation.pictures import baseline_values, dots, heat, legend, told, why
from empo.evaluation.replies import by_emotion

DIRECTION = {
    "lower": "Lower is better.",
    "higher": "Higher is better.",
    "near human": "Near the human listener is better.",
    "": "",
}
_STYLE = """
:root { --ink: #2b2723; --muted: #655e55; --line: #e6ddd0; --card: #fff; --paper: #fbf8f3; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #f0ebe3; --muted: #b0a79b; --line: #3b3630; --card: #262320; --paper: #1b1917; }
}
body { font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper);
  max-width: 1100px; margin: 0 auto; padding: 24px; }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(320px, 1fr)); gap: 16px; }
figure { margin: 0; background: var(--card); border: 1px solid var(--line); border-radius: 14px;
  padding: 14px 18px; }
figure h3 { margin: 0; font-size: 1.05rem; }
figcaption, .facts { color: var(--muted); font-size: .9rem; }
svg.plot { width: 100%; height: auto; font-family: inherit; }
ul.legend { display: flex; flex-wrap: wrap; gap: 4px 18px; list-style: none; padding: 0;
  color: var(--muted); }
ul.legend svg { width: 26px; height: 10px; margin-right: 6px; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .92rem; }
th, td { text-align: right; padding: 3px 10px; font-weight: 400; }
th:first-child { text-align: left; }
.heat td { background: color-mix(in srgb, #009E73 var(--heat, 0%), transparent); }
.heat button { all: unset; }
.wide { overflow-x: auto; }
"""


def page(report: Mapping[str, Any], lines: Sequence[Mapping[str, Any]]) -> str:
    """The whole file; `lines` are those of replies.jsonl, for the picture by emotion."""
    names = ", ".join(report["systems"])
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>EmPO Space: {escape(names)}</title><style>{_STYLE}</style></head><body>"
        f"<h1>{escape(names)}</h1>{facts(report)}{pictures(report)}"
        f"<h2>By emotion</h2>{_heats(report, lines)}"
        f"<h2>Differences</h2>{comparisons(report)}</body></html>\n"
    )


def facts(report: Mapping[str, Any]) -> str:
    """What was measured on what, as a paragraph."""
    run = report["run"]
    data = run["data"] if isinstance(run["data"], str) else ", ".join(run["data"])
    count = f"{run['counts']['dialogues']:,}"
    parts = [f"{count} {data}" if data == OWN else f"{count} dialogues of {data}"]
    if run["stack"]:
        how = run.get("quantisation", "none")
        held = "" if how == "none" else f" in {how}"
        parts.append(f"stack {run['stack']}{held}, prompt {run['prompt']}")
    parts += [f"seed {run['seeds']['sample']}", f"levels: {run['levels']}", "95 % intervals"]
    left = f" {run['left_out']}" if run.get("left_out") else ""
    return f'<p class="facts">{escape("; ".join(parts))}.{escape(left)}</p>'


def pictures(report: Mapping[str, Any]) -> str:
    """Every measured metric as a card, by groups, under the legend of the baselines."""
    entries, parts = measured(report), [f'<ul class="legend">{legend(report)}</ul>']
    for group in (*GROUPS, "General knowledge"):
        own = [entry for entry in entries if entry.group == group]
        if own:
            cards = "".join(card(entry, report) for entry in own)
            parts.append(f'<h2>{group}</h2><div class="cards">{cards}</div>')
    return "".join(parts)


def card(entry: Entry, report: Mapping[str, Any]) -> str:
    """One metric: picture, what it means, and the numbers."""
    return (
        f'<figure class="chart"><h3>{escape(entry.title)}</h3>{dots(entry, report)}'
        f"<figcaption>{escape(entry.about)} {DIRECTION[entry.better]}</figcaption>"
        f"{_numbers(entry, report)}</figure>"
    )


def _numbers(entry: Entry, report: Mapping[str, Any]) -> str:
    rows = []
    for name, metrics in report["systems"].items():
        number = entry.of(metrics)
        known = number and number["value"] is not None
        rows.append(told(entry, name, number) if known else why(name, number))
    rows += [f"{name}: {entry.written(value)}" for name, _, value in baseline_values(entry, report)]
    items = "".join(f"<li>{escape(row)}</li>" for row in rows)
    return f"<details><summary>The numbers</summary><ul>{items}</ul></details>"


def _heats(report: Mapping[str, Any], lines: Sequence[Mapping[str, Any]]) -> str:
    entry = next((e for e in measured(report) if e.column), None)
    if entry is None:
        return "<p>Nothing was measured reply by reply.</p>"
    cells = by_emotion(lines, str(entry.column))
    table = heat(cells, list(report["systems"]), entry)
    return (
        f'<p class="facts">{escape(entry.title)}. {entry.about}</p><div class="wide">{table}</div>'
    )


def comparisons(report: Mapping[str, Any], metric: str | None = None) -> str:
    """The differences that chance does not explain (p below .05 after Holm's correction)."""
    rows = [
        row
        for row in report["comparisons"]
        if row["p_holm"] < 0.05 and (metric is None or row["metric"] == metric)
    ]
    if not rows:
        return "<p>No difference is larger than chance would explain.</p>"
    body = "".join(
        f"<tr><th scope='row'>{escape(row['metric'])}</th><td>{escape(row['a'])}</td>"
        f"<td>{escape(row['b'])}</td><td>{_signed(row['difference']['value'])}</td>"
        f"<td>{_signed(row['difference']['low'])} to {_signed(row['difference']['high'])}</td>"
        f"<td>{row['p_holm']:.2g}</td></tr>"
        for row in rows
    )
    return (
        "<div class='wide'><table><thead><tr><th>metric</th><th>first</th><th>second</th>"
        "<th>first − second</th><th>95 %</th><th>p after Holm</th></tr></thead>"
        f"<tbody>{body}</tbody></table></div>"
    )


def _signed(value: float) -> str:
    return f"{value:+.3g}".replace("-", "−")
