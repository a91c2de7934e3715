"""What looks English to the scorer's own tokenizer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from tokenizers import Tokenizer

from empo.data.dialogues import read_dialogues
from empo.scoring.language import is_english
from empo.scoring.scorer import EMBEDDED


@pytest.fixture(scope="module")
def judge() -> Callable[[str], bool]:
    tokenizer = Tokenizer.from_file(str(EMBEDDED / "tokenizer.json"))
    unknown = tokenizer.token_to_id("[UNK]")
    return lambda text: is_english(text, tokenizer.encode(text), unknown)


@pytest.mark.parametrize(
    "text",
    [
        "Meine Katze ist gestern gestorben und ich bin sehr traurig.",
        "Mi perro murió ayer y estoy muy triste.",
        "Wczoraj zmarł mój pies i jest mi bardzo smutno",
        "Моя собака умерла вчера",
        "我的狗昨天死了",
        "كلبي مات أمس",
    ],
)
def test_other_languages_are_not(judge: Callable[[str], bool], text: str) -> None:
    assert not judge(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "...",
        "🙂🙂",
        "haha",
        "Congratz!!! so happpy 4 u",
        "lol omg ttyl",
        "I got the job at Kaufland in Düsseldorf!",
        "<img src=x onerror=alert(1)> I am sorry",
    ],
)
def test_short_slangy_or_wordless_texts_are_let_through(
    judge: Callable[[str], bool], text: str
) -> None:
    assert judge(text)


def test_hardly_any_utterance_of_real_dialogue_is_turned_away(
    judge: Callable[[str], bool], data_file: Callable[[str], Path]
) -> None:
    dialogues = read_dialogues(data_file("ed_valid.jsonl.gz")).dialogues[:1500]
    texts = [turn.text for dialogue in dialogues for turn in dialogue.turns]
    refused = [text for text in texts if not judge(text)]
    assert len(refused) / len(texts) < 0.001, refused
