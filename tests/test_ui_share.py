"""Links and transcripts: what goes in comes out, and nothing that is written takes effect."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from urllib.parse import parse_qsl, urlsplit

import pytest

from empo.conversation import Answer, Conversation, Exchange, from_data, with_exchange
from empo.data.recorded import Recorded
from empo.models.stacks import load_stack
from empo.types import MechanismScore, Reply, Sampling, Scores, Turn, Valence
from empo.ui import replay
from empo.ui.share import Shared, address, link, read
from empo.ui.transcript import Facts, as_html, as_json, as_markdown, file_name
from empo.ui.view import Cast, foot, view

FACTS = Facts("nano", "assets/models/nano/base", "none", "cpu", "https://x.test/?seed=3&t=0.5")
EVIL = "<script>alert(1)</script><img src=x onerror=alert(2)> [a](javascript:alert(3)) `\"'&"


def conversation(text: str = "Oh no, I am sorry.") -> Conversation:
    reply = Reply("sft", text, 6, 0.5, 0.1, "length", dropped_turns=2)
    answer = Answer(
        "sft", "SFT", "taught by examples", "sft", text, reply, "ab12cd34", Valence(-0.2)
    )
    exchange = Exchange(1, None, text, (answer,), Sampling(seed=7), "shared", None, Valence(None))
    return Conversation((exchange,), 1)


def test_a_link_restores_everything() -> None:
    shared = Shared(
        ("dpo", "base"), Sampling(0.35, 0.8, 0, 0.0, 1.25, 99, 4294967295), "none", "ü & ?"
    )
    made = link(address("me/space", "h", "http"), shared)
    assert made.startswith("https://huggingface.co/spaces/me/space?")
    assert read(dict(parse_qsl(urlsplit(made).query)), load_stack("nano")) == shared


def test_the_address_is_the_spaces_own_or_the_machines() -> None:
    assert address(None, "localhost:7860", "http") == "http://localhost:7860/"
    assert address(None, "a.test", "https") == "https://a.test/"


@pytest.mark.parametrize(
    "query",
    [
        {"models": "nobody,,x"},
        {"t": "9", "p": "0", "r": "nan", "n": "1e3", "seed": "-1"},
        {"prompt": "secret", "say": "   "},
        {"say": "x" * 9000},
    ],
)
def test_what_is_wrong_in_a_link_is_left_out(query: dict[str, str]) -> None:
    assert read(query, load_stack("nano")) == Shared(
        ("base", "sft", "dpo"), Sampling(temperature=0.3), "none"
    )


def test_no_link_is_no_link() -> None:
    assert read({"tab": "about", "__theme": "dark"}, load_stack("nano")) is None


def test_json_holds_enough_to_reproduce() -> None:
    data = json.loads(as_json(conversation(), FACTS))
    assert from_data(data["conversation"]) == conversation()
    (turn,) = data["turns"]
    assert (turn["seed"], turn["prompt"], turn["valence"]["vader"]) == (7, "shared", None)
    (reply,) = turn["replies"]
    assert reply["adapter"] == "ab12cd34" and reply["scores"]["valence"]["vader"] == -0.2
    assert reply["system_prompt"].startswith("You are a friendly listener")
    assert (data["stack"], data["quantisation"], data["link"]) == ("nano", "none", FACTS.link)


def test_markdown_quotes_what_was_said_and_nothing_in_it_takes_effect() -> None:
    text = as_markdown(conversation(EVIL + "\n# no heading"), FACTS)
    assert "> \\# no heading" in text
    assert "\\<script\\>" in text and "\\[a\\](javascript" in text
    assert not re.search(r"(?<!\\)[<\[]", text)
    assert "valence -0.20 (VADER)" in text and "words · cut at the length limit" in text


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))


def test_the_html_page_stands_alone_and_is_inert() -> None:
    page = as_html(conversation(EVIL), FACTS, {"sft": "#E69F00"})
    tags = Tags()
    tags.feed(page)
    names = {tag for tag, _ in tags.seen}
    assert "svg" in names and not names & {"script", "img", "iframe", "link", "object"}
    attributes = {name for _, attrs in tags.seen for name in attrs}
    assert not {a for a in attributes if a.startswith("on")} and "src" not in attributes
    assert [a["href"] for t, a in tags.seen if t == "a"] == [FACTS.link]
    assert "&lt;script&gt;alert(1)" in page


def test_a_file_name_says_nothing_of_what_was_said() -> None:
    assert file_name("markdown", conversation().path()) == "empo-1-turns.md"


def test_the_foot_says_length_and_what_ended_it() -> None:
    answer = conversation().exchanges[0].answers[0]
    assert foot(answer) == "5 words · cut at the length limit · the oldest 2 turns no longer fitted"
    assert foot(replace(answer, reply=None)) == ""


ENTRY = Recorded(
    4,
    (
        Turn("user", "My cat came home."),
        Turn("assistant", "Really?"),
        Turn("user", "After a month!"),
        Turn("user", "I cried."),
    ),
    "How wonderful!",
    "joyful",
    {"sft": "I am glad.", "dpo": "What a joy that must be!"},
)


def test_a_recorded_situation_is_a_conversation_with_the_human_beside_the_models() -> None:
    first, second = replay.as_conversation(ENTRY).path()
    assert [(a.model, a.text) for a in first.answers] == [("human", "Really?")]
    assert second.message == "After a month!\nI cried."
    assert [a.model for a in second.answers] == ["human", "sft", "dpo"]
    shown = view(
        Cast(replay.STACK), ["human", "sft", "dpo"], replay.as_conversation(ENTRY), fixed=True
    )
    assert (shown["fixed"], shown["keep"]) == (True, None)
    answers = shown["turns"][1]["answers"]
    assert [a["colour"] for a in answers] == ["#8C8279", "#E69F00", "#009E73"]
    assert answers[2]["foot"] == "6 words · recorded"
    assert shown["turns"][1]["line"] == ""


def test_every_kind_of_file_carries_the_scores() -> None:
    score = MechanismScore(1, (0.2, 0.5, 0.3), ((0, 4),))
    exchange = conversation().path()[0]
    answers = tuple(
        replace(a, scores=Scores(emotional_reaction=score, valence=Valence(-0.2)))
        for a in exchange.answers
    )
    scored = with_exchange(conversation(), replace(exchange, answers=answers))
    (turn,) = json.loads(as_json(scored, FACTS))["turns"]
    found = turn["replies"][0]["scores"]
    assert found["emotional_reaction"]["probabilities"] == [0.2, 0.5, 0.3]
    assert found["interpretation"] is None and found["valence"]["vader"] == -0.2
    assert "warmth 1.1 of 2" in as_markdown(scored, FACTS)
    page = as_html(scored, FACTS, {})
    assert "warmth 1.1 of 2" in page and "How they empathise" in page
    assert "empathy not measured" in as_markdown(conversation(), FACTS)
