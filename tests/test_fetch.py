"""empo/hub: sources, downloads (resumed, checked), archives; a real server on loopback."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
import threading
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from empo.cli import main
from empo.data.dialogues import load_split
from empo.errors import FetchError, UsageError
from empo.hub.download import ATTEMPTS, download
from empo.hub.fetch import LEDGER, fetch
from empo.hub.sources import SOURCES, Remote, Source, source
from empo.hub.unpack import unpack
from empo.settings import settings

BODY = bytes(range(256)) * 2000  # 512,000 bytes
SHA = hashlib.sha256(BODY).hexdigest()


@dataclass
class Server:
    """Serves `files` by base name with Range; `cut` closes each connection after so many bytes."""

    files: dict[str, bytes] = field(default_factory=dict)
    cut: list[int] = field(default_factory=list)
    ranges: bool = True
    status: int | None = None
    asked: list[str] = field(default_factory=list)
    url: str = ""

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        wanted = request.headers.get("Range", "")
        self.asked.append(wanted)
        body = self.files.get(request.path.rsplit("/", 1)[1])
        if self.status or body is None:
            request.send_error(self.status or 404)
            return
        start = int(wanted[6:-1]) if wanted and self.ranges else 0
        if start and start >= len(body):
            request.send_response(416)
            request.send_header("Content-Range", f"bytes */{len(body)}")
            request.send_header("Content-Length", "0")
            request.end_headers()
            return
        request.send_response(206 if start else 200)
        if start:
            request.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        request.send_header("Content-Length", str(len(body) - start))
        request.end_headers()
        request.wfile.write(body[start : start + self.cut.pop(0)] if self.cut else body[start:])
        request.close_connection = True


@pytest.fixture
def server() -> Iterator[Server]:
    state = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            state.answer(self)

        def log_message(self, *args: object) -> None:
            """Quiet."""

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=http.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    state.url = f"http://127.0.0.1:{http.server_port}"
    yield state
    http.shutdown()
    http.server_close()
    thread.join()


def test_a_file_comes_whole_with_progress(server: Server, tmp_path: Path) -> None:
    server.files["a.bin"] = BODY
    seen: list[tuple[str, int, int | None]] = []
    target = tmp_path / "deep" / "a.bin"
    found = download(f"{server.url}/a.bin", target, SHA, lambda *step: seen.append(step))
    assert found == SHA
    assert target.read_bytes() == BODY
    assert seen[-1] == ("a.bin", len(BODY), len(BODY))
    assert [step[1] for step in seen] == sorted(step[1] for step in seen)
    assert [path.name for path in target.parent.iterdir()] == ["a.bin"]


def test_a_connection_that_breaks_is_taken_up_where_it_broke(
    server: Server, tmp_path: Path
) -> None:
    server.files["a.bin"] = BODY
    server.cut = [100_000, 50_000]
    download(f"{server.url}/a.bin", tmp_path / "a.bin", SHA, pause=0)
    assert (tmp_path / "a.bin").read_bytes() == BODY
    assert server.asked == ["", "bytes=100000-", "bytes=150000-"]


def test_one_that_keeps_breaking_goes_on_with_the_next_call(server: Server, tmp_path: Path) -> None:
    server.files["a.bin"] = BODY
    server.cut = [1000] * ATTEMPTS
    with pytest.raises(FetchError, match=r"broke off after 4,000 bytes; run the same command"):
        download(f"{server.url}/a.bin", tmp_path / "a.bin", SHA, pause=0)
    assert not (tmp_path / "a.bin").exists()
    assert (tmp_path / "a.bin.part").read_bytes() == BODY[:4000]
    download(f"{server.url}/a.bin", tmp_path / "a.bin", SHA, pause=0)
    assert server.asked[-1] == "bytes=4000-"
    assert (tmp_path / "a.bin").read_bytes() == BODY


def test_a_server_without_ranges_is_read_from_the_start(server: Server, tmp_path: Path) -> None:
    server.files["a.bin"] = BODY
    server.ranges = False
    (tmp_path / "a.bin.part").write_bytes(b"something else")
    download(f"{server.url}/a.bin", tmp_path / "a.bin", SHA)
    assert (tmp_path / "a.bin").read_bytes() == BODY


@pytest.mark.parametrize("extra", [b"", b"too long"])
def test_a_part_that_is_complete_or_too_long(server: Server, tmp_path: Path, extra: bytes) -> None:
    server.files["a.bin"] = BODY
    (tmp_path / "a.bin.part").write_bytes(BODY + extra)
    download(f"{server.url}/a.bin", tmp_path / "a.bin", SHA, pause=0)
    assert (tmp_path / "a.bin").read_bytes() == BODY


def test_a_wrong_checksum_removes_the_file(server: Server, tmp_path: Path) -> None:
    server.files["a.bin"] = BODY + b"!"
    with pytest.raises(FetchError, match=r"not the file that was expected .* removed"):
        download(f"{server.url}/a.bin", tmp_path / "a.bin", SHA)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "status, said", [(404, "no file at"), (503, "not able to answer"), (403, "refuses")]
)
def test_what_the_server_says_is_one_sentence(
    server: Server, tmp_path: Path, status: int, said: str
) -> None:
    server.status = status
    with pytest.raises(FetchError, match=said) as error:
        download(f"{server.url}/a.bin", tmp_path / "a.bin", SHA, pause=0)
    assert "\n" not in str(error.value)
    assert len(server.asked) == 1


def test_no_network(tmp_path: Path, server: Server) -> None:
    free = "http://127.0.0.1:9"  # the discard port: nothing listens
    with pytest.raises(FetchError, match=r"cannot be reached .*: check the network"):
        download(f"{free}/a.bin", tmp_path / "a.bin", SHA, pause=0)
    with pytest.raises(FetchError, match="not an address"):
        download("carrier-pigeon://x/a.bin", tmp_path / "a.bin", SHA, pause=0)


def test_a_full_disk(server: Server, tmp_path: Path) -> None:
    server.files["a.bin"] = BODY
    (tmp_path / "a.bin.part").symlink_to("/dev/full")
    with pytest.raises(FetchError, match=r"no room for a\.bin\.part .* free some space"):
        download(f"{server.url}/a.bin", tmp_path / "a.bin", SHA)


def test_a_folder_that_cannot_be_written(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(FetchError, match=r"cannot be written .* EMPO_DATA"):
        download(f"{server.url}/a.bin", tmp_path / "file" / "a.bin", SHA)


# --- archives ---------------------------------------------------------------------------------


def tarball(*members: tuple[str, bytes], links: tuple[tuple[str, str], ...] = ()) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, target in links:
            info = tarfile.TarInfo(name)
            info.type, info.linkname = tarfile.SYMTYPE, target
            tar.addfile(info)
        for name, body in members:
            info = tarfile.TarInfo(name)
            info.size = len(body)
            tar.addfile(info, io.BytesIO(body))
    return buffer.getvalue()


def zipped(*members: tuple[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, body in members:
            archive.writestr(name, body)
    return buffer.getvalue()


@pytest.mark.parametrize("pack", [tarball, zipped])
def test_only_the_wanted_members_are_written(tmp_path: Path, pack: Callable[..., bytes]) -> None:
    archive = tmp_path / "archive"
    archive.write_bytes(pack(("top/a.csv", b"A"), ("top/._a.csv", b"no"), ("top/b.csv", b"B")))
    unpack(archive, {"a.csv": tmp_path / "out" / "a.csv"})
    assert (tmp_path / "out" / "a.csv").read_bytes() == b"A"
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["a.csv"]


@pytest.mark.parametrize(
    "body, said",
    [
        (tarball(("../a.csv", b"A")), "leads out of it"),
        (tarball(("/etc/a.csv", b"A")), "leads out of it"),
        (tarball(("a.csv", b"A"), links=(("x", "/etc/passwd"),)), "a link or a device"),
        (zipped(("../a.csv", b"A")), "leads out of it"),
        (zipped(("..\\a.csv", b"A")), "leads out of it"),
        (zipped(("b.csv", b"A")), r"does not hold a\.csv"),
        (b"", "not a whole archive"),
        (b"PK but no zip", "not a whole archive"),
        (tarball(("a.csv", BODY))[:-400], "not a whole archive"),
    ],
)
def test_a_bad_archive_is_refused_and_leaves_nothing(
    tmp_path: Path, body: bytes, said: str
) -> None:
    archive = tmp_path / "archive"
    archive.write_bytes(body)
    with pytest.raises(FetchError, match=said):
        unpack(archive, {"a.csv": tmp_path / "a.csv"})
    assert [path.name for path in tmp_path.iterdir()] == ["archive"]


def test_a_bomb_is_refused_by_its_size(tmp_path: Path) -> None:
    info = tarfile.TarInfo("a.csv")
    info.size = 1 << 40
    (tmp_path / "archive").write_bytes(info.tobuf() + bytes(1024))
    with pytest.raises(FetchError, match=r"1,099,511,627,776 bytes"):
        unpack(tmp_path / "archive", {"a.csv": tmp_path / "a.csv"})


# --- whole data sets --------------------------------------------------------------------------

HEAD = "conv_id,utterance_idx,context,prompt,speaker_idx,utterance,selfeval,tags\n"
CSV = HEAD + "c1,1,sad,I lost_comma_ again,0,Hello_comma_ you,5|5|5,\nc1,2,sad,x,1,Oh no,5|5|5,\n"


def pinned(source: Source, server: Server) -> Source:
    """`source` with the checksums of what the server holds."""
    files = tuple(
        replace(f, sha256=hashlib.sha256(server.files[f.url.rsplit("/", 1)[1]]).hexdigest())
        for f in source.files
    )
    return replace(source, files=files)


def test_the_dialogues_arrive_where_they_are_found(server: Server, tmp_path: Path) -> None:
    members = [(f"empatheticdialogues/{s}.csv", CSV.encode()) for s in ("train", "valid", "test")]
    server.files["empatheticdialogues.tar.gz"] = tarball(*members)
    ed = pinned(SOURCES["ed"], server)
    done = fetch(ed, tmp_path, server.url)
    assert not done.already
    for split in ("train", "valid", "test"):
        (dialogue,) = load_split(tmp_path, split)
        assert dialogue.turns[0].text == "Hello, you"
    assert {p.name for p in tmp_path.rglob("*") if p.is_file()} == {
        *("train.csv", "valid.csv", "test.csv", LEDGER)
    }
    asked = len(server.asked)
    assert fetch(ed, tmp_path, server.url).already
    assert len(server.asked) == asked, "nothing is downloaded twice"
    done.paths[0].write_text("damaged")
    assert not fetch(ed, tmp_path, server.url).already
    assert load_split(tmp_path, "train")


def test_several_files_and_only_what_is_missing(server: Server, tmp_path: Path) -> None:
    for remote in SOURCES["epitome"].files:
        server.files[remote.url.rsplit("/", 1)[1]] = remote.saved_as.encode()
    epitome = pinned(SOURCES["epitome"], server)
    gone = server.files.pop("interpretations-reddit.csv")
    with pytest.raises(FetchError, match=r"no file at .*/interpretations-reddit\.csv"):
        fetch(epitome, tmp_path, server.url)
    server.files["interpretations-reddit.csv"] = gone
    server.asked.clear()
    paths = fetch(epitome, tmp_path, server.url).paths
    assert len(server.asked) == 1
    assert [str(p.relative_to(tmp_path)) for p in paths] == [f.saved_as for f in epitome.files]


def test_a_file_without_a_checksum_is_recorded_and_compared(server: Server, tmp_path: Path) -> None:
    name = "NRC-VAD-Lexicon.zip"
    server.files[name] = zipped(("NRC-VAD-Lexicon/NRC-VAD-Lexicon.txt", b"happy\t1\t.7\t.7\n"))
    vad = SOURCES["vad"]
    (path,) = fetch(vad, tmp_path, server.url).paths
    assert path == tmp_path / "nrc_vad_lexicon.txt"
    ledger = json.loads((tmp_path / LEDGER).read_text())
    assert ledger["vad"]["downloads"] == {name: hashlib.sha256(server.files[name]).hexdigest()}
    path.unlink()
    server.files[name] = zipped(("NRC-VAD-Lexicon.txt", b"happy\t0\t0\t0\n"))
    with pytest.raises(FetchError, match=r"changed since it was first fetched.*fetched\.json"):
        fetch(vad, tmp_path, server.url)
    assert not path.exists()


def test_the_command_shows_the_terms_fetches_and_prints_the_paths(
    server: Server,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("EMPO_DATA", str(tmp_path))
    settings.cache_clear()
    server.files["NRC-VAD-Lexicon.zip"] = zipped(("NRC-VAD-Lexicon.txt", b"happy\t1\t.7\t.7\n"))
    for heading in ("Fetched:", "Already here:"):
        assert main(["fetch", "vad", "--accept", "--base-url", server.url]) == 0
        shown = capsys.readouterr()
        assert shown.out == f"{tmp_path / 'nrc_vad_lexicon.txt'}\n"
        assert "no redistribution" in shown.err and heading in shown.err
    assert len(server.asked) == 1


def test_an_archive_that_is_none_is_removed(server: Server, tmp_path: Path) -> None:
    server.files["NRC-VAD-Lexicon.zip"] = b"<html>please accept the terms</html>"
    with pytest.raises(FetchError, match="not a whole archive"):
        fetch(SOURCES["vad"], tmp_path, server.url)
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_ledger_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / LEDGER).write_text("[1")
    with pytest.raises(FetchError, match=r"fetched\.json is damaged: delete it"):
        fetch(SOURCES["vad"], tmp_path, "http://127.0.0.1:9")


def test_every_source_states_its_terms_and_is_pinned() -> None:
    assert list(SOURCES) == ["ed", "epitome", "replies", "vad"]
    for name, known in SOURCES.items():
        assert known.name == name
        assert "Licence" in known.terms
        assert bool(known.archive) == bool(known.members)
        for remote in known.files:
            assert isinstance(remote, Remote)
            assert remote.url.startswith("https://")
            assert name == "vad" or len(remote.sha256 or "") == 64
    with pytest.raises(UsageError, match="choose ed, epitome, replies, vad"):
        source("reddit")


def test_the_recorded_replies_are_those_at_hand(data_file: Callable[[str], Path]) -> None:
    """The address's checksum is that of the text that the data folder holds gzipped."""
    import gzip

    body = gzip.decompress(data_file("recorded_replies_dpo_d270.csv.gz").read_bytes())
    (remote,) = [f for f in SOURCES["replies"].files if f.saved_as.endswith("dpo_d270.csv")]
    assert hashlib.sha256(body).hexdigest() == remote.sha256
