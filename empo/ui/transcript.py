"""A conversation to take along: JSON (enough to reproduce it), Markdown, one page of HTML.

Pure: from values to text. Texts of people and models are escaped for what they are put into.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any, Literal

from empo import __version__
from empo.conversation import Answer, Conversation, Exchange, to_data
from empo.prompts import system_prompt
from empo.scoring.as_json import scores_json, valence_json
from empo.scoring.card import Listener
from empo.types import MECHANISMS, Scores
from empo.ui.charts import mood_chart
from empo.ui.empathy_chart import empathy_chart
from empo.ui.mechanisms import WORDS
from empo.ui.view import foot, pace_line

Kind = Literal["json", "markdown", "html"]
MIME: dict[Kind, str] = {
    "json": "application/json",
    "markdown": "text/markdown",
    "html": "text/html",
}
ENDING: dict[Kind, str] = {"json": "json", "markdown": "md", "html": "html"}


@dataclass(frozen=True, slots=True)
class Facts:
    """What the replies were made with: recorded in every transcript."""

    stack: str
    base: str
    quantisation: str
    device: str
    link: str = ""


def transcript(
    kind: Kind,
    conversation: Conversation,
    facts: Facts,
    colours: Mapping[str, str],
    listener: Listener | None = None,
) -> str:
    """The conversation as the text of a file of that kind."""
    if kind == "json":
        return as_json(conversation, facts)
    if kind == "markdown":
        return as_markdown(conversation, facts)
    return as_html(conversation, facts, colours, listener)


def as_json(conversation: Conversation, facts: Facts) -> str:
    """Everything: the turns on the screen first, then the whole tree with all versions."""
    data = {
        "format": "empo-transcript-1",
        "version": __version__,
        "stack": facts.stack,
        "base": facts.base,
        "quantisation": facts.quantisation,
        "device": facts.device,
        "link": facts.link,
        "turns": [_turn(exchange) for exchange in conversation.path()],
        "conversation": to_data(conversation),
    }
    return json.dumps(data, ensure_ascii=False, indent=2) + "\n"


def _turn(exchange: Exchange) -> dict[str, Any]:
    sampling = exchange.sampling
    return {
        "message": exchange.message,
        "valence": valence_json(exchange.valence),
        "prompt": exchange.prompt,
        "follows": exchange.follows,
        "seed": sampling.seed,
        "sampling": {name: getattr(sampling, name) for name in sampling.__slots__},
        "replies": [_reply(exchange, answer) for answer in exchange.answers],
    }


def _reply(exchange: Exchange, answer: Answer) -> dict[str, Any]:
    reply = answer.reply
    return {
        "model": answer.model,
        "stage": answer.stage,
        "adapter": answer.adapter,
        "system_prompt": system_prompt(exchange.prompt, answer.stage),
        "text": answer.text,
        "tokens": reply.tokens if reply else None,
        "seconds": round(reply.seconds, 3) if reply else None,
        "stopped_by": reply.stopped_by if reply else None,
        "scores": scores_json(answer.scores or Scores(valence=answer.valence)),
    }


def _markdown(text: str) -> str:
    """`text` as a quotation in which no Markdown or HTML of its own takes effect."""
    for mark in "\\`*_{}[]<>#|~!":
        text = text.replace(mark, "\\" + mark)
    return "\n".join(f"> {line}" for line in text.splitlines()) or "> "


def as_markdown(conversation: Conversation, facts: Facts) -> str:
    """To read and to paste: one heading per turn, one quotation per voice."""
    parts = ["# A conversation in EmPO Space", _made_with(facts)]
    for number, exchange in enumerate(conversation.path(), 1):
        parts += [f"## Turn {number}", "**You**", _markdown(exchange.message)]
        for answer in exchange.answers:
            name = f"**{answer.label}** ({answer.plain})"
            parts += [name, _markdown(answer.text), _small(answer)]
        parts.append(_settings(exchange))
    return "\n\n".join(parts) + "\n"


def _made_with(facts: Facts) -> str:
    made = f"Stack {facts.stack}, base {facts.base}, quantisation {facts.quantisation}"
    return f"{made}, {facts.device}. Machine-made replies; research demo, no advice."


def _valence(answer: Answer) -> str:
    value = answer.valence.vader
    return "valence not measured" if value is None else f"valence {value:+.2f} (VADER)"


def _levels(answer: Answer) -> str:
    """Expected levels in short: "warmth 1.3, understanding 0.4, curiosity 1.9 of 2"."""
    scores = answer.scores or Scores()
    found = [
        f"{WORDS[name].key} {score.expected:.1f}"
        for name in MECHANISMS
        if (score := scores.mechanism(name))
    ]
    return f"{', '.join(found)} of 2" if found else "empathy not measured"


def _small(answer: Answer) -> str:
    adapter = f"adapter {answer.adapter}" if answer.adapter else "no adapter"
    return " · ".join(
        part for part in (foot(answer), _levels(answer), _valence(answer), adapter) if part
    )


def _settings(exchange: Exchange) -> str:
    s = exchange.sampling
    made = (
        f"prompt {exchange.prompt}, temperature {s.temperature:g}, top-p {s.top_p:g}, "
        f"repetition penalty {s.repetition_penalty:g}, at most {s.max_new_tokens} tokens, "
        f"seed {s.seed}"
    )
    pace = pace_line(exchange)
    return f"Settings: {made}." + (f" {pace[0].upper()}{pace[1:]}." if pace else "")


_STYLE = """
:root{--ink:#2b2723;--muted:#655e55;--line:#e6ddd0;--paper:#fff;--user:#4a453f}
body{font:17px/1.5 "Source Sans Pro",system-ui,sans-serif;color:var(--ink);background:#fbf8f3;
max-width:1000px;margin:40px auto;padding:0 20px}
h1{font-size:1.6em}h2{font-size:1.05em;color:var(--muted);font-weight:400;margin:32px 0 4px}
.message{font-size:1.2em;white-space:pre-wrap;overflow-wrap:anywhere;margin:0 0 12px}
.replies{display:grid;grid-template-columns:repeat(auto-fit,minmax(240px,1fr));gap:14px}
.reply{background:#fff;border-left:4px solid;border-radius:14px;padding:12px 16px}
.reply p{white-space:pre-wrap;overflow-wrap:anywhere;margin:4px 0}
small,figcaption{color:var(--muted);font-size:.85em}
.chart{background:#fff;border-radius:14px;padding:16px 20px;margin:32px 0;max-width:620px}
.chart ul{list-style:none;display:flex;flex-wrap:wrap;gap:4px 16px;padding:0}
.chart li svg{width:16px;height:16px;margin-right:6px}.chart .plot{width:100%}
th,td{text-align:right;padding:2px 12px 2px 0;font-weight:400}
"""


def as_html(
    conversation: Conversation,
    facts: Facts,
    colours: Mapping[str, str],
    listener: Listener | None = None,
) -> str:
    """One page that needs nothing else: no script, no outside address, the charts inside."""
    path = conversation.path()
    turns = "".join(_html_turn(n, exchange, colours) for n, exchange in enumerate(path, 1))
    link = (
        f'<p><a href="{escape(facts.link)}">The same settings, live</a></p>' if facts.link else ""
    )
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>A conversation in EmPO Space</title><style>{_STYLE}</style></head><body>"
        f"<h1>A conversation in EmPO Space</h1><p><small>{escape(_made_with(facts))}</small></p>"
        f"{link}{empathy_chart(path, colours, listener)}{mood_chart(path, colours)}{turns}"
        "</body></html>\n"
    )


def _html_turn(number: int, exchange: Exchange, colours: Mapping[str, str]) -> str:
    replies = "".join(
        f'<section class="reply" style="border-color:{colours.get(a.model, "#8C8279")}">'
        f"<b>{escape(a.label)}</b> <small>{escape(a.plain)}</small><p>{escape(a.text)}</p>"
        f"<small>{escape(_small(a))}</small></section>"
        for a in exchange.answers
    )
    return (
        f'<h2>Turn {number}</h2><p class="message">{escape(exchange.message)}</p>'
        f'<div class="replies">{replies}</div><p><small>{escape(_settings(exchange))}</small></p>'
    )


def file_name(kind: Kind, path: Sequence[Exchange]) -> str:
    """A plain name: nothing of what was said goes into it."""
    return f"empo-{len(path)}-turns.{ENDING[kind]}"
