"""Everything drawn below the conversation: a sentence, one open chart, and two that fold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from empo.conversation import Exchange
from empo.scoring.card import Listener
from empo.ui.charts import YOU, mood_chart
from empo.ui.empathy_chart import empathy_chart, last_whole
from empo.ui.summary import sentence
from empo.ui.wheel_chart import wheel_chart


def live_charts(
    path: Sequence[Exchange],
    colours: Mapping[str, str],
    listener: Listener | None = None,
    who: str = YOU,
) -> str:
    """The HTML; folds are told apart by `data-key`, so that the page keeps them as they are."""
    at = last_whole(path)
    said = sentence(path[at], listener) if at >= 0 else ""
    return (
        f'<p class="differs" role="status">{escape(said)}</p>'
        f"{empathy_chart(path, colours, listener)}"
        f"{_fold('mood', 'Mood over the conversation', mood_chart(path, colours, who))}"
        f"{_fold('wheel', 'What the speaker seems to feel', wheel_chart(path))}"
    )


def _fold(key: str, title: str, figure: str) -> str:
    return (
        f'<details class="fold" id="{key}" data-key="{key}"><summary>{title}</summary>'
        f"{figure}</details>"
    )
