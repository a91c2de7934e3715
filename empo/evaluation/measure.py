"""Every measure that belongs to one reply, for all replies of a system: named columns of numbers.

A column is called as in the report, `group.part` or `group` ("vad.diff_max_v", "words"), has one
number an item, and nan where nothing was measured. `Meters.why` says why whole groups are missing.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np

from empo.data.dialogues import find_split, read_dialogues
from empo.data.intensity import find_intensity, read_intensity
from empo.data.recorded import Levels
from empo.data.replies import MECHANISM_KEYS
from empo.errors import DataError
from empo.evaluation.request import Item, Request
from empo.metrics import vad, vader
from empo.metrics.bertscore import Encode, bertscore, published_encoder
from empo.metrics.diff_epitome import squared_differences
from empo.metrics.distinct import repetitive
from empo.metrics.nidf import Nidf, document_frequencies
from empo.metrics.self_bleu import self_bleu
from empo.metrics.tokens import lower_tokens
from empo.metrics.words import words
from empo.scoring.scorer import Scorer, load_scorer
from empo.scoring.vad import Lexicon, read_lexicon
from empo.scoring.valence import lexicon_in
from empo.scoring.valence import vader as compound
from empo.settings import settings
from empo.types import Mechanism, Scores

Columns = dict[str, np.ndarray]
MECHANISM: dict[str, Mechanism] = {
    "ip": "interpretation",
    "ex": "exploration",
    "er": "emotional_reaction",
}
OTHER_ENCODER = "bertscore_f1_embedded"
VAD_PARTS = tuple(vad.differences((), (), lambda word: None))
INTENSITY_PARTS = tuple(vad.intensity((), (), {}))


@dataclass
class Meters:
    """The tools of one evaluation, each made when it is first needed."""

    request: Request
    why: dict[str, str] = field(default_factory=dict)

    @cached_property
    def scorer(self) -> Scorer:
        return load_scorer(lexicon=self.request.vad)

    @cached_property
    def lexicon(self) -> Lexicon | None:
        path = self.request.vad or settings().vad or lexicon_in(settings().data_dir)
        if path is None:
            self.why["vad"] = "The NRC VAD lexicon is not here: python -m empo fetch vad."
        return read_lexicon(path) if path else None

    @cached_property
    def intensities(self) -> dict[str, float] | None:
        path = self.request.intensity or find_intensity(settings().data_dir)
        if path is None:
            self.why["vad.diff_max_intensity"] = self.why["vad.known_diff_max_intensity"] = (
                "The NRC Emotion Intensity lexicon is not here: give --intensity FILE."
            )
        return read_intensity(path) if path else None

    @cached_property
    def nidf(self) -> Nidf | None:
        try:
            paths = [find_split(settings().data_dir, split) for split in ("train", "valid")]
            return Nidf(_frequencies(paths))
        except DataError as error:
            self.why["nidf"] = f"It needs EmpatheticDialogues to count words: {error}"
            return None

    @cached_property
    def encoder(self) -> tuple[str, Encode]:
        """The column's name, and what gives the vectors."""
        if _within_reach():
            try:
                return "bertscore_f1", published_encoder()
            except OSError:
                pass
        self.why["bertscore_f1"] = (
            "roberta-large is not on this machine and the Hub does not answer; the embedded "
            f"encoder's figure, not comparable with it, is {OTHER_ENCODER}."
        )
        from empo.scoring.vectors import TokenVectors

        return OTHER_ENCODER, TokenVectors()


def measure(
    meters: Meters,
    items: Sequence[Item],
    replies: Sequence[str | None],
    levels: Sequence[Levels | None] | None,
) -> Columns:
    """The columns of the replies to `items`; `levels` None: the scorer's."""
    wanted = meters.request.metrics
    columns: Columns = {}
    if {"diff_epitome", "level", "kappa"} & set(wanted):
        given = scored(meters, items, replies) if levels is None else as_array(levels)
        columns |= level_columns(given, as_array([item.human_levels for item in items]))
    heard = {r: compound(r) for r in replies if r is not None} if "vader" in wanted else {}
    simple: dict[str, Callable[[Item, str], float | None]] = {
        "vader": lambda item, reply: vader.as_published(heard[reply]),
        "vader_measured": lambda item, reply: heard[reply],
        "words": lambda item, reply: words(reply),
        "repetition": lambda item, reply: repetitive([reply]),
    }
    for name, of in simple.items():
        if name.split("_measured")[0] in wanted:
            columns[name] = _column(items, replies, of)
    if "nidf" in wanted and (nidf := meters.nidf):
        columns["nidf"] = _column(items, replies, lambda item, reply: nidf(reply))
    if "vad" in wanted:
        columns |= _vad(meters, items, replies)
    if "self_bleu_4" in wanted:
        columns["self_bleu_4"] = _self_bleu(replies)
    if "bertscore_f1" in wanted and any(item.human is not None for item in items):
        name, encode = meters.encoder
        columns[name] = _bertscore(encode, items, replies)
    return columns


def level_columns(levels: np.ndarray, human: np.ndarray) -> Columns:
    """diff-EPITOME and levels, (items, 3) each, as columns."""
    apart = squared_differences(levels, human)
    found = {"diff_epitome.mean": apart.mean(1)}
    for i, key in enumerate(MECHANISM_KEYS):
        found |= {f"diff_epitome.{key}": apart[:, i], f"level.{key}": levels[:, i]}
    return found


def as_array(levels: Sequence[Levels | None]) -> np.ndarray:
    """(items, 3) with nan for what is not known."""
    unknown = (np.nan,) * len(MECHANISM_KEYS)
    return np.array([unknown if row is None else row for row in levels], float).reshape(-1, 3)


def scored(meters: Meters, items: Sequence[Item], replies: Sequence[str | None]) -> np.ndarray:
    """(items, 3) levels that the scorer gives each reply to what was said last."""
    places = [i for i, reply in enumerate(replies) if reply]
    given = meters.scorer.score([(items[i].said, replies[i] or "") for i in places])
    found = np.full((len(items), len(MECHANISM_KEYS)), np.nan)
    for i, scores in zip(places, given, strict=True):
        found[i] = _three(scores)
    return found


def _three(scores: Scores) -> list[float]:
    found = [scores.mechanism(MECHANISM[key]) for key in MECHANISM_KEYS]
    return [np.nan if score is None else score.level for score in found]


def _column(
    items: Sequence[Item],
    replies: Sequence[str | None],
    of: Callable[[Item, str], float | None],
) -> np.ndarray:
    values = [
        None if reply is None else of(item, reply)
        for item, reply in zip(items, replies, strict=True)
    ]
    return np.array([np.nan if value is None else value for value in values], float)


def _vad(meters: Meters, items: Sequence[Item], replies: Sequence[str | None]) -> Columns:
    parts: list[tuple[tuple[str, ...], Callable[..., dict[str, float | None]]]] = []
    if lexicon := meters.lexicon:
        parts.append((VAD_PARTS, lambda a, b: vad.differences(a, b, lexicon.find)))
    if intensities := meters.intensities:
        parts.append((INTENSITY_PARTS, lambda a, b: vad.intensity(a, b, intensities)))
    found: Columns = {}
    for names, of in parts:
        rows = [
            {} if reply is None else of(lower_tokens(item.said), lower_tokens(reply))
            for item, reply in zip(items, replies, strict=True)
        ]
        for name in names:
            values = [row.get(name) for row in rows]
            found[f"vad.{name}"] = np.array([np.nan if v is None else v for v in values], float)
    return found


def _self_bleu(replies: Sequence[str | None]) -> np.ndarray:
    found = np.full(len(replies), np.nan)
    places = [i for i, reply in enumerate(replies) if reply is not None]
    scores = self_bleu([lower_tokens(replies[i] or "") for i in places])
    for i, score in zip(places, scores, strict=True):
        found[i] = np.nan if score is None else score
    return found


def _bertscore(encode: Encode, items: Sequence[Item], replies: Sequence[str | None]) -> np.ndarray:
    found = np.full(len(items), np.nan)
    places = [
        i
        for i, item in enumerate(items)
        if item.human is not None and replies[i] is not None and item.human != replies[i]
    ]
    pairs = [(replies[i] or "", items[i].human or "") for i in places]
    for i, (reply, human) in enumerate(zip(replies, (item.human for item in items), strict=True)):
        if reply is not None and reply == human:
            found[i] = 1.0
    if pairs:
        replied, human_replies = zip(*pairs, strict=True)
        found[places] = bertscore(encode, replied, human_replies)
    return found


def _within_reach() -> bool:
    """Whether roberta-large is in the Hub's cache, or the Hub answers within seconds."""
    from huggingface_hub import HfApi, try_to_load_from_cache

    from empo.metrics.bertscore import PUBLISHED

    if isinstance(try_to_load_from_cache(PUBLISHED, "config.json"), str):
        return True
    try:
        HfApi().model_info(PUBLISHED, timeout=5)
    except Exception:  # offline mode, no network, a proxy's page: many kinds, one meaning
        return False
    return True


def _frequencies(paths: Sequence[Path]) -> dict[str, int]:
    """Utterances of `paths` that have each token; kept beside all state, for it takes seconds."""
    stamp = "|".join(f"{p.name},{p.stat().st_size},{p.stat().st_mtime_ns}" for p in paths)
    name = f"nidf-{hashlib.sha256(stamp.encode()).hexdigest()[:16]}.json"
    kept = settings().home / "cache" / name
    if kept.is_file():
        try:
            return json.loads(kept.read_text("utf-8"))
        except ValueError:
            kept.unlink()
    found = document_frequencies(
        turn.text for path in paths for d in read_dialogues(path).dialogues for turn in d.turns
    )
    kept.parent.mkdir(parents=True, exist_ok=True)
    half = kept.with_name(f".{name}.part")
    half.write_text(json.dumps(found), "utf-8")
    half.replace(kept)
    return found
