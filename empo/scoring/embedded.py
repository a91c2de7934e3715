"""The embedded scorer: every live signal in one pass of a small encoder, on ONNX Runtime.

It reads the last speaker utterance and the reply; see assets/models/scorer/README.md for what it
was trained on and how good it is. A text's scores depend on nothing else in the batch.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from empo.scoring.card import ScorerError, read_card
from empo.scoring.language import is_english
from empo.scoring.packing import pack
from empo.scoring.rationale import marked, spans
from empo.scoring.scorer import Pair
from empo.scoring.sentences import owners
from empo.scoring.valence import ValenceMeter
from empo.scoring.wide import Opinion, Text, Wide, log_softmax
from empo.types import MECHANISMS, EmotionGuess, MechanismScore, Scores, Valence

if TYPE_CHECKING:
    import numpy as np
    from tokenizers import Encoding

# More at once no longer fit in a processor's cache, and take longer.
BATCH = 8
SIDE_BY_SIDE = 4
TOP = 5
# Far more than the pieces that are read; keeps a pasted book from costing anything.
MAX_CHARACTERS = 4000
SPEAKER, REPLY = 0, 1
T = TypeVar("T")
R = TypeVar("R")


class _Text(NamedTuple):
    """A text cut to what is read: ids, and the characters of its pieces without the markers.

    `pieces` are all ids without the markers, uncut, `sentences` the numbers of their sentences.
    """

    ids: list[int]
    offsets: list[tuple[int, int]]
    pieces: np.ndarray
    sentences: np.ndarray
    english: bool

    def read(self, outputs: np.ndarray) -> np.ndarray:
        """The rows of the graph's `outputs` for the pieces at `offsets`."""
        return outputs[1 : len(self.offsets) + 1]

    def with_evidence(self, outputs: np.ndarray) -> Text:
        """What the linear models read: the text beside the graph's `outputs` for it."""
        return Text(self.pieces, self.sentences, self.read(outputs))


class EmbeddedScorer:
    """The scorer in `folder` (scorer.onnx, wide.npz, tokenizer.json, scorer.json).

    Raises:
        ScorerError: a file is missing or is not what it should be; names it.
    """

    name = "embedded"

    def __init__(self, folder: Path, meter: ValenceMeter) -> None:
        self.card = read_card(folder / "scorer.json")
        self.listener = self.card.listener
        self._meter = meter
        self._tokenizer = load_tokenizer(folder / "tokenizer.json")
        self._session = load_session(folder / "scorer.onnx")
        self._wide = Wide(folder / "wide.npz")
        self._unknown = self._tokenizer.token_to_id("[UNK]")
        self._end = self._tokenizer.token_to_id("[SEP]")

    def score(self, pairs: Sequence[Pair]) -> list[Scores]:
        """See `Scorer.score`."""
        posts = self._read([context for context, _ in pairs], self.card.post)
        replies = self._read([reply for _, reply in pairs], self.card.reply)
        results: list[Scores | None] = [None] * len(pairs)
        lengths = [len(replies[r].ids) + len(posts[c].ids) for c, r in pairs]
        batches = list(_batches(lengths))

        def scored(chosen: list[int]) -> list[Scores]:
            return list(self._score([pairs[i] for i in chosen], posts, replies))

        for chosen, found in zip(batches, _side_by_side(scored, batches), strict=True):
            for i, scores in zip(chosen, found, strict=True):
                results[i] = scores
        return [scores for scores in results if scores is not None]

    def score_emotions(self, texts: Sequence[str]) -> list[tuple[EmotionGuess, ...]]:
        """See `Scorer.score_emotions`."""
        read = self._read(texts, self.card.post)
        known = list(read)
        guesses: dict[str, tuple[EmotionGuess, ...]] = {}
        for chosen in _batches([len(read[text].ids) for text in known]):
            batch = [known[i] for i in chosen]
            ids = [read[text].ids for text in batch]
            # The graph wants a pair; the first text beside itself is the cheapest.
            arrays = pack(ids, [SPEAKER] * len(ids), [(0, 0)], range(len(ids)))
            *_, emotions = self._run(arrays)
            for text, row in zip(batch, emotions, strict=True):
                guesses[text] = self._guess(row) if read[text].english else ()
        return [guesses[text] for text in texts]

    def marks(self, pairs: Sequence[Pair]) -> list[tuple[list[tuple[int, int]], np.ndarray]]:
        """For each pair, the places of the reply's pieces and (pieces, mechanisms) probabilities.

        What rationales are read from, whatever the level; for measuring them.
        """
        posts = self._read([context for context, _ in pairs], self.card.post)
        replies = self._read([reply for _, reply in pairs], self.card.reply)
        found = []
        for context, reply in pairs:
            text = replies[reply]
            arrays = pack([posts[context].ids, text.ids], [SPEAKER, REPLY], [(0, 1)], [0])
            _, rationales, evidence, _ = self._run(arrays)
            (opinion,) = self._wide([text.with_evidence(evidence[0])])
            found.append((text.offsets, self._marks(text, text.read(rationales[0]), opinion)))
        return found

    def _read(self, texts: Iterable[str], limit: int) -> dict[str, _Text]:
        """Each distinct text in pieces, cut to `limit` with its end marker kept."""
        distinct = list(dict.fromkeys(texts))
        encodings = self._tokenizer.encode_batch([text[:MAX_CHARACTERS] for text in distinct])
        return {t: self._cut(t, e, limit) for t, e in zip(distinct, encodings, strict=True)}

    def _cut(self, text: str, encoding: Encoding, limit: int) -> _Text:
        import numpy as np

        ids, offsets = encoding.ids, encoding.offsets[1:-1]
        if len(ids) > limit:
            ids, offsets = [*ids[: limit - 1], self._end], offsets[: limit - 2]
        pieces = np.array(encoding.ids[1:-1], np.int64)
        numbers = np.array(owners(text, encoding.offsets[1:-1]), np.int64)
        english = is_english(text, encoding, self._unknown)
        return _Text(ids, offsets, pieces, numbers, english)

    def _score(
        self, pairs: Sequence[Pair], posts: dict[str, _Text], replies: dict[str, _Text]
    ) -> Iterator[Scores]:
        places = {post: i for i, post in enumerate(dict.fromkeys(c for c, _ in pairs))}
        own = {reply: i for i, reply in enumerate(dict.fromkeys(r for _, r in pairs), len(places))}
        texts = [posts[c].ids for c in places] + [replies[r].ids for r in own]
        roles = [SPEAKER] * len(places) + [REPLY] * len(own)
        # A reply that several contexts share is attended from each, but encoded once.
        indices = [(places[c], own[r]) for c, r in pairs]
        arrays = pack(texts, roles, indices, range(len(places)))
        levels, rationales, evidence, emotions = self._run(arrays)
        told = self._wide([replies[r].with_evidence(evidence[n]) for n, (_, r) in enumerate(pairs)])
        felt = {c: self._guess(emotions[i]) if posts[c].english else () for c, i in places.items()}
        for n, (context, reply) in enumerate(pairs):
            text = replies[reply]
            yield Scores(
                **self._mechanisms(reply, text, levels[n], rationales[n], told[n]),
                valence=self._meter(reply) if text.english else Valence(),
                emotion=felt[context],
                out_of_scope=not text.english,
            )

    def _mechanisms(
        self,
        reply: str,
        text: _Text,
        levels: np.ndarray,
        rationales: np.ndarray,
        opinion: Opinion,
    ) -> dict[str, MechanismScore | None]:
        if not text.english:
            return dict.fromkeys(MECHANISMS)
        scores: dict[str, MechanismScore | None] = {}
        deep = log_softmax(levels)
        marks = self._marks(text, text.read(rationales), opinion)
        for i, name in enumerate(MECHANISMS):
            card = self.card.mechanisms[name]
            both = (1 - card.wide) * deep[i] + card.wide * opinion.levels[i]
            probabilities = _softmax(both / card.temperature)
            level = int(probabilities.argmax())
            found = spans(reply, text.offsets, marks[:, i], card.reading) if level else ()
            scores[name] = MechanismScore(level, tuple(map(float, probabilities)), found)
        return scores

    def _marks(self, text: _Text, rationales: np.ndarray, opinion: Opinion) -> np.ndarray:
        """Probabilities (pieces read, mechanisms) that a piece is part of the rationale."""
        weights = [self.card.mechanisms[name].sentence for name in MECHANISMS]
        return marked(rationales, opinion.sentences, text.sentences, weights)

    def _guess(self, logits: np.ndarray) -> tuple[EmotionGuess, ...]:
        probabilities = _softmax(logits / self.card.emotion_temperature)
        best = (-probabilities).argsort(kind="stable")[:TOP]
        names = self.card.emotions
        return tuple(EmotionGuess(names[i], float(probabilities[i])) for i in best)

    def _run(self, arrays: dict[str, np.ndarray]) -> list[np.ndarray]:
        try:
            return self._session.run(["levels", "rationales", "evidence", "emotions"], arrays)
        except Exception as error:
            # ONNX Runtime has no common base class of its errors.
            said = " ".join(str(error).split())[:200]
            raise ScorerError(f"The scorer could not run: {said}") from error


def _softmax(logits: np.ndarray) -> np.ndarray:
    import numpy as np

    # In float64, so that three probabilities add up to 1 to the last digits shown.
    raised = np.exp(logits.astype(np.float64) - logits.max())
    return raised / raised.sum()


def _batches(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Indices in batches of similar length."""
    order = sorted(range(len(lengths)), key=lengths.__getitem__)
    for start in range(0, len(order), BATCH):
        yield order[start : start + BATCH]


def _side_by_side(work: Callable[[T], R], parts: Sequence[T]) -> Iterable[R]:
    """`work` on each of `parts`, in order; several at a time where there are several.

    Whole batches side by side keep the processor's cores busier than one batch cut up among them.
    """
    if len(parts) < 2:
        return map(work, parts)
    with ThreadPoolExecutor(min(len(parts), os.cpu_count() or 1, SIDE_BY_SIDE)) as pool:
        return list(pool.map(work, parts))


def load_tokenizer(path: Path):
    """The tokenizer at `path`, without cutting or padding."""
    from tokenizers import Tokenizer

    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:
        # The library raises plain Exception for a missing and for a broken file.
        raise ScorerError(f"The scorer's {path.name} cannot be read: {error}.") from error
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def load_session(graph: Path | bytes, name: str = "scorer.onnx"):
    """The graph, a file or its bytes, ready to run on the processor.

    Raises:
        ScorerError: it cannot be loaded.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    # Idle threads would otherwise spin, and take the processor from the model that answers.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    try:
        given = graph if isinstance(graph, bytes) else str(graph)
        return onnxruntime.InferenceSession(given, options, ["CPUExecutionProvider"])
    except Exception as error:
        raise ScorerError(
            f"The scorer's {name} cannot be loaded: {' '.join(str(error).split())[:200]}"
        ) from error
