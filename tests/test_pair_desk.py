"""Step 1 of the Train tab without a browser: sets, filters, cards, uploads, who may fetch."""

from __future__ import annotations

import http.server
import io
import json
import tarfile
import threading
from collections.abc import Iterator
from functools import partial
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest
from starlette.requests import Request

from empo.data.strategies import PRESETS
from empo.errors import DataError, UsageError
from empo.hub.sources import SOURCES, Remote
from empo.settings import Settings
from empo.types import PreferencePair, Turn
from empo.ui.owner import PLACE, Gate
from empo.ui.pair_card import card, wheel
from empo.ui.pair_desk import ED, OWN, Choice, Filter, PairDesk
from empo.ui.train_events import TrainEvents, chosen, wanted
from empo.ui.train_tab import TrainTab

EVIL = "<img src=x onerror=alert(1)>"


def unmeasured(pairs: Any) -> list[None]:
    return [None] * len(pairs)


@pytest.fixture
def desk(no_data: Path) -> PairDesk:
    return PairDesk(no_data, unmeasured)


@pytest.fixture
def events(desk: PairDesk) -> TrainEvents:
    with gr.Blocks():
        return TrainEvents(TrainTab(desk))


def values(
    source: str = OWN, preset: str = "paper", token: str | None = None, **more: Any
) -> tuple:
    facts = {
        "draws": 1,
        "seed": 0,
        "mix": "",
        "emotion": "any",
        "origin": "any",
        "words": "",
    } | more
    return (
        *(source, preset, facts["draws"], facts["seed"], facts["mix"], token),
        *(facts["emotion"], facts["origin"], facts["words"]),
    )


def asked(host: str = "127.0.0.1", client: str = "127.0.0.1") -> gr.Request:
    """A request that came through the gate of an app listening on `host`."""
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/",
        "headers": [(b"host", b"localhost:7860"), (b"origin", b"http://localhost:7860")],
        "client": (client, 4711),
        "http_version": "1.1",
        PLACE: Gate(Settings(), host),
    }
    return gr.Request(Request(scope))


OWNER, VISITOR = asked(), asked("0.0.0.0", "203.0.113.9")


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_is_made_once_and_kept(desk: PairDesk, name: str) -> None:
    choice = Choice(OWN, name)
    pairs = desk.pairs(choice)
    assert len(pairs) >= 80 and desk.pairs(choice) is pairs
    assert desk.counts(choice)["pairs"] == len(pairs)


def test_filters(desk: PairDesk) -> None:
    choice = Choice(OWN, "mix", mix="paper=1,balanced=1")
    pairs = desk.pairs(choice)
    sad = desk.found(choice, Filter(emotion="sad"))
    assert sad and {pairs[at].emotion for at in sad} == {"sad"}
    origin = desk.found(choice, Filter(origin="balanced"))
    assert {pairs[at].origin for at in origin} == {"balanced"} and len(origin) < len(pairs)
    paper = Choice(OWN)
    assert len(desk.found(paper, Filter(words="ORCHARD tree"))) >= 1
    assert desk.found(paper, Filter(words="xylophone")) == []


@pytest.mark.parametrize(
    "choice, said",
    [
        (Choice("nowhere"), "Choose where"),
        (Choice(OWN, "best"), "There is no strategy “best”"),
        (Choice(OWN, draws=0), "from 1 to 5"),
        (Choice(OWN, draws=10**9), "from 1 to 5"),
        (Choice(OWN, seed=-1), "The seed must be"),
        (Choice(OWN, "mix", mix="paper=x"), "write it as"),
    ],
)
def test_what_a_browser_may_send_is_checked(desk: PairDesk, choice: Choice, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        desk.pairs(choice)


def test_values_of_the_wrong_kind_are_said() -> None:
    for wrong in ([None, "paper", 1, 0, "", None], [OWN, "paper", "x", 0, "", None]):
        with pytest.raises(UsageError):
            chosen(*wrong)
    with pytest.raises(UsageError):
        chosen(OWN, "paper", 1, None, "", None)
    assert wanted(None, 7, ["x"]) == Filter()


def test_an_upload_is_taken_and_deleted(desk: PairDesk, tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    row = {"prompt": EVIL, "chosen": "Oh no.", "rejected": "<b>Yes.</b>", "emotion": "sad"}
    path.write_text(json.dumps(row), "utf-8")
    token, count = desk.take(path, path.name)
    assert count == 1 and not path.exists()
    choice = Choice("upload", token=token)
    shown = card(desk.pairs(choice)[0], 0, 1)
    assert "<img" not in shown and "&lt;img" in shown and "&lt;b&gt;Yes." in shown
    with pytest.raises(DataError, match="Send a file"):
        desk.pairs(Choice("upload", token="guessed"))


def test_a_refused_upload_is_deleted_too(events: TrainEvents, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("prompt,chosen,rejected\nHi.,,Go.\n", "utf-8")
    found = events.take(str(path), *values("upload"))
    assert not path.exists() and found[events.tab.token] is None
    assert "a.csv, row 1, field chosen: it is missing." in found[events.tab.notice]
    assert found[events.tab.cards] == ""


def test_the_card_says_what_it_shows() -> None:
    pair = PreferencePair(
        (Turn("user", "Hi."),), "A", "B", "hopeful", "afraid", "balanced", "d", "r"
    )
    shown = card(pair, 4, 9)
    assert "5 of 9" in shown and 'data-to="3"' in shown and 'data-to="5"' in shown
    assert "a good outcome seen ahead" in shown and "pleasant against unpleasant" in shown
    assert 'data-to="-1" aria-label="Previous pair" disabled' in card(pair, 0, 9)
    assert (
        wheel("sad", "sad").count("<circle") == 3 and wheel("sad", "joyful").count("<circle") == 4
    )
    bare = PreferencePair((Turn("user", "Hi."),), "A", "B", None, None, "upload", "1", "1")
    assert "emotion not given" in card(bare, 0, 1) and "<svg" not in card(bare, 0, 1)


def test_opening_leafing_and_filtering(events: TrainEvents) -> None:
    tab = events.tab
    found = events.open(VISITOR, False, *values())
    assert found[tab.source] == OWN and "1 of 96" in found[tab.cards]
    assert found[tab.seen] is True and events.open(VISITOR, True, *values()) == gr.skip()
    for to, at in ((5, 6), (10**9, 96), (-3, 1), ("x", 1), (True, 1)):
        moved = events.leaf(SimpleNamespace(to=to), *values())
        assert f"{at} of 96" in moved[tab.cards]
    nothing = events.filter(*values(words="xylophone"))
    assert "loosen the filters" in nothing[tab.notice] and nothing[tab.cards] == ""


def test_measuring_tells_how_far_it_is_and_ends_with_figures(events: TrainEvents) -> None:
    steps = list(events.measure(*values()[:6]))
    assert "Measuring" in steps[0] and steps[-1].count("<svg") >= 3
    assert "not measured" in steps[-1]
    assert "Send a file" in list(events.measure(*values("upload")[:6]))[-1]


def test_only_the_owner_is_offered_the_data(events: TrainEvents) -> None:
    tab = events.tab
    for request, owner in ((OWNER, True), (VISITOR, False)):
        found = events.change(request, *values(ED))
        assert found[tab.get_box].visible and found[tab.get].visible is owner
        assert ("CC BY-NC" in found[tab.terms]) is owner
        assert found[tab.cards] == ""


def test_nobody_else_fetches_and_nobody_unread(events: TrainEvents, no_data: Path) -> None:
    (refused,) = events.get(VISITOR, True, *values(ED))
    assert "Only the owner" in refused[events.tab.notice]
    for accepted in (False, "true", None):
        (unread,) = events.get(OWNER, accepted, *values(ED))
        assert "accept them first" in unread[events.tab.notice]
    assert list(no_data.iterdir()) == []


HEAD = "conv_id,utterance_idx,context,prompt,speaker_idx,utterance,selfeval,tags\n"


def tarball() -> bytes:
    rows = "".join(
        f"h:{c},{i},{e},a story,{i % 2},turn {i} of {c},1,\n"
        for c, e in ((1, "sad"), (2, "joyful"))
        for i in (1, 2)
    )
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        for name in ("train", "valid", "test"):
            text = (
                HEAD
                + rows.replace("h:", f"{name}:")
                .replace("turn", name)
                .replace("a story", f"a {name}")
            ).encode()
            info = tarfile.TarInfo(f"empatheticdialogues/{name}.csv")
            info.size = len(text)
            tar.addfile(info, io.BytesIO(text))
    return out.getvalue()


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A server with a small data set in the original form; its checksum stands in the sources."""
    folder = tmp_path / "mirror"
    folder.mkdir()
    content = tarball()
    (folder / "empatheticdialogues.tar.gz").write_bytes(content)
    source = SOURCES["ed"]
    remote = source.files[0]
    files = (Remote(remote.url, remote.saved_as, sha256(content).hexdigest()),)
    facts = {name: getattr(source, name) for name in type(source).__dataclass_fields__}
    monkeypatch.setitem(SOURCES, "ed", type(source)(**{**facts, "files": files}))
    handler = partial(http.server.SimpleHTTPRequestHandler, directory=str(folder))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


def test_the_owner_fetches_and_sees_the_pairs(events: TrainEvents, mirror: str) -> None:
    events.fetch_from = mirror
    assert not events.desk.has_ed()
    steps = list(events.get(OWNER, True, *values(ED)))
    assert events.desk.has_ed() and "1 of 2" in steps[-1][events.tab.cards]
    assert steps[-1][events.tab.get_box].visible is False
