"""The leaderboard: what the votes say, and how sure it is. Placed by one call inside Blocks:

    board = leaderboard(store.votes, store.stamp, services.stack.models)
    voted.then(board.show, board.inputs, board.outputs, ...)

It shows itself when the page (or what it stands in) is opened, and when a switch is moved.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

import gradio as gr

from empo.errors import EmpoError
from empo.types import ModelSpec, Stage
from empo.ui.colours import colours

if TYPE_CHECKING:
    from empo.arena.votes import Votes

Report = Mapping[str, Any]
ALL = "all"
_POOL = "pool:"  # before a pool's name, which may be any text, none included
PLAIN, ADJUSTED = "as voted", "adjusted for length and side"
_KEPT = 8  # reports kept: some pools, all together
WAITING = '<p class="verdict">The votes are being counted …</p>'


class Reports:
    """Reports of the votes that `votes` gives, made anew only when `stamp` gives another value.

    Thread-safe, and at most one report is made at a time: who asks meanwhile waits, and gets what
    was begun after they asked, if it is there.
    """

    def __init__(
        self,
        votes: Callable[[], Votes],
        stamp: Callable[[], Hashable],
        models: Sequence[ModelSpec] = (),
    ) -> None:
        self._read, self._stamp, self._models = votes, stamp, models
        self._lock = threading.Lock()
        self._seen: Hashable = object()
        self._read_at = float("-inf")
        self._votes: Votes | None = None
        self._reports: OrderedDict[str | None, Report] = OrderedDict()

    def sizes(self) -> dict[str, int]:
        """Pool → number of its votes.

        Raises:
            EmpoError: the votes cannot be read.
        """
        with self._lock:
            return self._current(time.monotonic()).pool_sizes()

    def report(self, pool: str | None) -> Report:
        """The report of a pool; None: of all votes, with a warning if they are of several.

        Raises:
            EmpoError: the votes cannot be read, or there is no such pool.
        """
        # scipy and pyarrow take a second to import: not before somebody wants a ranking.
        from empo.leaderboard import ratings_report

        asked = time.monotonic()
        with self._lock:
            votes = self._current(asked)
            if pool not in self._reports:
                self._reports[pool] = ratings_report(votes, pool, pooled=pool is None)
                while len(self._reports) > _KEPT:
                    self._reports.popitem(last=False)
            self._reports.move_to_end(pool)
            return self._reports[pool]

    def _current(self, asked: float) -> Votes:
        """The votes as they are now, or were after `asked`; the lock is held."""
        if self._votes is None or self._read_at < asked:
            now, stamp = time.monotonic(), self._stamp()
            if self._votes is None or stamp != self._seen:
                votes = self._read()
                self._votes = votes.renamed(labels(votes.models, self._models))
                self._reports.clear()
            self._seen, self._read_at = stamp, now
        return self._votes


def labels(names: Sequence[str], models: Sequence[ModelSpec]) -> dict[str, str]:
    """Model's name in the votes → what it is called on the page; a revision (`name@…`) stays."""
    called = {spec.name: spec.label for spec in models}
    found = {}
    for name in names:
        head, at, revision = name.partition("@")
        found[name] = f"{called.get(head, head)}{at}{revision}"
    return found


def paints(shown: Sequence[str], models: Sequence[ModelSpec]) -> dict[str, str]:
    """Label → colour: the models' own, and further ones for those that only the votes know."""
    known: list[tuple[str, Stage]] = [(spec.label, spec.stage) for spec in models]
    names = {name for name, _ in known}
    return colours([*known, *((name, "blend") for name in sorted(shown) if name not in names)])


@dataclass(frozen=True)
class Leaderboard:
    """The parts on the page, for whoever wants to refresh them (after a vote)."""

    show: Callable[..., tuple[str, gr.Dropdown]]
    inputs: list[gr.components.Component]
    outputs: list[gr.components.Component]


def leaderboard(
    votes: Callable[[], Votes],
    stamp: Callable[[], Hashable],
    models: Sequence[ModelSpec] = (),
    opened: Callable[..., Any] | None = None,
) -> Leaderboard:
    """Build the leaderboard inside the current Blocks.

    `votes()` gives all votes that count; `stamp()` is quick, and changes whenever they do. Both are
    called in worker threads. `models`: the stack's, for labels and colours; `opened`: the event
    at which it first shows itself (default: the page is loaded).
    """
    reports = Reports(votes, stamp, models)

    def show(kind: str, choice: str) -> tuple[str, gr.Dropdown]:
        return _shown(reports, models, kind == ADJUSTED, choice)

    with gr.Row(elem_id="board-switches"):
        kind = gr.Radio([PLAIN, ADJUSTED], value=PLAIN, label="Ratings", elem_id="board-kind")
        pool = gr.Dropdown([], label="Votes on", visible=False, elem_id="board-pool")
    page = gr.HTML(WAITING, elem_id="board", apply_default_css=False, js_on_load=None)
    board = Leaderboard(show, [kind, pool], [page, pool])
    blocks = gr.context.Context.root_block
    first = opened or (blocks.load if blocks else None)
    triggers = [kind.change, pool.input, *([first] if first else [])]
    gr.on(
        triggers,
        show,
        board.inputs,
        board.outputs,
        show_progress="hidden",
        queue=False,
        api_visibility="private",
    )
    return board


def _shown(
    reports: Reports, models: Sequence[ModelSpec], adjusted: bool, choice: str | None
) -> tuple[str, gr.Dropdown]:
    """The page of the chosen pool (the largest, where none is chosen), and the choice of pools."""
    try:
        sizes = reports.sizes()
        largest = max(sizes, key=lambda name: sizes[name], default=None)
        pool = largest if choice is None else choice.removeprefix(_POOL)
        if choice == ALL and len(sizes) > 1:
            report = reports.report(None)
        else:
            pool = pool if pool in sizes else largest
            choice = None if pool is None else f"{_POOL}{pool}"
            report = reports.report(pool)
    except EmpoError as error:
        return f'<p class="verdict">{escape(str(error))}</p>', gr.skip()
    return board_html(report, models, adjusted), _choices(sizes, choice)


def _choices(sizes: Mapping[str, int], choice: str | None) -> gr.Dropdown:
    listed = [
        (f"{name or 'votes without a pool'} · {count:,}", f"{_POOL}{name}")
        for name, count in sorted(sizes.items(), key=lambda item: -item[1])
    ]
    if len(sizes) > 1:
        listed.append((f"all pools together, though they differ · {sum(sizes.values()):,}", ALL))
    return gr.Dropdown(listed, value=choice, visible=len(sizes) > 1)


def board_html(report: Report, models: Sequence[ModelSpec], adjusted: bool = False) -> str:
    """The whole leaderboard of one report, without its switches."""
    from empo.ui.how_sure import pairs_card, people_card, sway_card, warnings
    from empo.ui.ranking_chart import ranking_chart
    from empo.ui.win_matrix import win_matrix
    from empo.ui.win_wheel import win_wheel

    verdict = f'<p class="verdict">{escape(report["sentence"])}</p>'
    if not report["votes"]:
        return (
            f'{verdict}<p class="quiet">Say which of two replies you like better, above: every '
            "vote is counted here, with how sure the ranking is.</p>"
        )
    shown = [row["model"] for row in report["standings"]]
    told = report["warnings"]
    if not adjusted:
        told = [line for line in told if line not in report["adjusted_warnings"]]
    else:
        verdict += _turned(shown, [row["model"] for row in report["adjusted"]])
    paint = paints(shown, models)
    wheel = win_wheel(report["emotions"], paint) if report["emotions"] else ""
    first = (ranking_chart(report, paint, adjusted), pairs_card(report), sway_card(report))
    columns = (first, (win_matrix(report["matrix"], shown, paint), wheel))
    cards = "".join(f"<div>{''.join(column)}</div>" for column in columns)
    cards += f'<div class="whole">{people_card(report)}</div>'
    method = f'<p class="quiet">{escape(report["method"])}</p>'
    return f'{verdict}{warnings(told)}<div class="cards">{cards}</div>{method}'


def _turned(plain: Sequence[str], adjusted: Sequence[str]) -> str:
    """What adjusting changes in the order; the sentence above is of the votes as they are."""
    same = list(plain) == list(adjusted)
    told = "the order is the same" if same else f"the order is {', '.join(adjusted)}"
    return f'<p class="quiet">With length and side taken out, {escape(told)}.</p>'
