"""assets/situations.yaml and its reader."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from empo.data.dialogues import load_split
from empo.data.emotions import EMOTIONS
from empo.data.situations import read_situations, situations
from empo.errors import DataError
from empo.sampling import check_message


def test_there_is_one_situation_per_emotion() -> None:
    found = [situation.emotion for situation in situations()]
    assert sorted(found) == sorted(EMOTIONS)
    assert len(found) == 32


def test_titles_fit_a_button_and_texts_are_one_or_two_sentences() -> None:
    assert len({s.title for s in situations()}) == 32
    for situation in situations():
        assert 2 <= len(situation.title.split()) <= 4, situation.title
        assert len(situation.title) <= 28, situation.title
        assert 8 <= len(situation.text.split()) <= 45, situation.title
        assert check_message(situation.text) == situation.text


def test_none_is_taken_from_empathetic_dialogues(data_folder: Path) -> None:
    """No eight words in a row of ours stand in its test or validation split."""
    ours = {run: s.title for s in situations() for run in _runs_of_eight(s.text)}
    taken = set()
    for dialogue in load_split(data_folder, "test") + load_split(data_folder, "valid"):
        for text in (dialogue.situation or "", *(turn.text for turn in dialogue.turns)):
            taken |= {ours[run] for run in ours.keys() & _runs_of_eight(text)}
    assert taken == set()


def _runs_of_eight(text: str) -> set[tuple[str, ...]]:
    words = re.findall(r"[\w']+", text.lower())
    return {tuple(words[i : i + 8]) for i in range(len(words) - 7)}


@pytest.mark.parametrize(
    "text, said",
    [
        ("", "not a list"),
        ("a: 1", "not a list"),
        ("- [", "cannot be read as YAML"),
        ("- {emotion: sad, title: T}", "entry 1 must have exactly the fields"),
        ("- {emotion: sad, title: T, text: x}\n- 3", "entry 2 must have"),
        ("- {emotion: sad, title: '', text: x}", "entry 1: field title"),
        ("- {emotion: hungry, title: T, text: x}", "“hungry” is not one of the 32"),
    ],
)
def test_a_broken_file_is_named_with_its_entry(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "own.yaml"
    path.write_text(text, "utf-8")
    with pytest.raises(DataError, match=said):
        read_situations(path)


def test_a_missing_file_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none\.yaml cannot be read"):
        read_situations(tmp_path / "none.yaml")
