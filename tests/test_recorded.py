"""The reader of the paper's files, on hand-made files and on the released one."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import pytest

from empo.data.recorded import find_files, join, parse_prompt, read_replies, recorded, search
from empo.errors import DataError
from empo.types import Turn

HEAD = "~chat_templates~gen_targets~emotions~gens\n"
PROMPT = "<|system|>\nBe kind.</s>\n<|user|>\nMy dog\ndied.</s>\n<|assistant|>\n"


def a_file(folder: Path, name: str, *rows: str, head: str = HEAD) -> Path:
    path = folder / name
    path.write_text(head + "".join(f"{r}\n" for r in rows), "utf-8")
    return path


def test_a_rendered_prompt_is_taken_apart() -> None:
    longer = PROMPT.replace("<|assistant|>\n", "<|assistant|>\nOh no.</s>\n<|user|>\nYes </s>\n")
    assert parse_prompt(longer + "<|assistant|>\n") == (
        "Be kind.",
        (Turn("user", "My dog\ndied."), Turn("assistant", "Oh no."), Turn("user", "Yes")),
    )
    assert parse_prompt("<|user|>\nHi</s>\n<|assistant|>\n") == (None, (Turn("user", "Hi"),))
    assert parse_prompt("nothing of the kind") == (None, ())


def test_two_systems_are_joined_by_dialogue_and_human_reply(tmp_path: Path) -> None:
    other = PROMPT.replace("Be kind.", "Be short.").replace("dog", "cat")
    a_file(
        tmp_path,
        "recorded_replies_sft_124.csv",
        f'0~"{PROMPT}"~Sorry!~sad~That hurts.',
        f'1~"{other}"~Poor you.~sad~Oh.',
    )
    short = PROMPT.replace("Be kind.", "Be short.")
    with gzip.open(tmp_path / "recorded_replies_dpo_d270.csv.gz", "wt", encoding="utf-8") as file:
        file.write(HEAD + f'0~"{short}"~Sorry!~sad~I feel for you.\n')
    assert list(find_files(tmp_path)) == ["sft", "dpo"]
    alone = tmp_path / "recorded_replies_dpo_d270.csv.gz"
    assert find_files(alone) == {"dpo": alone}
    published = tmp_path / "preds_dlrxxx30x_zephyr-7b-sft-full_epi.txt"
    published.touch()
    assert list(find_files(tmp_path)) == ["base-short", "sft", "dpo"]
    published.unlink()
    assert find_files(tmp_path / "absent.csv") == {}
    first, second = recorded(tmp_path)
    assert first.replies == {"sft": "That hurts.", "dpo": "I feel for you."}
    assert (first.human, first.emotion, second.replies) == ("Sorry!", "sad", {"sft": "Oh."})


def test_the_same_dialogue_twice_is_joined_in_order(tmp_path: Path) -> None:
    rows = [f'{n}~"{PROMPT}"~Sorry!~sad~{text}' for n, text in enumerate(("one", "two"))]
    same = read_replies(a_file(tmp_path, "a.csv", *rows))
    assert [e.replies for e in join({"x": same, "y": same})] == [
        {"x": "one", "y": "one"},
        {"x": "two", "y": "two"},
    ]


@pytest.mark.parametrize(
    ("row", "head", "words"),
    [
        (f'0~"{PROMPT}"~Sorry!~sad~x', "~chat_templates~gen_targets~emotions\n", "column gens"),
        (f'0~"{PROMPT}"~Sorry!~hungry~x', HEAD, "row 1: “hungry”"),
        (f'0~"{PROMPT}"~Sorry!', HEAD, "row 1: column emotions"),
        ('0~"<|assistant|>\nhi"~Sorry!~sad~x', HEAD, "row 1: chat_templates"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, row: str, head: str, words: str) -> None:
    with pytest.raises(DataError, match=words):
        read_replies(a_file(tmp_path, "bad.csv", row, head=head))


def test_a_broken_archive_is_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "recorded_replies_dpo_d270.csv.gz"
    path.write_bytes(gzip.compress(b"~chat")[:-6])
    with pytest.raises(DataError, match=r"recorded_replies_dpo_d270\.csv\.gz cannot be read"):
        read_replies(path)


def test_the_released_file(data_file: Callable[[str], Path]) -> None:
    rows = read_replies(data_file("recorded_replies_dpo_d270.csv.gz"))
    assert len(rows) == 2540
    assert len({row.emotion for row in rows}) == 32
    assert all(row.turns[0].role == "user" == row.turns[-1].role for row in rows)
    assert all(row.text and row.human and row.system for row in rows)
    assert rows[1].turns[1] == Turn("assistant", "Wow that must have been a surprise for you")
    assert rows[1].text == "That's so sweet of him"
    # White-space words per reply, as recomputed from the released file by others: 12.74, 12.90.
    assert round(sum(len(r.text.split()) for r in rows) / 2540, 2) == 12.74
    assert round(sum(len(r.human.split()) for r in rows) / 2540, 2) == 12.90
    entries = join({"dpo": rows})
    assert len(entries) == 2540
    found = search(entries, "surprised", "chocolates husband")
    assert [e.human for e in found] == ["you got a great husband"]
    assert search(entries, "sad", "chocolates from my husband") == ()
