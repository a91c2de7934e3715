"""The runs at the left: each with its state, opened by its name, laid over others by its tick."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from html import escape

from empo.training.status import RunStatus

WORDS = {
    "queued": "waiting in line",
    "running": "running",
    "stopping": "stopping",
    "stopped": "stopped",
    "finished": "finished",
    "failed": "failed",
    "interrupted": "interrupted",
}
KINDS = {"sft": "SFT", "dpo": "DPO", "kto": "KTO"}
EMPTY = (
    '<p class="quiet">No run yet. Choose pairs in step 1 and a recipe in step 2; what you start '
    "then stands here, and goes on when you close this page.</p>"
)


def run_list(found: Sequence[RunStatus], picked: str, beside: Collection[str]) -> str:
    """`picked` is open at the right; `beside` are compared with it."""
    if not found:
        return EMPTY
    items = "".join(_item(status, picked, status.name in beside) for status in found)
    hint = ""
    if len(found) > 1:
        hint = '<p class="quiet">Tick others to lay their curves over the open one.</p>'
    return f'<ul class="runs">{items}</ul>{hint}'


def _item(status: RunStatus, picked: str, ticked: bool) -> str:
    name, here = escape(status.name, quote=True), status.name == picked
    share = status.step / status.steps if status.steps else 0
    tick = ""
    if not here:
        tick = (
            f'<input type="checkbox" data-with="{name}"{" checked" if ticked else ""} '
            f'aria-label="Compare with {name}">'
        )
    return (
        f'<li class="{status.state}{" here" if here else ""}">'
        f'<button type="button" data-do="open" data-name="{name}"'
        f"{' aria-current=true' if here else ''}><b>{name}</b>"
        f"<small>{KINDS.get(status.kind, escape(status.kind))} · {state_words(status)}</small>"
        f'<i style="width:{100 * min(share, 1):.0f}%"></i></button>{tick}</li>'
    )


def state_words(status: RunStatus) -> str:
    """The state, and how far, in a word or three."""
    said = WORDS.get(status.state, status.state)
    if status.state in ("running", "stopping", "stopped") and status.steps:
        said += f" · {status.step}/{status.steps}"
    return said
