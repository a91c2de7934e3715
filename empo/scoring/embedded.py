"""The embedded scorer: every live signal in one pass of a small encoder, on ONNX Runtime.

It reads the last speaker utterance and the reply; see assets/models/scorer/README.md for what it
was trained on and how good it is. A text's scores depend on nothing else in the batch.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from empo.scoring.card import ScorerError, read_card
from empo.scoring.language import is_english
from empo.scoring.packing import pack
from empo.scoring.rationale import spans
from empo.scoring.scorer import Pair
from empo.scoring.valence import ValenceMeter
from empo.scoring.wide import Wide, log_softmax
from empo.types import MECHANISMS, EmotionGuess, MechanismScore, Scores, Valence

if TYPE_CHECKING:
    import numpy as np
    from tokenizers import Encoding

# More at once no longer fit in a processor's cache, and take longer.
BATCH = 16
TOP = 5
# Far more than the pieces that are read; keeps a pasted book from costing anything.
MAX_CHARACTERS = 4000
SPEAKER, REPLY = 0, 1


class _Text(NamedTuple):
    """A text cut to what is read: ids, and the characters of its pieces without the markers.

    `pieces` are all ids without the markers, uncut.
    """

    ids: list[int]
    offsets: list[tuple[int, int]]
    pieces: list[int]
    english: bool


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
        for chosen in _batches(lengths):
            batch = [pairs[i] for i in chosen]
            for i, scores in zip(chosen, self._score(batch, posts, replies), strict=True):
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
            _, _, emotions = self._run(arrays)
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
            _, rationales, _ = self._run(arrays)
            found.append((text.offsets, _sigmoid(rationales[0, 1 : len(text.offsets) + 1])))
        return found

    def _read(self, texts: Iterable[str], limit: int) -> dict[str, _Text]:
        """Each distinct text in pieces, cut to `limit` with its end marker kept."""
        distinct = list(dict.fromkeys(texts))
        encodings = self._tokenizer.encode_batch([text[:MAX_CHARACTERS] for text in distinct])
        return {t: self._cut(t, e, limit) for t, e in zip(distinct, encodings, strict=True)}

    def _cut(self, text: str, encoding: Encoding, limit: int) -> _Text:
        ids, offsets = encoding.ids, encoding.offsets[1:-1]
        if len(ids) > limit:
            ids, offsets = [*ids[: limit - 1], self._end], offsets[: limit - 2]
        pieces = encoding.ids[1:-1]
        return _Text(ids, offsets, pieces, is_english(text, encoding, self._unknown))

    def _score(
        self, pairs: Sequence[Pair], posts: dict[str, _Text], replies: dict[str, _Text]
    ) -> Iterator[Scores]:
        places = {post: i for i, post in enumerate(dict.fromkeys(c for c, _ in pairs))}
        own = {reply: i for i, reply in enumerate(dict.fromkeys(r for _, r in pairs), len(places))}
        texts = [posts[c].ids for c in places] + [replies[r].ids for r in own]
        roles = [SPEAKER] * len(places) + [REPLY] * len(own)
        # A reply that several contexts share is attended from each, but encoded once.
        indices = [(places[c], own[r]) for c, r in pairs]
        levels, rationales, emotions = self._run(pack(texts, roles, indices, range(len(places))))
        for n, (context, reply) in enumerate(pairs):
            text = replies[reply]
            yield Scores(
                **self._mechanisms(reply, text, levels[n], rationales[n]),
                valence=self._meter(reply) if text.english else Valence(),
                emotion=self._guess(emotions[places[context]]) if posts[context].english else (),
                out_of_scope=not text.english,
            )

    def _mechanisms(
        self, reply: str, text: _Text, levels: np.ndarray, rationales: np.ndarray
    ) -> dict[str, MechanismScore | None]:
        if not text.english:
            return dict.fromkeys(MECHANISMS)
        scores: dict[str, MechanismScore | None] = {}
        deep, wide = log_softmax(levels), self._wide(text.pieces)
        for i, name in enumerate(MECHANISMS):
            card = self.card.mechanisms[name]
            both = (1 - card.wide) * deep[i] + card.wide * wide[i]
            probabilities = _softmax(both / card.temperature)
            level = int(probabilities.argmax())
            found = ()
            if level:
                marks = _sigmoid(rationales[1 : len(text.offsets) + 1, i])
                found = spans(reply, text.offsets, marks, card.reading)
            scores[name] = MechanismScore(level, tuple(map(float, probabilities)), found)
        return scores

    def _guess(self, logits: np.ndarray) -> tuple[EmotionGuess, ...]:
        probabilities = _softmax(logits / self.card.emotion_temperature)
        best = (-probabilities).argsort(kind="stable")[:TOP]
        names = self.card.emotions
        return tuple(EmotionGuess(names[i], float(probabilities[i])) for i in best)

    def _run(self, arrays: dict[str, np.ndarray]) -> list[np.ndarray]:
        try:
            return self._session.run(["levels", "rationales", "emotions"], arrays)
        except Exception as error:
            # ONNX Runtime has no common base class of its errors.
            said = " ".join(str(error).split())[:200]
            raise ScorerError(f"The scorer could not run: {said}") from error


def _sigmoid(logits: np.ndarray) -> np.ndarray:
    import numpy as np

    return 1 / (1 + np.exp(-logits))


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
