"""Votes to files and back, on both databases: the same rows, inert cells, and what is refused."""

from __future__ import annotations

import csv
import json
import unicodedata
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sqlalchemy import select

from empo.arena.files import KINDS, inert, read_rows, write_votes
from empo.arena.records import COLUMNS, Added
from empo.arena.schema import WORDS
from empo.arena.store import Store
from empo.cli import main
from empo.errors import DataError, UsageError
from empo.leaderboard import ratings_report, read_votes
from empo.settings import settings
from empo.types import Ballot, Rating, Round, Seat, Transcript, Turn
from tests.battles import BASE, DPO, LIVE, RECORDED, SFT, cast, ready, said

# What people and models may write, and what a store or a file may choke on.
TEXTS = {
    "arabic and hebrew": "مات كلبي أمس، and then עצוב מאוד, mixed 123",
    "bidi overrides": "abc\u202e\u2066fed\u2069\u202c\u200f end",
    "emoji joined": "👩‍👩‍👧‍👦 🧑🏽‍🚀 🏳️‍🌈 ❤️‍🩹",
    "combining marks": "e" + "\u0301" * 10_000,
    "zero width": "a\u200bb\u200cc\u200dd\ufeffe\u2060f",
    "controls": "\x00\x01\x07\x08\x0b\x1b[31mred\x1b[0m\x7f\x85\x9f",
    "line ends": "a\r\nb\rc\nd\u2028e\u2029f\x0cg",
    "special tokens": "<|user|> <|assistant|>\n<s></s>[INST]<<SYS>><|im_start|><|endoftext|>[PAD]",
    "html": "<script>alert(1)</script><img src=x onerror=alert(1)>&amp;&#x3c;",
    "markdown and latex": "**b** [x](javascript:alert(1)) $$\\frac{1}{2}$$ \\input{/etc/passwd}",
    "formula": '=HYPERLINK("http://x","y")',
    "formula after a tab": "\t=1+1",
    "quotes": "it's \"quoted\", 'twice', ''=1",
    "sql": "'); DROP TABLE votes; --",
    "astral": "𝔘𝔫𝔦𝔠𝔬𝔡𝔢 \U0010ffff \ufffe",
    "not normalised": unicodedata.normalize("NFD", "Ångström ﬁ ½"),
    "blank": " \t ",
    "long": "x" * 29_990,
}


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    found = Store(database_url)
    yield found
    found.close()


@pytest.fixture
def new_store(memory_path: Path) -> Iterator[Callable[[], Store]]:
    made: list[Store] = []

    def make() -> Store:
        made.append(Store(f"sqlite:///{memory_path / f'new{len(made)}.sqlite3'}"))
        return made[-1]

    yield make
    for store in made:
        store.close()


def filled(store: Store) -> list[dict]:
    """Votes of every kind; their rows."""
    cast(store, "a", "anon:1", reason="=1+1")
    cast(store, "tie", "signed:2", seats=(Seat("sft", "new"), DPO))
    cast(store, "both_bad", "anon:1", RECORDED, (BASE, SFT), "s1", reason="'quoted")
    cast(store, "b", transcript=said("I want to die"))
    cast(store, "b", transcript=said(a="I am ChatGPT"))
    gone = cast(store, "a", transcript=said("canary"))
    store.erase(gone.id, "anon:1")
    withdrawn = cast(store, "a", "anon:9")
    store.withdraw(withdrawn.id, "anon:9")
    ready(store, "anon:8")
    _battle, token = store.open_battle("anon:3", LIVE, (BASE, SFT), emotion=None)
    talk = Transcript((*said().rounds, Round("x", "y", "z")), (Turn("user", "before"),))
    store.finish(token, "anon:3", talk)
    store.vote(token, "anon:3", Ballot("a", Rating(0, 50, 100, None, False), Rating(7)))
    return list(store.rows())


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_file_gives_the_same_rows(
    store: Store, new_store: Callable[[], Store], memory_path: Path, kind: str
) -> None:
    rows = filled(store)
    assert len(rows) == 7 and list(rows[0]) == list(COLUMNS)
    path, again = memory_path / f"votes{kind}", memory_path / f"again{kind}"
    assert write_votes(path, rows) == 7
    other = new_store()
    assert other.add_rows(read_rows(path), path.name) == Added(7, 0, 0)
    assert list(other.rows()) == rows
    write_votes(again, other.rows())
    assert again.read_bytes() == path.read_bytes()
    assert other.add_rows(read_rows(path), path.name) == Added(0, 7, 0)
    assert len(other.votes()) == len(store.votes()) == 6
    assert other.votes(LIVE).models == store.votes(LIVE).models
    assert other.pair_counts(LIVE) == store.pair_counts(LIVE)


def test_any_text_is_kept_and_comes_back_as_it_was(
    store: Store, new_store: Callable[[], Store], memory_path: Path
) -> None:
    for i, words in enumerate(TEXTS.values()):
        transcript = said(f"m{words}", words, f"{words} ")
        cast(store, "ab"[i % 2], f"anon:{i % 5}", transcript=transcript, reason=words[:500])
    rows = list(store.rows())
    for row, (name, words) in zip(rows, TEXTS.items(), strict=True):
        assert row["rounds"] == [{"message": f"m{words}", "a": words, "b": f"{words} "}], name
        assert row["reason"] == words[:500].strip(), name
    counts = ratings_report(store.votes(LIVE))
    for kind in KINDS:
        path = memory_path / f"votes{kind}"
        assert write_votes(path, rows) == len(TEXTS)
        other = new_store()
        other.add_rows(read_rows(path), path.name)
        assert list(other.rows()) == rows, kind
        assert ratings_report(other.votes(LIVE)) == counts
        assert other.stats() == store.stats()


def test_a_lone_surrogate_is_no_text_and_is_replaced_on_entry(store: Store) -> None:
    cast(store, transcript=said("a\ud800b", "\udfff", "c"), reason="\udc00")
    (row,) = store.rows()
    assert row["rounds"] == [{"message": "a\ufffdb", "a": "\ufffd", "b": "c"}]
    assert row["reason"] == "\ufffd"


FORMULAS = ("=", "+", "-", "@", "\t", "\r", "\n", "\0", "＝", "＋", "－", "＠")


def test_no_cell_of_a_csv_is_a_formula(store: Store, memory_path: Path) -> None:
    for start in FORMULAS:
        cell = f"{start}cmd|' /C calc'!A0"
        name = "n" if start == "\0" else cell  # names come from no person, and have no NUL
        _, token = store.open_battle("anon:1", LIVE, (Seat(name), Seat("b", name)), name, name)
        store.finish(token, "anon:1", said(cell, cell, cell))
        store.vote(token, "anon:1", Ballot("a", reason=cell))
    path = memory_path / "votes.csv"
    write_votes(path, store.rows())
    with path.open(encoding="utf-8", newline="") as file:
        cells = [cell for row in csv.reader(file) for cell in row]
    assert not [cell for cell in cells if cell.startswith(FORMULAS)]
    assert len([cell for cell in cells if cell.startswith("'")]) >= 4 * 11
    assert [row for _, row in read_rows(path)] == list(store.rows())


@pytest.mark.parametrize("cell", ["", "plain", "a=b", "'", "''=1", "'=1", "=1", "1-1"])
def test_inert_cells_can_be_taken_back(cell: str) -> None:
    shown = inert(cell)
    assert shown == cell or shown == f"'{cell}"
    assert (shown[1:] if shown.startswith("'") else shown) == cell


def test_what_was_withdrawn_or_erased_here_does_not_come_back(
    store: Store, memory_path: Path
) -> None:
    kept, gone = cast(store, transcript=said("canary")), cast(store, voter="anon:2")
    path = memory_path / "votes.jsonl"
    write_votes(path, store.rows())
    store.erase(kept.id, "anon:1")
    store.withdraw(gone.id, "anon:2")
    assert store.add_rows(read_rows(path), path.name) == Added(0, 1, 1)
    assert [row["rounds"] for row in store.rows()] == [[]]
    with store.database.read() as connection:
        assert connection.execute(select(WORDS)).all() == []


def test_exports_of_two_servers_come_together(
    new_store: Callable[[], Store], memory_path: Path
) -> None:
    for name in ("one", "two"):
        store = new_store()
        cast(store), cast(store, "b")
        write_votes(memory_path / f"{name}.jsonl", store.rows())
    both = new_store()
    for name in ("one", "two"):
        path = memory_path / f"{name}.jsonl"
        assert both.add_rows(read_rows(path), path.name).new == 2
    assert both.pools() == {LIVE: 4}


def test_a_long_file_is_read_in_parts(new_store: Callable[[], Store], memory_path: Path) -> None:
    store = new_store()
    cast(store)
    (row,) = store.rows()
    rows = [row | {"battle": f"b{i}", "voter": f"anon:{i % 7}"} for i in range(1201)]
    path = memory_path / "votes.parquet"
    write_votes(path, [*rows, rows[3]])
    assert store.add_rows(read_rows(path), path.name) == Added(1201, 1, 0)
    assert [r["battle"] for r in store.rows()][1:] == [r["battle"] for r in rows]


# Files that are none.


def good_row(memory_path: Path) -> dict:
    store = Store(f"sqlite:///{memory_path / 'good.sqlite3'}")
    cast(store)
    row = next(store.rows())
    store.close()
    return row | {"battle": "from-outside"}


WRONG = [
    ({"outcome": "c"}, "outcome"),
    ({"voter": ""}, "voter"),
    ({"model_b": "base", "revision_b": ""}, "cannot meet itself"),
    ({"length_a": -1}, "length_a"),
    ({"length_a": 2**40}, "length_a"),
    ({"scores_a": {"x": "NaN"}}, "scores_a.x"),
    ({"scores_a": []}, "scores_a"),
    ({"ratings": {"c": {}}}, "ratings"),
    ({"ratings": {"a": {"natural": 101}}}, "natural"),
    ({"flags": "a  b"}, "flags"),
    ({"at": "yesterday"}, "at"),
    ({"at": "2026-01-01T00:00:00"}, "at"),
    ({"pool": "another"}, "do not fit together"),
    ({"conditions": None}, "conditions"),
    ({"conditions": {"stack": "nano"}}, "conditions"),
    ({"reason": "x" * 501}, "500"),
    ({"rounds": [{"message": "m"}]}, "rounds.0"),
    ({"rounds": [{"message": "m", "a": "x" * 30_001, "b": ""}]}, "30,001"),
    ({"context": [{"role": "boss", "text": "x"}]}, "context.0.role"),
    ({"more": 1}, "more"),
]


@pytest.mark.parametrize(
    "change, why", WRONG, ids=[f"{why}-{i}" for i, (_, why) in enumerate(WRONG)]
)
def test_a_row_that_is_no_vote_is_named_and_nothing_is_added(
    memory_path: Path, change: dict, why: str
) -> None:
    row = good_row(memory_path)
    path = memory_path / "votes.jsonl"
    path.write_text(json.dumps(row) + "\n" + json.dumps(row | {"battle": "2"} | change) + "\n")
    store = Store(f"sqlite:///{memory_path / 'v.sqlite3'}")
    with pytest.raises(DataError, match=f"votes.jsonl, row 2.*{why}"):
        store.add_rows(read_rows(path), path.name)
    assert list(store.rows()) == []
    store.close()


def test_two_votes_of_one_battle_are_refused(memory_path: Path) -> None:
    row = good_row(memory_path)
    store = Store(f"sqlite:///{memory_path / 'v.sqlite3'}")
    with pytest.raises(DataError, match=r"row 2.*another vote here"):
        store.add_rows(iter([(1, row), (2, row | {"outcome": "b"})]), "x")
    assert store.add_rows(iter([(1, row), (2, row)]), "x") == Added(1, 1, 0)
    store.close()


@pytest.mark.parametrize(
    "name, content, why",
    [
        ("v.jsonl", b"{}\nnonsense\n", "row 2: not JSON"),
        ("v.jsonl", b'{"a": NaN}\n', "row 1: not JSON"),
        ("v.jsonl", b'{"a": "\\ud800"}\n', "row 1: not JSON"),
        ("v.jsonl", b"[" * 100_000, "row 1: not JSON"),
        ("v.jsonl", b'"' + b"x" * 16_000_001 + b'"', "longer than"),
        ("v.jsonl.gz", b"not zipped", "cannot be read"),
        ("v.csv", b"a,b\n1,2\n", "other columns"),
        ("v.csv", b"", "other columns"),
        ("v.csv", ",".join(COLUMNS).encode() + b"\n1,2\n", "row 1: 2 cells"),
        ("v.csv", ",".join(COLUMNS).encode() + b'\n"1', "cannot be read"),
        ("v.csv", b"\xff\xfe", "cannot be read"),
        ("v.parquet", b"PAR1", "cannot be read"),
        ("v.parquet", b"PK\x03\x04" * 50, "cannot be read"),
    ],
)
def test_a_file_that_is_none_is_said(
    memory_path: Path, name: str, content: bytes, why: str
) -> None:
    path = memory_path / name
    path.write_bytes(content)
    with pytest.raises(DataError, match=why):
        list(read_rows(path))


def test_parquet_of_other_types_is_said(memory_path: Path) -> None:
    path = memory_path / "v.parquet"
    pq.write_table(pa.table({name: [1] for name in COLUMNS}), path)
    with pytest.raises(DataError, match="row 1: battle has to be a text"):
        list(read_rows(path))


@pytest.mark.parametrize("name", ["votes.txt", "votes", "votes.json"])
def test_a_kind_that_is_none_is_said(memory_path: Path, name: str) -> None:
    for act in (lambda p: list(read_rows(p)), lambda p: write_votes(p, [])):
        with pytest.raises(UsageError, match=r"\.jsonl, \.jsonl\.gz, \.csv, \.parquet"):
            act(memory_path / name)


def test_a_file_is_there_whole_or_not_at_all(memory_path: Path) -> None:
    def rows() -> Iterator[dict]:
        yield good_row(memory_path)
        raise RuntimeError("halfway")

    path = memory_path / "out" / "votes.csv"
    path.parent.mkdir()
    path.write_text("old")
    with pytest.raises(RuntimeError):
        write_votes(path, rows())
    assert path.read_text() == "old" and list(path.parent.iterdir()) == [path]
    with pytest.raises(DataError, match="cannot be written"):
        write_votes(memory_path / "none" / "votes.csv", [])


# The ratings of an exported file, and the command.


def test_ratings_of_an_exported_file_leave_out_what_was_not_blind(
    store: Store, memory_path: Path
) -> None:
    filled(store)
    path = memory_path / "votes.jsonl"
    write_votes(path, store.rows(LIVE))
    assert len(read_votes(path)) == len(store.votes(LIVE)) == 5
    assert ratings_report(read_votes(path)) == ratings_report(store.votes(LIVE))


@pytest.fixture
def home(memory_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EMPO_HOME", str(memory_path / "home"))
    settings.cache_clear()
    return memory_path


def test_the_command(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["votes", "stats"]) == 0
    assert capsys.readouterr().out == "Nobody has voted yet.\n"
    store = Store(settings().votes_url)
    for i in range(30):
        cast(store, "ab"[i % 2], f"anon:{i % 3}")
        cast(store, "a", "anon:left")
    cast(store, pool=RECORDED, item="s1")
    pool = next(row["pool"] for row in store.stats())
    store.close()
    path = home / "votes.csv"
    assert main(["votes", "export", str(path)]) == 0
    assert "61 votes written" in capsys.readouterr().err
    assert main(["votes", "export", str(home / "live.jsonl"), "--pool", pool]) == 0
    assert "60 votes written" in capsys.readouterr().err
    assert main(["votes", "import", str(path), str(home / "live.jsonl")]) == 0
    said = capsys.readouterr().err
    assert "votes.csv: 0 votes added, 61 were here already" in said
    assert main(["votes", "stats", "--json"]) == 0
    live, recorded = json.loads(capsys.readouterr().out)["pools"]
    assert (live["votes"], live["voters"], recorded["votes"]) == (60, 4, 1)
    assert main(["votes", "stats"]) == 0
    assert pool in capsys.readouterr().out


def test_the_owner_erases_words_by_the_battle_s_name(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = Store(settings().votes_url)
    gone, stays = cast(store), cast(store, voter="anon:2", transcript=said("A good day."))
    assert main(["votes", "erase", gone.id]) == 0
    assert "the words of 1 battles were erased" in capsys.readouterr().err
    assert {row["battle"]: row["erased"] for row in store.rows()} == {
        gone.id: True,
        stays.id: False,
    }
    assert len(store.votes()) == 2
    store.close()
    assert main(["votes", "erase", "no such battle"]) == 1
    assert capsys.readouterr().err.count("\n") == 1


def test_the_command_says_what_is_wrong(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["votes", "import", str(home / "none.csv")]) == 2
    assert "There is no file" in capsys.readouterr().err
    assert main(["votes", "export", str(home / "v.jsonl"), "--pool", "x"]) == 2
    assert "there are: none yet" in capsys.readouterr().err
