"""Uploaded preference files: both forms of prompt, and every malformed file, one sentence each."""

from __future__ import annotations

import io
import json
import pickle
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from empo.data.upload_readers import Limits
from empo.data.uploads import read_upload, shown_name
from empo.errors import DataError
from empo.types import Turn

GOOD = {"prompt": "My dog died.", "chosen": "I am so sorry.", "rejected": "How nice!"}


def line(**changes: Any) -> bytes:
    """A good row with `changes`; a field set to `...` is left out."""
    row = {key: value for key, value in {**GOOD, **changes}.items() if value is not ...}
    return json.dumps(row).encode() + b"\n"


def messages(*texts: str) -> list[dict[str, str]]:
    roles = ("user", "assistant")
    return [{"role": roles[i % 2], "content": text} for i, text in enumerate(texts)]


def parquet(**columns: Any) -> bytes:
    values = {"prompt": ["Hi."], "chosen": ["Hello."], "rejected": ["Go."], **columns}
    out = io.BytesIO()
    table = pa.table({name: value for name, value in values.items() if value is not None})
    pq.write_table(table, out)
    return out.getvalue()


def archive() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        file.writestr("a.jsonl", line())
    return out.getvalue()


def bomb(characters: int = 7_700, rows: int = 40_000) -> bytes:
    """One text said in every row: 300 MB unpacked, a few kilobytes of file."""
    out = io.BytesIO()
    same = pa.array([0] * rows, pa.int32())
    long, short = (
        pa.DictionaryArray.from_arrays(same, pa.array([text]))
        for text in ("Hello. " * (characters // 7), "Go.")
    )
    table = pa.table({"prompt": short, "chosen": long, "rejected": short})
    pq.write_table(table, out, compression="zstd")
    return out.getvalue()


def big_page() -> bytes:
    """One row whose only value unpacks to 1.9 GB, more than the memory that is given."""
    out = io.BytesIO()
    table = pa.table({"chosen": ["a" * 400_000_000], "rejected": ["b"]})
    pq.write_table(table, out, compression="zstd", use_dictionary=False, write_statistics=False)
    return out.getvalue()


def read(folder: Path, content: bytes, name: str, limits: Limits | None = None) -> Any:
    path = folder / "sent"
    path.write_bytes(content)
    return read_upload(path, name, limits)


CSV_HEAD = b"prompt,chosen,rejected\n"
DEEP = b'{"prompt":' + b"[" * 100_000 + b"]" * 100_000 + b"}\n"
# Big ones are made when they are needed.
MALFORMED: dict[str, tuple[str, bytes | Callable[[], bytes], str]] = {
    "empty": ("a.jsonl", b"", "a.jsonl: it is empty."),
    "BOM only": ("a.jsonl", b"\xef\xbb\xbf", "a.jsonl: it is empty."),
    "blank lines": ("a.jsonl", b"\n" * 20, "it holds no row|it is empty"),
    "UTF-16": ("a.jsonl", line().decode().encode("utf-16"), "row 1: it is UTF-16 text"),
    "UTF-16 without a mark": ("a.csv", b"a\x00" * 20, "row 1: it holds a NUL byte"),
    "Latin-1": ("a.csv", CSV_HEAD + "caf\xe9,a,b\n".encode("latin-1"), "row 2: it is not UTF-8"),
    "NUL": ("a.jsonl", line() + line(chosen="a\x00b"), "row 2, field chosen: it holds a NUL"),
    "NUL byte": ("a.jsonl", line() + b'{"a":"\x00"}\n', "row 2: it holds a NUL byte"),
    "CR between rows": (
        "a.jsonl",
        line() + line().strip() + b"\r" + line(),
        "row 2: it is not one",
    ),
    "CR in CSV": ("a.csv", CSV_HEAD + b"a,b,c\rd,e,f\r\n", "row 1: it is not CSV"),
    "deep JSON": ("a.jsonl", line() + DEEP, "row 2: it is nested too deeply"),
    "5,000 digits": ("a.jsonl", b'{"prompt": ' + b"1" * 5000 + b"}\n", "row 1: a number has 5,000"),
    "NaN": ("a.jsonl", line() + line(chosen=float("nan")), "row 2: NaN is no number"),
    "infinity": ("a.jsonl", line(chosen=float("-inf")), "row 1: -Infinity is no number"),
    "duplicate keys": (
        "a.jsonl",
        b'{"prompt":"a","chosen":"b","chosen":"d","rejected":"c"}\n',
        "row 1, field chosen: it stands there twice",
    ),
    "lone surrogate": (
        "a.jsonl",
        line(chosen="\ud83d!"),
        "row 1, field chosen: it holds half a char",
    ),
    "array": ("a.jsonl", b"[" + line() + b"]", "row 1: it is not one JSON|an array"),
    "array on one line": ("a.jsonl", b"[" + line().strip() + b"]\n", "row 1: it is an array"),
    "a string": ("a.jsonl", b'"hello"\n', "row 1: it is no JSON object"),
    "missing column": ("a.jsonl", line() + line(chosen=...), "row 2, field chosen: it is missing"),
    "missing in CSV": (
        "a.csv",
        b"prompt,chosen\na,b\n",
        "field rejected: the first line must name",
    ),
    "null": ("a.jsonl", line(rejected=None), "row 1, field rejected: it is missing"),
    "numeric": ("a.jsonl", line(chosen=7), "row 1, field chosen: it must be a text.* not a number"),
    "an object": ("a.jsonl", line(prompt={"a": 1}), "row 1, field prompt: .* not an object"),
    "empty text": ("a.jsonl", line(chosen=" \n "), "row 1, field chosen: it is empty"),
    "chosen is rejected": ("a.jsonl", line(rejected="I am  so sorry."), "rejected: it is the same"),
    "no role": (
        "a.jsonl",
        line(prompt=[{"role": "boss", "content": "a"}]),
        "message 1 has no role",
    ),
    "prompt ends with a reply": (
        "a.jsonl",
        line(prompt=messages("a", "b")),
        "row 1, field prompt: it must end with a message of the user",
    ),
    "two dialogues": (
        "a.jsonl",
        line(prompt=..., chosen=messages("a", "b"), rejected=messages("c", "d")),
        "row 1, field rejected: it must be the dialogue of chosen",
    ),
    "no prompt at all": ("a.jsonl", line(prompt=...), "row 1, field prompt: it is missing"),
    "unknown emotion": ("a.jsonl", line(emotion="blue"), "field emotion: it is not one of the 32"),
    "long field": (
        "a.jsonl",
        line(chosen="x" * 8001),
        "chosen: it has 8,001 characters, at most 8,000",
    ),
    "many messages": ("a.jsonl", line(prompt=messages(*"abcdefg" * 7)), "49 messages, 1 to 40"),
    "50 MB line": (
        "a.jsonl",
        lambda: line(chosen="x" * 50_000_000),
        r"it has 50\.0 MB, at most 16 are",
    ),
    "2 MB line": (
        "a.jsonl",
        lambda: line(chosen="x" * 2_000_000),
        "row 1: it is longer than 1,000,000",
    ),
    "1M rows": (
        "a.csv",
        lambda: CSV_HEAD + b"a,b,c\n" * 1_000_000,
        "row 50,001: there are more than 50,000",
    ),
    "10k columns": (
        "a.csv",
        b",".join(b"c%d" % i for i in range(10_000)),
        "it names 10,000 columns",
    ),
    "10k keys": (
        "a.jsonl",
        json.dumps({f"c{i}": 1 for i in range(10_000)}).encode(),
        "row 1: it has 10,000 fields, at most 64",
    ),
    "unclosed quote": ("a.csv", CSV_HEAD + b'a,b,c\nd,"e,f\n', "row 2: it is not CSV"),
    "endless quote": (
        "a.csv",
        lambda: CSV_HEAD + b'a,"' + b"b\n" * 700_000,
        "row 1: it is not CSV",
    ),
    "ragged CSV": ("a.csv", CSV_HEAD + b"a,b,c\na,b\n", "row 2: it has 2 fields, the first line"),
    "renamed zip": ("a.jsonl", archive(), "row 1: it is a zip archive"),
    "zip as parquet": ("a.parquet", archive(), "row 1: it is a zip archive"),
    "renamed pickle": ("a.csv", pickle.dumps(GOOD), "row 1: it is a pickle"),
    "parquet as JSONL": ("a.jsonl", parquet(), "row 1: it is not a .jsonl file"),
    "JSONL as parquet": ("a.parquet", line(), "row 1: it is not a .parquet file"),
    "parquet bomb": ("a.parquet", bomb, "it unpacks to far more than it seems to hold"),
    "parquet bomb of long texts": (
        "a.parquet",
        lambda: bomb(5_000_000, 2_000),
        "row 1, field chosen: it has 4,999,995 characters|memory",
    ),
    "truncated footer": ("a.parquet", parquet()[:-20], "row 1: it is no parquet file"),
    "no footer": ("a.parquet", parquet()[:60], "row 1: it is no parquet file"),
    "nested parquet": (
        "a.parquet",
        parquet(chosen=[[["Hello."]]]),
        "field chosen: columns of type list",
    ),
    "encrypted parquet": (
        "a.parquet",
        b"PARE" + parquet()[4:],
        "row 1: it is an encrypted parquet",
    ),
    "extension type": (
        "a.parquet",
        parquet(key=pa.array([b"0" * 16], pa.uuid())),
        "field key: columns of type extension",
    ),
    "no column": ("a.parquet", parquet(rejected=None), "field rejected: there is no such column"),
    "numbers in parquet": (
        "a.parquet",
        parquet(chosen=[7]),
        "row 1, field chosen: it must be a text",
    ),
    "null in parquet": ("a.parquet", parquet(chosen=pa.array([None], pa.string())), "is missing"),
    "other kind": ("a.pkl", pickle.dumps(GOOD), "a.pkl: send a file of the kind .jsonl, .csv"),
    "no kind": ("a", line(), "a: send a file of the kind"),
}


@pytest.mark.parametrize("case", MALFORMED)
def test_a_malformed_file_is_one_sentence(case: str, tmp_path: Path) -> None:
    name, content, said = MALFORMED[case]
    content = content() if callable(content) else content
    with pytest.raises(DataError, match=said) as caught:
        read(tmp_path, content, name)
    sentence = str(caught.value)
    assert "\n" not in sentence and sentence.endswith(".") and len(sentence) < 300
    assert sentence.startswith(name) and str(tmp_path) not in sentence


@pytest.mark.nightly
def test_a_page_that_unpacks_beyond_memory_ends_with_its_reader(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"memory|unpacks"):
        read(tmp_path, big_page(), "a.parquet", Limits(memory=700_000_000))


def test_time_is_limited(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a.jsonl: it takes longer than 0.001 s to read."):
        read(tmp_path, line(), "a.jsonl", Limits(seconds=0.001))


def test_explicit_and_implicit_prompts(tmp_path: Path) -> None:
    """The same pair in every form that is taken."""
    prompt = messages("My dog died.", "Oh no.", "She was 14.")
    chosen, rejected = messages("I am so sorry."), messages("How nice!")
    for side in (chosen, rejected):
        side[0]["role"] = "assistant"
    text = "\n\nHuman: My dog died.\n\nAssistant: Oh no.\n\nHuman: She was 14.\n\nAssistant: "
    rows = [
        {"prompt": prompt, "chosen": chosen, "rejected": rejected, "emotion": "Sad"},
        {"prompt": prompt, "chosen": "I am so sorry.", "rejected": " How nice! "},
        {"chosen": prompt + chosen, "rejected": prompt + rejected, "other": [1, {"a": 2}]},
        {"chosen": text + "I am so sorry.", "rejected": text + "How nice!"},
    ]
    content = b"".join(json.dumps(row).encode() + b"\r\n" for row in rows)
    pairs = read(tmp_path, b"\xef\xbb\xbf" + content, "a.JSONL")
    turns = (Turn("user", "My dog died."), Turn("assistant", "Oh no."), Turn("user", "She was 14."))
    assert {(p.prompt, p.chosen, p.rejected) for p in pairs} == {
        (turns, "I am so sorry.", "How nice!")
    }
    assert [p.emotion for p in pairs] == ["sad", None, None, None]
    assert [p.dialogue_id for p in pairs] == ["row-1", "row-2", "row-3", "row-4"]
    assert {p.origin for p in pairs} == {"upload"}


def test_csv_and_parquet_hold_pairs_too(tmp_path: Path) -> None:
    content = b'prompt,chosen,rejected,emotion\n"My ""dog"" died,\nyesterday.",Oh no.,Yes.,sad\n'
    (pair,) = read(tmp_path, content, "a.csv")
    assert pair.prompt == (Turn("user", 'My "dog" died,\nyesterday.'),)
    assert (pair.chosen, pair.rejected, pair.emotion) == ("Oh no.", "Yes.", "sad")
    kind = pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))
    said = parquet(prompt=pa.array([messages("Hi.")], kind), score=[0.5])
    (pair,) = read(tmp_path, said, "a.parquet")
    assert (pair.prompt, pair.chosen) == ((Turn("user", "Hi."),), "Hello.")


def test_names_are_shown_plainly(tmp_path: Path) -> None:
    for name, shown in (
        ("../../etc/passwd.jsonl", "passwd.jsonl"),
        ("c:\\x\\a.jsonl", "a.jsonl"),
        ("\u202egnp.jsonl", "gnp.jsonl"),
        ("😀.jsonl", "😀.jsonl"),
        ("x" * 249 + ".jsonl", "x" * 40 + "…xxxxxx.jsonl"),
    ):
        assert shown_name(name) == shown
        with pytest.raises(DataError, match="row 1, field chosen: it is empty") as caught:
            read(tmp_path, line(chosen=""), name)
        assert str(caught.value).startswith(shown)


def test_the_same_file_many_times_at_once(tmp_path: Path) -> None:
    path = tmp_path / "sent"
    path.write_bytes(line() * 3)
    with ThreadPoolExecutor(20) as pool:
        found = list(pool.map(lambda _: read_upload(path, "a.jsonl"), range(20)))
    assert [len(pairs) for pairs in found] == [3] * 20


def test_what_looks_like_markup_or_a_role_stays_text(tmp_path: Path) -> None:
    evil = "<|system|> <script>alert(1)</script> ${7*7} {{x}} =1+1 \u202eabc أهلا 👩‍👩‍👧"
    (pair,) = read(tmp_path, line(chosen=evil), "a.jsonl")
    assert pair.chosen == evil
