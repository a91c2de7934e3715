"""Scores on the page without a browser: gauges, pieces of text, the scorer's holder."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

import pytest

from empo.conversation import Answer, Conversation, Exchange, from_data, to_data
from empo.errors import DataError
from empo.scoring.card import Listener, ScorerError
from empo.scoring.scorer import Pair, Scorer, load_scorer
from empo.types import EmotionGuess, MechanismScore, Reply, Scores, Valence
from empo.ui.empathy_chart import bars, empathy_chart, last_whole
from empo.ui.live_charts import live_charts
from empo.ui.live_scorer import LiveScorer
from empo.ui.mechanisms import gauges, level_word, segments
from empo.ui.summary import sentence
from empo.ui.turns import scored
from empo.ui.wheel_chart import RADIUS, SIZE, place, stops, wheel_chart

LISTENER = Listener(
    expected={"emotional_reaction": 0.5, "interpretation": 0.4, "exploration": 0.9},
    level={"emotional_reaction": 0.5, "interpretation": 0.4, "exploration": 0.9},
    replies=100,
    source="a source <b>",
)


def at(level: float, *spans: tuple[int, int]) -> MechanismScore:
    """A score whose expected level is `level`, from the two neighbouring levels."""
    shares = [0.0, 0.0, 0.0]
    low = min(1, int(level))
    shares[low], shares[low + 1] = 1 - (level - low), level - low
    return MechanismScore(round(level), tuple(shares), spans)  # type: ignore[arg-type]


def levels(warm: float, mind: float, ask: float, emotion: str = "") -> Scores:
    guesses = (EmotionGuess(emotion, 0.6),) if emotion else ()
    return Scores(at(warm), at(mind), at(ask), Valence(0.1), guesses)


def answer(label: str, scores: Scores | None, text: str = "I am sorry. Why?") -> Answer:
    reply = Reply(label.lower(), text, 4, 1.0, 0.1, "end")
    return Answer(label.lower(), label, "", "base", text, reply, scores=scores)


def exchange(*answers: Answer, number: int = 1) -> Exchange:
    return Exchange(number, number - 1 or None, "hello", answers)


# ---- gauges and the words behind them


@pytest.mark.parametrize(
    ("expected", "word"),
    [(0, "none"), (0.49, "none"), (0.5, "weak"), (1.49, "weak"), (1.5, "strong"), (2, "strong")],
)
def test_the_nearest_level_has_a_word(expected: float, word: str) -> None:
    assert level_word(expected) == word


def test_a_gauge_shows_the_expected_level_and_tells_the_probabilities() -> None:
    scores = Scores(emotional_reaction=MechanismScore(1, (0.2, 0.5, 0.3)))
    warm, mind, _ = gauges(scores, True, LISTENER)
    assert (warm["share"], warm["tick"], warm["word"]) == (0.55, 0.25, "weak")  # 1.1 of 2
    assert (
        "emotional reactions (EPITOME): 1.1 of 2. none 20 % · weak 50 % · strong 30 %"
        in (warm["tip"])
    )
    assert "typical human listener, 0.5" in warm["tip"]
    assert (mind["share"], mind["word"]) == (None, "not measured")


def test_an_unfinished_reply_has_empty_gauges_and_no_listener_no_tick() -> None:
    found = gauges(None, False, None)
    assert [(g["share"], g["tick"], g["word"]) for g in found] == [(None, None, "")] * 3
    assert "not look English" in gauges(Scores(out_of_scope=True), True, None)[0]["tip"]


def test_a_text_falls_into_pieces_by_mechanism() -> None:
    scores = Scores(emotional_reaction=at(2, (0, 5)), exploration=at(2, (3, 9)))
    assert segments("I am sorry", scores) == [
        {"text": "I a", "why": [0]},
        {"text": "m ", "why": [0, 2]},
        {"text": "sorr", "why": [2]},
        {"text": "y", "why": []},
    ]
    assert segments("plain", None) == [{"text": "plain", "why": []}]
    assert segments("", None) == []


def test_pieces_are_the_text_whatever_the_spans() -> None:
    scores = Scores(emotional_reaction=at(2, (-5, 3), (2, 99), (7, 7), (8, 4)))
    assert "".join(piece["text"] for piece in segments("<b>hi</b>", scores)) == "<b>hi</b>"


# ---- the sentence


def test_the_sentence_names_who_is_warmer_and_asks_more() -> None:
    turn = exchange(
        answer("Base", levels(0.5, 0.2, 0.1)),
        answer("SFT", levels(0.3, 0.2, 0.0)),
        answer("DPO", levels(0.7, 0.3, 1.2)),
    )
    assert sentence(turn, LISTENER) == (
        "In this turn DPO is warmer than SFT, and DPO asks more than Base and SFT; "
        "a human listener is usually about as warm as DPO."
    )


def test_the_sentence_goes_by_the_widest_gap() -> None:
    turn = exchange(
        answer("Base", levels(1.9, 0.2, 1.5)),
        answer("SFT", levels(1.8, 0.2, 1.4)),
        answer("DPO", levels(0.2, 0.3, 0.0)),
    )
    assert sentence(turn) == "In this turn Base and SFT are warmer and ask more than DPO."


def test_different_pairs_are_told_apart() -> None:
    turn = exchange(answer("SFT", levels(1.5, 0.2, 0.1)), answer("DPO", levels(0.3, 0.2, 1.9)))
    assert sentence(turn, LISTENER) == (
        "In this turn SFT is warmer than DPO, and DPO asks more than SFT; "
        "a human listener is usually less warm than SFT."
    )


def test_small_differences_are_about_as() -> None:
    turn = exchange(answer("SFT", levels(0.5, 0.2, 0.1)), answer("DPO", levels(0.79, 0.2, 0.1)))
    assert sentence(turn, LISTENER) == (
        "The replies are about as warm, as understanding and as curious as one another."
    )


def test_one_voice_is_set_beside_a_human_listener() -> None:
    turn = exchange(answer("DPO", levels(0.5, 0.4, 1.9)))
    assert sentence(turn, LISTENER) == "A human listener usually asks less than DPO."
    assert sentence(turn) == "DPO answers alone: add a column to see what differs."


def test_one_model_twice_is_told_apart() -> None:
    turn = exchange(answer("SFT", levels(0, 0, 0)), answer("SFT", levels(0, 1, 0)))
    assert sentence(turn) == "In this turn SFT (2) shows more understanding than SFT."


def test_what_is_not_measured_is_said() -> None:
    assert "was not measured" in sentence(exchange(answer("SFT", None)))
    assert "not look English" in sentence(exchange(answer("SFT", Scores(out_of_scope=True))))
    assert sentence(exchange(replace(answer("SFT", None), reply=None))) == ""


# ---- charts


def test_bars_show_this_turn_and_the_mean_of_those_measured() -> None:
    path = [
        exchange(answer("SFT", levels(0.5, 0, 0)), number=1),
        exchange(answer("SFT", None), number=2),
        exchange(answer("SFT", levels(1.5, 0, 2)), answer("DPO", None), number=3),
    ]
    sft, dpo = bars(path, {"sft": "#E69F00"})["emotional_reaction"]
    assert (sft.score.expected, sft.mean, sft.turns) == (1.5, 1.0, 2)  # type: ignore[union-attr]
    assert (dpo.score, dpo.mean, dpo.turns) == (None, None, 0)
    chart = empathy_chart(path, {"sft": "#E69F00"}, LISTENER)
    assert chart.count("<rect") == 3  # SFT's three; DPO's are gaps
    assert chart.count('font-style="italic"') == 3 and chart.count("<circle") == 3
    # The widest bar ends where the axis says strong: 66 + 378.
    assert 'width="378.0"' in chart
    assert "a typical human listener" in chart and "a source &lt;b&gt;" in chart
    assert chart.count("typical human listener: ") == 3


def test_a_turn_that_is_being_written_does_not_move_the_chart() -> None:
    whole = exchange(answer("SFT", levels(1, 1, 1)))
    written = exchange(replace(answer("SFT", None), reply=None), number=2)
    assert last_whole([whole, written]) == 0
    assert live_charts([whole, written], {}).count("turn 1, from") == 1
    assert last_whole([written]) == -1
    assert "When the replies are whole" in empathy_chart([written], {})


def test_names_in_the_charts_are_escaped() -> None:
    hurt = answer("<img src=x>", levels(1, 0, 2))
    charts = live_charts([exchange(hurt, answer("B", levels(0, 0, 0)))], {}, LISTENER)
    assert "<img" not in charts and "&lt;img" in charts


def test_strong_emotions_lie_near_the_middle_at_their_angle() -> None:
    middle = SIZE / 2
    x, y = place("afraid")  # 0 degrees, intensity 0.70: to the right, 1 − 0.85·0.70 of the radius
    assert (x, y) == pytest.approx((middle + RADIUS * 0.405, middle))
    assert place("joyful")[1] < middle < place("sad")[1]
    terrified, apprehensive = place("terrified")[0], place("apprehensive")[0]
    assert middle < terrified < apprehensive


def test_the_wheel_follows_the_turns_with_gaps() -> None:
    feelings = ("sad", "", "afraid", "joyful")
    path = [
        exchange(answer("SFT", None), answer("DPO", levels(0, 0, 0, name)), number=n)
        for n, name in enumerate(feelings, 1)
    ]
    assert [stop.guesses[0].name if stop.guesses else "" for stop in stops(path)] == [*feelings]
    chart = wheel_chart(path)
    assert chart.count('class="step"') == 1  # only 3 to 4 follow each other
    assert chart.count('r="8"') == 1 and chart.count('r="5"') == 2
    assert chart.count("not measured</td>") == 1 and "joyful 60 %" in chart
    assert "Say something" in wheel_chart([])


# ---- measuring


class Counting:
    """A scorer that keeps what it was asked, and fails when told to."""

    name = "counting"
    listener = None

    def __init__(self, fails: bool = False) -> None:
        self.asked: list[list[Pair]] = []
        self.fails = fails

    def score(self, pairs: Sequence[Pair]) -> list[Scores]:
        self.asked.append(list(pairs))
        if self.fails:
            raise RuntimeError("broken")
        return [Scores(valence=Valence(0.25)) for _ in pairs]

    def score_emotions(self, texts: Sequence[str]) -> list[tuple[EmotionGuess, ...]]:
        return [() for _ in texts]


def live(scorer: Scorer) -> LiveScorer:
    found = LiveScorer(lambda: scorer)
    found.load_here()
    return found


def test_a_turn_is_scored_in_one_batch_and_only_once() -> None:
    scorer = Counting()
    empty = answer("C", None, text=" ")
    talk = Conversation((exchange(answer("A", None), answer("B", None, "Oh."), empty),), 1)
    done = scored(talk, live(scorer))
    assert scorer.asked == [[("hello", "I am sorry. Why?"), ("hello", "Oh.")]]
    assert done.path()[0].answers[0].valence == Valence(0.25)
    assert [a.scores is None for a in done.path()[0].answers] == [False, False, True]
    assert scored(done, live(scorer)) == done and len(scorer.asked) == 1


def test_a_scorer_that_fails_or_is_absent_leaves_the_reply() -> None:
    talk = Conversation((exchange(answer("A", None)),), 1)
    assert scored(talk, live(Counting(fails=True))) == talk
    assert scored(talk, LiveScorer()) == talk

    def broken() -> Scorer:
        raise ScorerError("The scorer's scorer.onnx cannot be loaded.")

    absent = LiveScorer(broken)
    absent.load_here()
    assert scored(talk, absent) == talk and LiveScorer().listener is None


def test_the_embedded_scorer_measures_and_its_scores_survive_the_browser() -> None:
    talk = Conversation((exchange(answer("A", None, "I am so sorry. How did it happen?")),), 1)
    found = LiveScorer(load_scorer)
    found.load_here()
    done = scored(talk, found)
    scores = done.path()[0].answers[0].scores
    assert scores is not None and scores.exploration is not None
    assert scores.exploration.level == 2 and len(scores.emotion) == 5
    assert from_data(json.loads(json.dumps(to_data(done)))) == done


@pytest.mark.parametrize(
    "forged",
    [
        levels(1, 1, 1, "nobody"),
        Scores(exploration=MechanismScore(1, (float("nan"), 0.5, 0.5))),
        Scores(exploration=MechanismScore(1, (7.0, 0.5, 0.5))),
        Scores(exploration=at(1, (0, 10**6))),
        Scores(emotion=(EmotionGuess("sad", -1.0),)),
    ],
)
def test_forged_scores_are_refused(forged: Scores) -> None:
    talk = Conversation((exchange(answer("A", forged)),), 1)
    with pytest.raises(DataError, match="damaged"):
        from_data(to_data(talk))
