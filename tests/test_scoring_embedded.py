"""The shipped scorer itself: shapes, independence of the batch, limits, speed of loading."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from empo.scoring.card import ScorerError
from empo.scoring.embedded import EmbeddedScorer
from empo.scoring.scorer import EMBEDDED, load_scorer
from empo.scoring.valence import ValenceMeter
from empo.types import MECHANISMS, Scores

ROOT = Path(__file__).resolve().parent.parent
MEGABYTES = 12
SAD = "My dog died last week and I can't stop crying."
GLAD = "I finally got the job I always wanted!"
PAIRS = [
    (SAD, "I'm so sorry for your loss. I know how much it hurts to lose a friend like that."),
    (SAD, "What happened? How old was he?"),
    (SAD, "Ok."),
    (GLAD, "Congratulations! You must be so proud of yourself. What will you be doing?"),
    (GLAD, "Ok."),
    (GLAD, " ".join(["I am so happy for you, and I hope that it will be all you want."] * 20)),
]


@pytest.fixture(scope="module")
def scorer() -> EmbeddedScorer:
    return load_scorer()


def close(a: Scores, b: Scores) -> bool:
    """Equal but for the last digits."""
    for name in MECHANISMS:
        x, y = a.mechanism(name), b.mechanism(name)
        if x.probabilities != pytest.approx(y.probabilities, abs=1e-5):
            return False
        if (x.level, x.rationale) != (y.level, y.rationale):
            return False
    names = [g.name for g in a.emotion] == [g.name for g in b.emotion]
    return names and a.valence == b.valence


def test_every_score_has_its_shape(scorer: EmbeddedScorer) -> None:
    for (_, reply), scores in zip(PAIRS, scorer.score(PAIRS), strict=True):
        for name in MECHANISMS:
            score = scores.mechanism(name)
            assert sum(score.probabilities) == pytest.approx(1)
            assert score.level == max(range(3), key=score.probabilities.__getitem__)
            assert score.level or not score.rationale
            assert 0 <= score.expected <= 2
            ends = [end for span in score.rationale for end in span]
            assert ends == sorted(ends)
            assert all(0 <= end <= len(reply) for end in ends)
        assert len(scores.emotion) == 5
        chances = [guess.probability for guess in scores.emotion]
        assert chances == sorted(chances, reverse=True)
        assert {guess.name for guess in scores.emotion} <= set(scorer.card.emotions)
    assert scorer.score([]) == []
    assert scorer.score_emotions([]) == []


def test_it_tells_warm_from_curious_from_cold(scorer: EmbeddedScorer) -> None:
    warm, curious, cold = scorer.score(PAIRS[:3])
    assert warm.emotional_reaction.level > cold.emotional_reaction.level == 0
    assert curious.exploration.level == 2 > cold.exploration.level
    assert curious.emotional_reaction.level == 0
    reply = PAIRS[0][1]
    assert "sorry" in " ".join(reply[a:b] for a, b in warm.emotional_reaction.rationale)
    assert "sad" in [guess.name for guess in warm.emotion]
    assert {"joyful", "excited", "proud"} & {g.name for g in scorer.score_emotions([GLAD])[0]}


def test_a_batch_agrees_with_one_at_a_time_in_any_order(scorer: EmbeddedScorer) -> None:
    together = scorer.score(PAIRS)
    assert all(close(a, scorer.score([pair])[0]) for pair, a in zip(PAIRS, together, strict=True))
    assert all(map(close, together, reversed(scorer.score(PAIRS[::-1]))))
    many = scorer.score(PAIRS * 30)
    assert all(close(many[i], together[i % len(PAIRS)]) for i in range(len(many)))


def test_emotions_alone_are_those_beside_a_reply(scorer: EmbeddedScorer) -> None:
    alone = scorer.score_emotions([SAD, GLAD, SAD])
    beside = [scores.emotion for scores in scorer.score([PAIRS[0], PAIRS[3], PAIRS[1]])]
    for a, b in zip(alone, beside, strict=True):
        assert [g.name for g in a] == [g.name for g in b]
        assert [g.probability for g in a] == pytest.approx([g.probability for g in b], abs=1e-5)


@pytest.mark.parametrize(
    "reply",
    [
        "",
        "?",
        "🙂🙂",
        "<script>alert(1)</script><img src=x onerror=alert(1)> I am so sorry",
        "so sorry " * 20000,
        "a\u0301\u0301\u0301 \u202eyrros os ma I\u202c \u200d\u200d",
        "[SEP] [CLS] [UNK] I am so sorry",
    ],
)
def test_odd_texts_are_scored_and_spans_stay_inside(scorer: EmbeddedScorer, reply: str) -> None:
    (scores,) = scorer.score([(reply, reply)])
    for name in MECHANISMS:
        if (score := scores.mechanism(name)) is not None:
            assert all(0 <= a < b <= len(reply) for a, b in score.rationale)


def test_what_is_not_english_is_not_measured(scorer: EmbeddedScorer) -> None:
    foreign = "Meine Katze ist gestern gestorben und ich bin sehr traurig."
    sure, not_sure = scorer.score([(foreign, "I am so sorry."), (SAD, foreign)])
    assert sure.emotional_reaction is not None
    assert sure.emotion == ()
    assert not sure.out_of_scope
    assert not_sure.out_of_scope
    assert [not_sure.mechanism(name) for name in MECHANISMS] == [None] * 3
    assert not_sure.valence.vader is None
    assert len(not_sure.emotion) == 5
    assert scorer.score_emotions([foreign]) == [()]


def test_threads_may_share_it(scorer: EmbeddedScorer) -> None:
    expected = scorer.score(PAIRS)
    with ThreadPoolExecutor(4) as pool:
        for found in pool.map(lambda _: scorer.score(PAIRS), range(8)):
            assert all(map(close, found, expected))


def test_the_typical_listener_is_known_with_its_source(scorer: EmbeddedScorer) -> None:
    listener = scorer.listener
    assert listener.replies > 5000
    assert "validation" in listener.source
    assert all(0 < listener.expected[name] < 2 for name in MECHANISMS)


def test_it_is_small_and_loads_fast_without_torch() -> None:
    assert sum(path.stat().st_size for path in EMBEDDED.iterdir()) <= MEGABYTES * 1e6
    times = []
    for _ in range(3):
        # The processor's time: what else runs on the machine is not counted.
        start = time.process_time()
        EmbeddedScorer(EMBEDDED, ValenceMeter())
        times.append(time.process_time() - start)
    assert min(times) < 1
    code = (
        "import sys; from empo.scoring.scorer import load_scorer; "
        "load_scorer().score([('I am sad', 'So sorry')]); "
        "print(sorted({'torch', 'transformers', 'onnx'} & set(sys.modules)))"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert run.stdout.strip() == "[]"


def test_a_missing_or_damaged_file_is_named(tmp_path: Path) -> None:
    names = ("scorer.json", "tokenizer.json", "scorer.onnx", "wide.npz")
    for name in names:
        with pytest.raises(ScorerError, match=name):
            EmbeddedScorer(tmp_path, ValenceMeter())
        content = (EMBEDDED / name).read_bytes()
        (tmp_path / name).write_bytes(content[: len(content) // 2])
        with pytest.raises(ScorerError, match=name):
            EmbeddedScorer(tmp_path, ValenceMeter())
        (tmp_path / name).write_bytes(content)
    EmbeddedScorer(tmp_path, ValenceMeter())


def test_a_card_with_an_unknown_field_or_without_a_mechanism_is_refused(tmp_path: Path) -> None:
    card = json.loads((EMBEDDED / "scorer.json").read_text())
    (tmp_path / "scorer.json").write_text(json.dumps({**card, "colour": "red"}))
    with pytest.raises(ScorerError, match="colour"):
        EmbeddedScorer(tmp_path, ValenceMeter())
    del card["mechanisms"]["exploration"]
    (tmp_path / "scorer.json").write_text(json.dumps(card))
    with pytest.raises(ScorerError, match="exploration"):
        EmbeddedScorer(tmp_path, ValenceMeter())
