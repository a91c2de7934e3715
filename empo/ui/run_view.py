"""One run as it stands: state, curves, sample replies, verdict, settings, log. HTML from values.

Every part is a piece of its own, so that the page's script changes only what has changed. Names,
samples and logs are text of others: all of it is escaped here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from empo.runs import Run
from empo.training.status import ACTIVE, RESUMABLE, RunStatus
from empo.ui.run_charts import curves
from empo.ui.run_list import KINDS, state_words

Rows = Sequence[Mapping[str, Any]]
MAX_SHOWN = 600  # characters of a reply
SLOWER = (
    "No GPU here: the run takes half of the processor's cores, at low priority, and chat keeps "
    "answering meanwhile, more slowly."
)


def parts(
    run: Run,
    metrics: Mapping[str, Rows],
    samples: Rows,
    log: str,
    others: Sequence[Run] = (),
    owner: bool = False,
    chat: str = "",
) -> dict[str, str]:
    """The parts of `run`; `metrics` holds its rows first, then those of `others` beside it.

    `chat`: what the run does to the chat while it is at work.
    """
    return {
        "open": run.name,
        "head": _head(run, chat),
        "buttons": _buttons(run, owner),
        "verdict": _verdict(run),
        "curves": curves(metrics),
        "differences": differences([run, *others]) if others else "",
        "samples": sample_replies(samples),
        "settings": f"<pre tabindex=0>{escape(_settings(run))}</pre>",
        "log": f"<pre tabindex=0>{escape(log) or 'Nothing printed yet.'}</pre>",
    }


def _head(run: Run, chat: str) -> str:
    status = run.status
    share = status.step / status.steps if status.steps else 0.0
    how = f"{KINDS.get(status.kind, status.kind)} over {run.spec.base}"
    how += f" · {status.where}" if status.where else ""
    here = status.state in ACTIVE and not status.where
    note = f'<p class="quiet chat">{escape(chat)}</p>' if here and chat else ""
    said = " ".join(text for text in (status.sentence, status.action) if text)
    return (
        f'<h2>{escape(run.name)} <span class="state {status.state}">'
        f"{escape(state_words(status))}</span></h2>"
        f'<p class="quiet">{escape(how)}</p>'
        f'<div class="bar" role="progressbar" aria-label="Progress" aria-valuemin="0" '
        f'aria-valuemax="100" aria-valuenow="{100 * share:.0f}">'
        f'<i style="width:{100 * share:.1f}%"></i></div>'
        f'<p class="pace">{escape(pace(status))}</p>'
        f"{f'<p>{escape(said)}</p>' if said else ''}{note}"
    )


def pace(status: RunStatus) -> str:
    """How far, for how long, and how long still."""
    if status.state == "queued" and status.where:
        return status.phase
    if status.state == "queued":
        return (
            "Another run or evaluation goes first; this one begins by itself when that has ended."
        )
    said = [f"step {status.step} of {status.steps}"] if status.steps else []
    if status.phase and status.phase != "training" and status.state in ACTIVE:
        said.append(status.phase)
    if status.seconds >= 1:
        spent = clock(status.seconds)
        said.append(f"in {spent}" if status.state == "finished" else f"{spent} so far")
    left = status.seconds_left
    if left is not None and status.phase == "training":
        said.append(f"about {clock(left)} left")
    return " · ".join(said)


def clock(seconds: float) -> str:
    """Seconds for a person: 42 s, 3 min, 2 h 10 min."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s" if whole < 600 else f"{whole // 60} min"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def _buttons(run: Run, owner: bool) -> str:
    state, name = run.status.state, escape(run.name, quote=True)
    found = []
    if owner and state in ("queued", "running"):
        found.append(_button("stop", name, "Stop", "Ends after the current step; can be resumed"))
    if owner and state == "stopping":
        found.append(_button("end", name, "Stop at once", "The last checkpoint stays"))
    if owner and state in RESUMABLE:
        found.append(_button("resume", name, "Resume", "Goes on from the last whole checkpoint"))
    if state == "finished":
        found.append(_button("compare", name, "Compare with it", "Talk to it, beside the others"))
    found.append(_button("copy", name, "Duplicate", "Its settings, in step 2"))
    if owner and state not in ACTIVE:
        sure = f'data-sure="Really delete {name}?"'
        found.append(_button("delete", name, "Delete", "Throws its adapter away", sure))
    return "".join(found)


def _button(do: str, name: str, text: str, tip: str, more: str = "") -> str:
    return (
        f'<button type="button" data-do="{do}" data-name="{name}" title="{tip}" {more}>'
        f"{text}</button>"
    )


def _verdict(run: Run) -> str:
    said = ""
    if run.result:
        kind = str(run.result.get("verdict") or "none")
        sentence = escape(str(run.result.get("sentence", "")))
        said = f'<p class="verdict {escape(kind, quote=True)}">{sentence}</p>'
        said += _table(run.result.get("table") or [])
    if run.trouble:
        items = "".join(f"<li>{escape(sign)}</li>" for sign in run.trouble)
        said += f'<div class="trouble"><b>Signs of trouble</b><ul>{items}</ul></div>'
    return said


def _table(rows: Sequence[Mapping[str, Any]]) -> str:
    if not rows:
        return ""
    body = "".join(
        f'<tr><th scope="row">{escape(str(row["what"]))}</th><td>{_number(row.get("before"))}</td>'
        f"<td>{_number(row.get('after'))}</td><td>{_change(row)}</td>"
        f"<td>{_number(row.get('human')) if row.get('human') is not None else ''}</td></tr>"
        for row in rows
    )
    return (
        '<details><summary>What was measured</summary><div class="wide" tabindex="0"><table><thead>'
        '<tr><td></td><th scope="col">before</th><th scope="col">after</th>'
        '<th scope="col">difference, 95 % interval</th><th scope="col">humans</th></tr></thead>'
        f"<tbody>{body}</tbody></table></div></details>"
    )


def _change(row: Mapping[str, Any]) -> str:
    said = _number(row.get("difference"))
    if row.get("low") is None:
        return said
    return f"{said} ({_number(row['low'])} to {_number(row['high'])})"


def _number(value: Any) -> str:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return "not measured"
    return f"{value:.3g}".replace("-", "−")


def sample_replies(rows: Rows) -> str:
    """Each situation once, with what the model said at every evaluation, and the human last."""
    situations: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        situations.setdefault(str(row.get("context", "")), []).append(row)
    cards = []
    for context, found in situations.items():
        lines = "".join(
            f"<dt>{_when(row)}</dt><dd>{_reply(row.get('reply'))}</dd>" for row in found
        )
        human = _reply(found[-1].get("human"))
        cards.append(
            f'<article><p class="said">{_reply(context)}</p><dl>{lines}'
            f'<dt class="human">a human</dt><dd class="human">{human}</dd></dl></article>'
        )
    if not cards:
        return ""
    return f"<h3>What it says to the same people as it learns</h3>{''.join(cards)}"


def _when(row: Mapping[str, Any]) -> str:
    step = row.get("step", 0)
    return "before" if not step else f"step {escape(str(step))}"


def _reply(text: Any) -> str:
    said = str(text or "")
    return escape(said if len(said) <= MAX_SHOWN else said[:MAX_SHOWN] + " …") or "(nothing)"


def _settings(run: Run) -> str:
    return json.dumps(
        run.spec.model_dump(mode="json", exclude_none=True), indent=1, ensure_ascii=False
    )


def differences(found: Sequence[Run]) -> str:
    """The settings in which the runs differ, and their verdicts, as a table."""
    flat = [_flat(run.spec.model_dump(mode="json", exclude_none=True)) for run in found]
    keys = [k for k in dict.fromkeys(k for one in flat for k in one) if k != "name"]
    rows = [(k, [one.get(k, "–") for one in flat]) for k in keys]
    rows = [(k, values) for k, values in rows if len(set(values)) > 1]
    ends = [str((run.result or {}).get("verdict") or "not measured") for run in found]
    rows.append(("did it help?", ends))
    head = "".join(f'<th scope="col">{escape(run.name)}</th>' for run in found)
    body = "".join(
        f'<tr><th scope="row">{escape(k)}</th>'
        + "".join(f"<td>{escape(value[:200])}</td>" for value in values)
        + "</tr>"
        for k, values in rows
    )
    return (
        '<h3>Where their settings differ</h3><div class="wide" tabindex="0"><table><thead><tr>'
        f"<td></td>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _flat(raw: Mapping[str, Any], before: str = "") -> dict[str, str]:
    found: dict[str, str] = {}
    for key, value in raw.items():
        if isinstance(value, dict):
            found |= _flat(value, f"{before}{key}.")
        else:
            found[before + key] = str(value)
    return found
