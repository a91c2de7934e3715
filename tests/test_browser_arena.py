"""The Arena tab in a real browser: two people, live and recorded battles, one vote each.

On the embedded models, whose replies are real; and on a stack of canaries (tests/arena_app.py) for
everything that must not be seen before the vote. Screenshots go to tests/screenshots.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from empo.arena.store import Store
from tests.arena_kit import HASHES, QUICK, SLOW
from tests.browser import PATIENCE, PHONE, ROOT, Watched, app, free_port

pytestmark = pytest.mark.browser
CANARIES = (*HASHES, *HASHES.values(), "canary", "Label ")
EVIL = "<img src=x onerror=window.hurt=1><script>window.hurt=1</script> ${window.hurt=1} My dog"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def votes(tmp_path_factory: pytest.TempPathFactory, home: Path) -> Iterator[str]:
    """The address of the app on the embedded models, whose votes lie in `home`."""
    log = tmp_path_factory.mktemp("app") / "log.txt"
    with app("--stack", "nano", log=log, EMPO_HOME=str(home)) as found:
        yield found


@pytest.fixture(scope="module")
def canary(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a page whose two models are slow and quick and never say who they are."""
    folder, port = tmp_path_factory.mktemp("canary"), free_port()
    command = [sys.executable, "-m", "tests.arena_app", "--port", str(port)]
    with (folder / "log.txt").open("w") as out:
        run = [*command, "--folder", str(folder)]
        process = subprocess.Popen(run, cwd=ROOT, stdout=out, stderr=out)
        try:
            wait_for(lambda: "ready" in (folder / "log.txt").read_text())
            yield f"http://localhost:{port}/"
        finally:
            process.terminate()
            process.wait(20)


def wait_for(condition: Callable[[], bool], seconds: float = PATIENCE / 1000) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


class Voter(Watched):
    """A person on the Arena tab."""

    def __init__(self, browser: Any, address: str, **context: Any) -> None:
        super().__init__(browser, address, "?tab=arena", **context)

    def open(self, query: str = "") -> None:
        self.page.goto(self.address + query)
        # The style is there, and the server has said what kinds of battles there are.
        self.page.wait_for_selector("#arena[data-phase] .mode")
        self.page.wait_for_function("!document.querySelector('#arena').matches('.held')")

    def phase(self, *names: str) -> None:
        self.page.wait_for_selector(", ".join(f"#arena[data-phase={name}]" for name in names))

    def deal(self, mode: str = "") -> None:
        if mode:
            self.page.click(f"#arena .mode:has-text('{mode}')")
            self.page.wait_for_selector(f"#arena .mode[aria-pressed=true]:has-text('{mode}')")
        self.page.click("#arena .deal:visible, #arena .next:visible")
        self.phase("writing", "choose")
        self.phase("choose")

    def cards(self) -> list[str]:
        return self.page.locator("#arena .round:last-child .text").all_text_contents()

    def names(self) -> list[str]:
        return self.page.locator("#arena .round:last-child .model").all_text_contents()

    def vote(self, key: str) -> None:
        self.page.evaluate("document.activeElement.blur()")
        self.page.keyboard.press(key)
        self.phase("voted")


@pytest.fixture
def visit(watch: Callable[..., Watched]) -> Callable[..., Watched]:
    return partial(watch, kind=Voter)


def test_two_people_vote_on_live_and_recorded_battles(
    votes: str, home: Path, visit: Callable[..., Voter]
) -> None:
    first = visit(votes, viewport={"width": 1280, "height": 900})
    second = visit(votes, **PHONE, device_scale_factor=2, color_scheme="dark")
    assert "sending is consent" in first.text("#arena .consent")
    first.shot("arena-start")
    first.deal()
    assert all(first.cards()) and first.names() == ["", ""]
    first.page.fill("#arena .talk textarea", "1 2 3 4 are keys, but not in here.")
    assert first.page.get_attribute("#arena", "data-phase") == "choose"
    first.page.press("#arena .talk textarea", "Enter")
    first.page.wait_for_function("document.querySelectorAll('#arena .round').length === 2")
    first.phase("choose")
    first.shot("arena-choose")
    first.vote("1")
    assert len({*first.names(), ""}) == 3 and first.page.locator("#arena .gauge").count() >= 6
    first.page.wait_for_selector("#arena .standing .sentence")
    assert "1 vote so far" in first.text("#arena .standing")
    first.shot("arena-voted")
    for voter, key in ((first, "3"), (second, "2")):
        voter.deal("Recorded")
        assert all(voter.cards()) and not voter.page.locator("#arena .talk").is_visible()
        voter.vote(key)
    # The battle that one has begun is the next one of the other.
    said = "#arena .round .message"
    assert first.text(said) == second.text(said)
    assert sorted(first.cards()) == sorted(second.cards())
    assert second.page.evaluate("document.documentElement.scrollWidth") <= 390
    second.shot("arena-phone-dark")
    store = Store(f"sqlite:///{home / 'arena.sqlite3'}")
    assert [len(store.votes(pool).voters) for pool in store.pools()] == [1, 2]
    second.page.click("#arena .withdraw")
    second.phase("start")
    assert "withdrawn" in second.text("#arena .notice")
    assert sum(store.pools().values()) == 2
    first.deal("Live")
    first.page.click("#arena .detail summary")
    first.page.locator("#arena .slide input[type=range] >> nth=0").evaluate(
        "n => { n.value = 80; n.dispatchEvent(new Event('input')); }"
    )
    first.page.fill("#arena .reason", "1")
    first.shot("arena-detail")
    first.page.click("#arena .choice[data-choice=both_bad]")
    first.phase("voted")
    first.page.click("#arena .erase")
    first.page.wait_for_function(
        "document.querySelector('#arena .notice').textContent.includes('erased')"
    )
    store.close()


def test_nothing_tells_who_is_who_before_the_vote(canary: str, visit: Callable[..., Voter]) -> None:
    w = visit(canary)
    seen: list[str] = [
        httpx.get(f"{canary}config").text,
        httpx.get(f"{canary}gradio_api/info").text,
    ]
    w.page.on("response", lambda r: seen.append(r.url))
    stream: list[str] = []
    w.page.on("requestfinished", lambda r: stream.append(r.url))
    w.deal()
    assert w.cards() == ["I am sorry. How are you now?"] * 2
    seen.append(w.page.content())
    for mode in ("live", "recorded"):
        seen.append(wire(canary, {"kind": "deal", "mode": mode, "text": "Hello"}))
    assert any("process_generating" in text for text in seen)
    assert not [word for word in CANARIES if word in "".join(seen)]
    boxes = w.page.evaluate(
        "[...document.querySelectorAll('#arena .round:last-child .card')].map(n =>"
        " [n.className, n.getAttribute('style') || '', n.title, n.querySelector('.name').title])"
    )
    assert boxes[0] == boxes[1]
    w.vote("2")
    assert f"Label {SLOW}" in "".join(w.names()) and f"Label {QUICK}" in "".join(w.names())


def test_a_reload_in_the_middle_stops_and_comes_back_blind_and_votable_once(
    canary: str, visit: Callable[..., Voter]
) -> None:
    w = visit(canary)
    w.page.fill("#arena .talk textarea", "long " * 40)
    w.page.click("#arena .send")
    w.page.wait_for_function("JSON.parse(sessionStorage.getItem('empo.arena')).token")
    running = f"{canary}canary/running"
    wait_for(lambda: httpx.get(running).text == "1")
    w.page.goto("about:blank")
    wait_for(lambda: httpx.get(running).text == "0", 20)
    w.open("?tab=arena")
    w.phase("choose")
    assert w.names() == ["", ""] and len(set(w.cards())) == 1
    w.vote("1")
    w.open("?tab=arena")
    w.phase("voted")
    assert w.page.locator("#arena .bar").is_hidden() and "A is better" in w.text("#arena .verdict")


def test_words_are_inert_and_danger_brings_help(canary: str, visit: Callable[..., Voter]) -> None:
    w = visit(canary)
    w.page.fill("#arena .talk textarea", f"{EVIL} I want to die")
    w.page.press("#arena .talk textarea", "Enter")
    w.phase("choose")
    assert w.text("#arena .message").startswith("<img src=x")
    assert w.page.evaluate("window.hurt") is None
    assert w.page.locator("#arena .care").is_visible()
    w.vote("4")
    assert "shown to nobody" in w.text("#arena .flag")


def wire(address: str, data: dict[str, Any], client: httpx.Client | None = None) -> str:
    """Everything that the event's stream sends, as text; `data` goes to play, or to act."""
    client = client or visitor(address)
    event = "play" if data["kind"] in ("deal", "say", "resume") else "act"
    session = f"s{time.monotonic_ns()}"
    body = {"data": [], "event_data": data, "fn_index": number(client, event)}
    joined = client.post("/gradio_api/queue/join", json={**body, "session_hash": session})
    assert joined.status_code == 200, joined.text
    lines = []
    asked = {"session_hash": session}
    with client.stream("GET", "/gradio_api/queue/data", params=asked) as stream:
        for line in stream.iter_lines():
            lines.append(line)
            if "process_completed" in line:
                break
    return "\n".join(lines)


def visitor(address: str) -> httpx.Client:
    """A client that has opened the page and so has its cookie."""
    client = httpx.Client(base_url=address, timeout=PATIENCE / 1000)
    client.get("/")
    return client


def number(client: httpx.Client, event: str) -> int:
    config = client.get("/config").json()
    return next(d["id"] for d in config["dependencies"] if d["targets"][0][1] == event)


def final(text: str) -> dict[str, Any]:
    """The last view of a stream."""
    line = next(line for line in text.splitlines() if "process_completed" in line)
    return json.loads(line.removeprefix("data: "))["output"]["data"][0]


def test_eight_posts_of_one_vote_leave_one_row_and_others_none(canary: str) -> None:
    client = visitor(canary)
    # A generator's last message repeats its last value whole.
    token = final(wire(canary, {"kind": "deal", "mode": "live", "text": "Hello"}, client))["token"]
    act = number(client, "act")

    def post(how: int) -> str:
        data = {"kind": "vote", "token": token, "choice": "a"}
        if how % 2:
            return wire(canary, data, client)
        body = {"data": [], "event_data": data, "fn_index": act, "session_hash": f"r{how}"}
        return client.post("/gradio_api/run/predict", json=body).text

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(post, range(8)))
    rows = f"{canary}canary/votes"
    assert sum('"phase":"voted"' in answer for answer in answers) >= 4
    assert httpx.get(rows).json()[token_row(canary, token)] == 1
    before = sum(httpx.get(rows).json().values())
    stranger = visitor(canary)
    for forged in (
        {"kind": "vote", "token": token, "choice": "b"},
        {"kind": "vote", "token": token, "choice": "a"},
        {"kind": "vote", "token": "no-such-token", "choice": "a"},
        {"kind": "vote", "token": ["a"], "choice": {"a": 1}},
        {"kind": "withdraw", "token": token},
        {"kind": "erase", "token": token},
    ):
        view = final(wire(canary, forged, stranger))
        assert view["notice"] and view["reveal"] is None
    changed = final(wire(canary, {"kind": "vote", "token": token, "choice": "b"}, client))
    assert "withdrawn, not changed" in changed["notice"]
    assert sum(httpx.get(rows).json().values()) == before


def token_row(address: str, token: str) -> str:
    return httpx.get(f"{address}canary/battle", params={"of": token}).text
