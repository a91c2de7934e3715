"""The sets of pairs that visitors look at: made once, kept a while, searched, measured. No Gradio.

A set is named by its `Choice`, a plain value; uploaded files are kept under a random token. What is
kept is bounded, and the oldest goes first.
"""

from __future__ import annotations

import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from empo.data.dialogues import find_split
from empo.data.strategies import DEFAULT_MIX, MIX, PRESETS, read_mix, strategy
from empo.data.uploads import UPLOAD, read_upload, shown_name
from empo.errors import DataError, UsageError
from empo.pairs.make import make_pairs
from empo.pairs.report import Baselines, Progress, counts, report
from empo.pairs.sources import STARTER, Source, read_source
from empo.scoring.scorer import Pair
from empo.types import PreferencePair, Scores

ED, OWN = "ed", "starter"
SOURCES = (ED, OWN, UPLOAD)
ANY = "any"
SAMPLE = 200  # pairs that the page's report reads; the command line reads more
MAX_DRAWS = 5
K, V = TypeVar("K"), TypeVar("V")
Pairs = tuple[PreferencePair, ...]


@dataclass(frozen=True, slots=True)
class Choice:
    """What a visitor has chosen. `token` names an uploaded file; `mix` is read by `read_mix`."""

    source: str = OWN
    preset: str = "paper"
    draws: int = 1
    seed: int = 0
    mix: str = ""
    token: str | None = None


@dataclass(frozen=True, slots=True)
class Filter:
    """Which pairs are leafed through; every word of `words` must stand in the pair."""

    emotion: str = ANY
    origin: str = ANY
    words: str = ""

    def takes(self, pair: PreferencePair) -> bool:
        if self.emotion not in (ANY, pair.emotion) or self.origin not in (ANY, pair.origin):
            return False
        words = self.words.lower().split()
        if not words:
            return True
        said = " ".join([*(turn.text for turn in pair.prompt), pair.chosen, pair.rejected]).lower()
        return all(word in said for word in words)


class _Kept(Generic[K, V]):
    """The last `size` values. Thread-safe."""

    def __init__(self, size: int) -> None:
        self._size, self._values = size, OrderedDict[K, V]()
        self._lock = threading.Lock()

    def get(self, key: K) -> V | None:
        with self._lock:
            if key in self._values:
                self._values.move_to_end(key)
            return self._values.get(key)

    def put(self, key: K, value: V) -> V:
        with self._lock:
            self._values[key] = value
            self._values.move_to_end(key)
            while len(self._values) > self._size:
                self._values.popitem(last=False)
        return value


class _Measuring:
    """A scorer for the report that leaves *not measured* what cannot be measured now."""

    name = "live"
    listener = None

    def __init__(self, score: Callable[[Sequence[Pair]], Sequence[Scores | None]]) -> None:
        self._score = score

    def score(self, pairs: Sequence[Pair]) -> list[Scores]:
        return [scores or Scores() for scores in self._score(pairs)]

    def score_emotions(self, texts: Sequence[str]) -> list[tuple[Any, ...]]:
        return [() for _ in texts]


class PairDesk:
    """Everything step 1 of the Train tab needs from below. Thread-safe.

    `data`: the folder of EmpatheticDialogues; `score`: scores of (message, reply), None for what is
    not measured.
    """

    def __init__(
        self, data: Path, score: Callable[[Sequence[Pair]], Sequence[Scores | None]]
    ) -> None:
        self.data = data
        self._scorer = _Measuring(score)
        self._uploads = _Kept[str, tuple[str, Pairs]](8)
        self._sets = _Kept[Choice, Pairs](6)
        self._found = _Kept[tuple[Choice, Filter], list[int]](16)
        self._counts = _Kept[Choice, dict[str, Any]](24)
        self._reports = _Kept[Choice, dict[str, Any]](24)
        self._sources = _Kept[Path, Source](2)
        self._baselines = _Kept[Path, Baselines](2)
        self._working, self._fitting = threading.Lock(), threading.Lock()

    def has_ed(self) -> bool:
        """Whether EmpatheticDialogues' training split is on this machine."""
        try:
            return find_split(self.data, "train").is_file()
        except DataError:
            return False

    def take(self, path: Path, name: str) -> tuple[str, int]:
        """Keep the pairs of an uploaded file and delete it; its token, and how many pairs.

        Raises:
            DataError, Busy: it is refused (it is deleted all the same).
        """
        try:
            pairs = read_upload(path, name)
        finally:
            path.unlink(missing_ok=True)
        token = secrets.token_urlsafe(12)
        self._uploads.put(token, (shown_name(name), pairs))
        return token, len(pairs)

    def keep(self, path: Path, name: str) -> str:
        """Keep the pairs of a file of ours as if it had been sent, and leave it; its token.

        Raises:
            DataError, Busy: as `take`.
        """
        token = secrets.token_urlsafe(12)
        self._uploads.put(token, (shown_name(name), read_upload(path, name)))
        return token

    def pairs(self, choice: Choice) -> Pairs:
        """The set of `choice`, made now if it is not kept.

        Raises:
            UsageError, DataError: nothing can be made of it; one sentence.
        """
        if (kept := self._sets.get(choice)) is not None:
            return kept
        if choice.source == UPLOAD:
            return self._upload(choice)[1]
        _check(choice)
        with self._working:
            if (kept := self._sets.get(choice)) is not None:
                return kept
            shares = mix_shares(choice)
            dialogues = self._source(choice).dialogues
            made = make_pairs(dialogues, choice.preset, choice.seed, choice.draws, shares)
            return self._sets.put(choice, made)

    def _upload(self, choice: Choice) -> tuple[str, Pairs]:
        kept = self._uploads.get(choice.token or "")
        if kept is None:
            raise DataError("Send a file of preference pairs first, or again: it is not kept long.")
        return kept

    def _source(self, choice: Choice) -> Source:
        path = self._path(choice)
        return self._sources.get(path) or self._sources.put(path, read_source(path))

    def _path(self, choice: Choice) -> Path:
        return STARTER if choice.source == OWN else find_split(self.data, "train")

    def found(self, choice: Choice, wanted: Filter) -> list[int]:
        """Places of the pairs that `wanted` takes.

        Raises:
            UsageError, DataError: as `pairs`.
        """
        kept = self._found.get((choice, wanted))
        if kept is None:
            pairs = self.pairs(choice)
            kept = [at for at, pair in enumerate(pairs) if wanted.takes(pair)]
            self._found.put((choice, wanted), kept)
        return kept

    def counts(self, choice: Choice) -> dict[str, Any]:
        """What can be counted of the set without delay.

        Raises:
            UsageError, DataError: as `pairs`.
        """
        return self._counts.get(choice) or self._counts.put(choice, counts(self.pairs(choice)))

    def report(self, choice: Choice, progress: Progress | None = None) -> dict[str, Any]:
        """The report on `choice`, measured on a sample of `SAMPLE` pairs.

        Raises:
            UsageError, DataError: as `pairs`.
        """
        if (kept := self._reports.get(choice)) is not None:
            return kept
        pairs = self.pairs(choice)
        if progress:
            progress("fitting the baselines", 0.0)
        about = {"source": self._name(choice), **_about(choice)}
        baselines = self._fitted(choice)
        made = report(pairs, baselines, self._scorer, about, choice.seed, SAMPLE, progress)
        return self._reports.put(choice, made)

    def _name(self, choice: Choice) -> str:
        return self._upload(choice)[0] if choice.source == UPLOAD else self._path(choice).name

    def _fitted(self, choice: Choice) -> Baselines:
        """Fitted on another split: for an upload, on what the starter set is measured with."""
        path = STARTER if choice.source == UPLOAD else self._path(choice)
        with self._fitting:
            kept = self._baselines.get(path)
            if kept is None or not kept.fitted_on:
                source = Choice(OWN) if choice.source == UPLOAD else choice
                kept = self._baselines.put(path, Baselines(self._source(source).others))
            return kept

    def forget_sources(self) -> None:
        """Read the dialogues anew: after a data set has been fetched."""
        self._sources = _Kept[Path, Source](2)
        self._baselines = _Kept[Path, Baselines](2)


def _about(choice: Choice) -> dict[str, Any]:
    if choice.source == UPLOAD:
        return {"strategy": UPLOAD}
    told = asdict(choice) | {"strategy": choice.preset, "mix": mix_shares(choice)}
    return {key: told[key] for key in ("strategy", "mix", "draws", "seed")}


def mix_shares(choice: Choice) -> dict[str, float] | None:
    if choice.preset != MIX:
        return None
    return read_mix(choice.mix) if choice.mix.strip() else DEFAULT_MIX


def _check(choice: Choice) -> None:
    """Values come from a browser, which may send anything."""
    if choice.source not in SOURCES:
        raise UsageError("Choose where the dialogues come from.")
    if choice.preset not in PRESETS:
        strategy(choice.preset)
    if not 1 <= choice.draws <= MAX_DRAWS:
        raise UsageError(f"Rejected replies a dialogue must be from 1 to {MAX_DRAWS}.")
    if not 0 <= choice.seed < 2**32:
        raise UsageError("The seed must be a whole number from 0 to 4294967295.")
