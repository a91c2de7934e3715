"""The report as figures for a page, as a page that stands alone, and as a Markdown table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from empo.data.opposites import OPPOSITIONS
from empo.pairs.plots import (
    arrows_plot,
    legend,
    levels_plot,
    number_text,
    percent,
    tells_plot,
)

Report = Mapping[str, Any]
READ_TELLS = (
    "Something that knows nothing of empathy should not be able to tell the replies apart. At 50 % "
    "it cannot; the higher, the less empathy the set teaches. Far below 50 % it is a habit too, "
    "the other way round."
)
LACKING = (
    " What is not measured has to be fitted on other dialogues: get EmpatheticDialogues, or give "
    "the emotion of each pair."
)
READ_LEVELS = (
    "Levels of EPITOME, from 0 (none) to 2 (strong), as the embedded scorer reads them. Where both "
    "sides are alike, the pairs teach which reply fits, hardly which is more empathic."
)
READ_ARROWS = (
    "Rows: what the speaker feels; columns: the emotion that the rejected reply was meant for. The "
    "first sixteen are pleasant, the others unpleasant."
)
_STYLE = """
body { font: 17px/1.5 "Source Sans 3", "Source Sans Pro", system-ui, sans-serif; color: #2b2723;
  background: #fbf8f3; max-width: 46em; margin: 2em auto; padding: 0 1em; }
figure { background: #fff; border-radius: 14px; padding: 1em 1.2em; margin: 1em 0; }
figure h3 { margin: 0 0 .4em; } figcaption { color: #655e55; font-size: .9em; }
.plot { display: block; width: 100%; height: auto; font-family: inherit; }
.legend { display: flex; flex-wrap: wrap; gap: 4px 16px; list-style: none; padding: 0; margin: 0; }
.legend svg { width: 16px; height: 16px; vertical-align: -3px; margin-right: 6px; }
table { border-collapse: collapse; } th, td { text-align: left; padding: 3px 14px 3px 0;
  font-weight: 400; vertical-align: top; } thead th { color: #655e55; }
"""


def figures(report: Report) -> str:
    """The pictures and numbers of one report, as HTML."""
    n = _counted(report["sample"], "pair")
    lacking = "" if all(report["tells"].values()) else LACKING
    return "".join(
        (
            _figure(
                "What gives the human's reply away", n, tells_plot(report), READ_TELLS + lacking
            ),
            _figure(
                "Chosen beside rejected",
                n,
                legend("levels") + levels_plot(report),
                READ_LEVELS + _sides(report),
            ),
            _figure(
                "Which emotions meet",
                _counted(report["pairs"], "pair"),
                legend("arrows") + arrows_plot(report),
                READ_ARROWS,
            )
            if report["opposites"]
            else "",
        )
    )


def _figure(title: str, count: str, picture: str, caption: str) -> str:
    return (
        f'<figure class="chart"><h3>{escape(title)} <small>({count})</small></h3>{picture}'
        f"<figcaption>{caption}</figcaption></figure>"
    )


def _sides(report: Report) -> str:
    """The numbers under the picture: means of both sides and the difference with its interval."""
    names = {
        "words": "words",
        "valence": "valence (VADER)",
        "emotional_reaction": "how warm, 0–2",
        "interpretation": "how understanding, 0–2",
        "exploration": "how curious, 0–2",
    }
    rows = "".join(
        f'<tr><th scope="row">{title}</th><td>{number_text(found.get("chosen"))}</td>'
        f"<td>{number_text(found.get('rejected'))}</td><td>{_difference(found)}</td></tr>"
        for name, title in names.items()
        for found in (report.get(name) or {},)
    )
    return (
        '<details data-key="sides"><summary>The numbers</summary><table><thead><tr>'
        '<th></th><th scope="col">chosen</th><th scope="col">rejected</th>'
        f'<th scope="col">difference</th></tr></thead><tbody>{rows}</tbody></table></details>'
    )


def _difference(found: Mapping[str, Any]) -> str:
    if not (value := found.get("difference")):
        return "not measured"
    ends = " to ".join(number_text(value[key]) for key in ("low", "high"))
    return f"{number_text(value['value'])} ({ends})"


def summary(report: Report) -> str:
    """One sentence on the set."""
    flips = report["flips"]
    about = (
        "" if flips is None else f"; {100 * flips:.0f} % flip from pleasant to unpleasant or back"
    )
    pairs = _counted(report["pairs"], "pair")
    prompts = _counted(report["prompts"], "prompt")
    return (
        f"{pairs} of {prompts} and {_counted(report['rejected_replies'], 'rejected reply')}{about}."
    )


def _counted(count: int, what: str) -> str:
    """1 pair, 2 pairs, 2 rejected replies."""
    if count == 1:
        return f"1 {what}"
    return f"{count:,} {what[:-1]}ies" if what.endswith("y") else f"{count:,} {what}s"


def html_page(reports: Sequence[Report]) -> str:
    """One self-contained page on all `reports`: no script, nothing from elsewhere."""
    parts = [f"<h1>What these preference pairs teach</h1>{_overview(reports)}"]
    for report in reports:
        facts = {
            key: report.get(key)
            for key in ("source", "strategy", "map", "sampler", "mix", "draws", "seed")
        }
        told = ", ".join(
            f"{key} {escape(str(value))}" for key, value in facts.items() if value is not None
        )
        parts.append(
            f"<h2>{escape(str(report.get('strategy', 'pairs')))}</h2><p>{summary(report)} "
            f"<small>({told}; baselines fitted on {report['fitted_on']:,} other dialogues; "
            f"intervals 95 %, by dialogue)</small></p>{figures(report)}"
        )
    parts.append(_oppositions())
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width"><title>Preference pairs</title>'
        f"<style>{_STYLE}</style></head><body>{''.join(parts)}</body></html>\n"
    )


def _overview(reports: Sequence[Report]) -> str:
    head, *rows = table_rows(reports)
    body = "".join("<tr>" + "".join(f"<td>{escape(c)}</td>" for c in row) + "</tr>" for row in rows)
    cells = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in head)
    return f"<table><thead><tr>{cells}</tr></thead><tbody>{body}</tbody></table>"


def _oppositions() -> str:
    rows = "".join(
        f"<tr><td>{o.pleasant}</td><td>{o.unpleasant}</td><td>{escape(o.reason)}</td></tr>"
        for o in OPPOSITIONS
    )
    return (
        "<h2>The polarity map</h2><p>An involution: each pleasant emotion has one unpleasant "
        f"opposite, and the other way round.</p><table><tbody>{rows}</tbody></table>"
    )


def table_rows(reports: Sequence[Report]) -> list[tuple[str, ...]]:
    """The reports side by side, the head first."""
    rows: list[tuple[str, ...]] = [
        (
            *("pairs", "how many", "flip polarity", "n"),
            *("length", "emotion classifier", "word overlap"),
            *("warm", "understanding", "curious"),
        )
    ]
    for report in reports:
        flips, tells = report["flips"], report["tells"]
        rows.append(
            (
                str(report.get("strategy", "pairs")),
                f"{report['pairs']:,}",
                "not known" if flips is None else f"{100 * flips:.0f} %",
                f"{report['sample']:,}",
                *(percent(tells[name]) for name in ("length", "emotion", "overlap")),
                *(
                    _signed((report.get(name) or {}).get("difference"))
                    for name in ("emotional_reaction", "interpretation", "exploration")
                ),
            )
        )
    return rows


def _signed(value: Mapping[str, Any] | None) -> str:
    return "not measured" if value is None else f"{value['value']:+.2f}".replace("-", "−")


def markdown(reports: Sequence[Report]) -> str:
    """The reports side by side as a Markdown table."""
    head, *rows = table_rows(reports)
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
