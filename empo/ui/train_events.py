"""What the Train tab does: fill itself when opened, make pairs, leaf, filter, measure, fetch."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

from empo.data.strategies import MIX
from empo.data.uploads import UPLOAD
from empo.errors import Busy, EmpoError, UsageError
from empo.hub.fetch import fetch
from empo.hub.sources import SOURCES as TO_FETCH
from empo.pairs.page import figures, summary
from empo.ui.owner import is_owner, require_owner
from empo.ui.pair_card import card
from empo.ui.pair_desk import ANY, ED, Choice, Filter
from empo.ui.train_tab import ABOUT, TrainTab, terms_text

QUIET: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
MAKING: dict[str, Any] = {**QUIET, "concurrency_id": "pairs", "concurrency_limit": 2}
ONLY_OWNER = (
    "EmpatheticDialogues is not on this machine. Its owner can get it here, or with "
    "<code>python -m empo fetch ed</code>; until then there is the starter set."
)
Updates = dict[Any, Any]
Tell = Callable[[str, float], None]


def chosen(*values: Any) -> Choice:
    """The choice that the components' values make.

    Raises:
        UsageError: a value is not of the kind that the page sends.
    """
    source, preset, draws, seed, mix, token = values
    if not isinstance(source, str) or not isinstance(preset, str):
        raise UsageError("Choose where the dialogues come from, and how they are paired.")
    if isinstance(draws, bool) or not isinstance(draws, int | float):
        raise UsageError("Rejected replies a dialogue must be a whole number.")
    if isinstance(seed, bool) or not isinstance(seed, int | float):
        raise UsageError("The seed must be a whole number.")
    if source == UPLOAD:
        return Choice(UPLOAD, token=token)
    used = str(mix or "")[:200] if preset == MIX else ""
    return Choice(source, preset, int(draws), int(seed), used)


def wanted(*values: Any) -> Filter:
    """The filter that the components' values make; what is none of them filters nothing."""
    emotion, origin, words = (value if isinstance(value, str) else "" for value in values)
    return Filter(emotion or ANY, origin or ANY, words[:200])


class TrainEvents:
    """Wires the tab. `fetch_from` replaces the owner's address of the data (a mirror, a test)."""

    def __init__(self, tab: TrainTab, fetch_from: str | None = None) -> None:
        self.tab, self.desk, self.fetch_from = tab, tab.desk, fetch_from
        self._fetching = threading.Lock()

    def wire(self, opened: Callable[..., Any]) -> None:
        """`opened` is the tab's select event."""
        tab = self.tab
        inputs = [*tab.choice, *tab.filters]
        cards = [tab.notice, tab.cards]
        shown = [*cards, tab.report, tab.about, tab.mix]
        every = self.outputs
        late: dict[str, Any] = {**MAKING, "trigger_mode": "always_last"}
        opened(self.open, [tab.seen, *inputs], [tab.seen, tab.source, *every], **MAKING)
        typed = (tab.seed, tab.mix)
        changes = [tab.source.input, tab.preset.input, tab.draws.release]
        changes += [event for box in typed for event in (box.submit, box.blur)]
        gr.on(changes, self.change, inputs, every, **late)
        gr.on(
            [tab.emotion.input, tab.origin.input, tab.words.change],
            self.filter,
            inputs,
            cards,
            **late,
        )
        tab.cards.leaf(self.leaf, inputs, cards, **MAKING)
        tab.file.upload(self.take, [tab.file, *inputs], [tab.file, tab.token, *shown], **MAKING)
        alone: dict[str, Any] = {**QUIET, "concurrency_limit": 1}
        tab.measure.click(self.measure, tab.choice, tab.report, **alone)
        tab.get.click(self.get, [tab.accept, *inputs], every, **alone)

    @property
    def outputs(self) -> list[Any]:
        """What other pairs change."""
        tab = self.tab
        shown = [tab.notice, tab.cards, tab.report, tab.about, tab.mix]
        return [*shown, tab.ways, tab.upload_box, tab.get_box, tab.terms, tab.accept, tab.get]

    # -- what is shown

    def open(self, request: gr.Request, seen: Any, *values: Any) -> Updates:
        """The tab as first seen: on EmpatheticDialogues where it is, else on the starter set."""
        if seen:
            return gr.skip()
        source = ED if self.desk.has_ed() else values[0]
        return {
            self.tab.seen: True,
            self.tab.source: source,
            **self.change(request, source, *values[1:]),
        }

    def change(self, request: gr.Request, *values: Any) -> Updates:
        """Other pairs: made, shown from the first on; boxes as the source needs them."""
        tab, source = self.tab, values[0]
        missing = source == ED and not self.desk.has_ed()
        boxes = {
            tab.ways: gr.Column(visible=source != UPLOAD),
            tab.upload_box: gr.Column(visible=source == UPLOAD),
            tab.get_box: gr.Column(visible=missing),
        }
        if missing:
            owner = is_owner(request)
            boxes |= {
                tab.terms: terms_text() if owner else f"<p>{ONLY_OWNER}</p>",
                tab.accept: gr.Checkbox(visible=owner),
                tab.get: gr.Button(visible=owner),
            }
            return boxes | self._nothing("")
        return boxes | self._fresh(values)

    def _fresh(self, values: tuple[Any, ...]) -> Updates:
        preset = values[1] if values[1] in ABOUT else ""
        return {
            **self.filter(*values),
            self.tab.report: "",
            self.tab.about: f"<p>{ABOUT.get(preset, '')}</p>",
            self.tab.mix: gr.Textbox(visible=preset == MIX),
        }

    def _nothing(self, notice: str) -> Updates:
        return {self.tab.notice: notice, self.tab.cards: "", self.tab.report: ""}

    def filter(self, *values: Any) -> Updates:
        """The first pair that the filters take."""
        return self._at(values, 0)

    def leaf(self, event: gr.EventData, *values: Any) -> Updates:
        """Another pair: the card's buttons carry its number."""
        to = event.to
        return self._at(values, to if isinstance(to, int) and not isinstance(to, bool) else 0)

    def _at(self, values: tuple[Any, ...], at: int) -> Updates:
        try:
            choice = chosen(*values[:6])
            found = self.desk.found(choice, wanted(*values[6:]))
            told = summary(self.desk.counts(choice))
            if not found:
                told, shown = "No pair has all of that: loosen the filters.", ""
            else:
                at = min(max(at, 0), len(found) - 1)
                shown = card(self.desk.pairs(choice)[found[at]], at, len(found))
        except EmpoError as error:
            told, shown = str(error), ""
        return {self.tab.notice: _note(told), self.tab.cards: shown}

    # -- what takes time

    def take(self, path: str | None, *values: Any) -> Updates:
        """Read an uploaded file; it is deleted whatever it holds."""
        if not path:
            return gr.skip()
        cleared = {self.tab.file: None, self.tab.report: ""}
        try:
            token, _ = self.desk.take(Path(path), Path(path).name)
        except EmpoError as error:
            return cleared | self._nothing(_note(str(error))) | {self.tab.token: None}
        return (
            cleared
            | {self.tab.token: token}
            | self.filter(UPLOAD, *values[1:5], token, *values[6:])
        )

    def measure(self, *values: Any) -> Iterator[str]:
        """The report's figures, after lines that say how far it is."""
        try:
            choice = chosen(*values)
            made: dict[str, Any] = {}
            yield _note("Measuring …")
            for line in _watched(lambda tell: made.update(self.desk.report(choice, tell))):
                yield _note(line)
            yield f'<div class="figures">{figures(made)}</div>'
        except EmpoError as error:
            yield _note(str(error))

    def get(self, request: gr.Request, accepted: Any, *values: Any) -> Iterator[Updates]:
        """Fetch EmpatheticDialogues, for the owner who has accepted its terms."""
        try:
            require_owner(request)
            if accepted is not True:
                raise UsageError("Read the terms and accept them first.")
            if not self._fetching.acquire(blocking=False):
                raise Busy("It is being fetched already: wait for it to end.")
            try:
                for line in _watched(self._fetch):
                    yield {self.tab.notice: _note(line)}
            finally:
                self._fetching.release()
            self.desk.forget_sources()
            yield self.change(request, *values)
        except EmpoError as error:
            yield {self.tab.notice: _note(str(error))}

    def _fetch(self, tell: Tell) -> None:
        def progress(name: str, done: int, total: int | None) -> None:
            tell(f"Fetching {name}: {done / 1e6:.1f} MB", done / total if total else 0.0)

        fetch(TO_FETCH["ed"], self.desk.data, self.fetch_from, progress)


def _note(text: str) -> str:
    return f'<p role="status">{escape(text)}</p>' if text else ""


def _watched(work: Callable[[Tell], Any]) -> Iterator[str]:
    """Do `work` in a thread; what it tells meanwhile, at most a few lines a second.

    Raises:
        Whatever `work` raises.
    """
    lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
    failed: list[BaseException] = []

    def run() -> None:
        try:
            work(lambda text, share: lines.put(f"{text}, {share:.0%}"))
        except BaseException as error:
            failed.append(error)
        finally:
            lines.put(None)

    threading.Thread(target=run, name="train-tab", daemon=True).start()
    last = 0.0
    while (line := lines.get()) is not None:
        if time.monotonic() - last > 0.2:
            last = time.monotonic()
            yield line
    if failed:
        raise failed[0]
