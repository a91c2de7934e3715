"""Who may act: every rule by itself, and raw requests against running pages, 0 side effects."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import gradio as gr
import httpx
import itsdangerous
import pytest
from starlette.requests import Request

from empo.errors import NotAllowed
from empo.settings import Settings
from empo.ui.launch import launch
from empo.ui.origin import is_loopback
from empo.ui.owner import PLACE, STAY, Gate, is_owner, require_owner, visitor
from tests.browser import LAUNCH, ROOT, free_port
from tests.owner_app import build

HERE = {"host": "localhost:7860", "origin": "http://localhost:7860"}
SECRET = "a secret that only the Hub and this Space know"
SPACE = {
    "SYSTEM": "spaces",
    "SPACE_ID": "maria/empo",
    "SPACE_HOST": "maria-empo.hf.space,empo.example.org",
    "OAUTH_CLIENT_ID": "id",
    "OAUTH_CLIENT_SECRET": SECRET,
    "OAUTH_SCOPES": "openid profile",
    "OPENID_PROVIDER_URL": "https://huggingface.co",
    "EMPO_OWNERS": "jan, Ada",
}
ON_SPACE = {"host": "maria-empo.hf.space", "origin": "https://maria-empo.hf.space"}


def asked(
    gate: Gate | None, headers: dict[str, str], client: str = "127.0.0.1", **more: Any
) -> gr.Request:
    """A request as Gradio hands it to a function."""
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/",
        "headers": raw,
        "client": (client, 4711),
        "http_version": "1.1",
        **more,
    }
    return gr.Request(Request(scope if gate is None else {**scope, PLACE: gate}))


def local(**settings: Any) -> Gate:
    return Gate(Settings(space_id=None, **settings), "127.0.0.1", 7860)


def claimed(gate: Gate) -> dict[str, str]:
    """The header of a browser that has opened the address with the token."""
    cookie = gate.claim(str(gate.token))
    return {"cookie": f"{gate.owner_cookie}={cookie}"}


# -- on this machine, and elsewhere


def test_this_machine_s_browser_is_the_owner_s() -> None:
    gate = local()
    for name in ("localhost", "127.0.0.1", "[::1]"):
        page = {"host": f"{name}:7860", "origin": f"http://{name}:7860"}
        require_owner(asked(gate, page))
        require_owner(asked(gate, {**page, "sec-fetch-site": "same-origin"}))


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://localhost:7860"},
        {"host": "localhost:7860"},
        {**HERE, "origin": "null"},
        {**HERE, "origin": "https://evil.example"},
        {**HERE, "origin": "http://localhost:3000"},
        {**HERE, "origin": "http://localhost.evil.example:7860"},
        {**HERE, "sec-fetch-site": "cross-site"},
        {**HERE, "sec-fetch-site": "same-site"},
        {**HERE, "sec-fetch-site": "none"},
        {"host": "evil.example:7860", "origin": "http://evil.example:7860"},
        {"host": "192.168.0.7:7860", "origin": "http://192.168.0.7:7860"},
        *({"host": h, "origin": f"http://{h}"} for h in ("localhost:bad:", "x@localhost", "::1")),
        *({**HERE, name: "1.2.3.4"} for name in ("x-forwarded-for", "x-real-ip", "forwarded")),
        *({**HERE, name: "x"} for name in ("x-forwarded-host", "via", "cf-connecting-ip")),
    ],
)
def test_nothing_else_is_taken_for_this_machine_s_browser(headers: dict[str, str]) -> None:
    request = asked(local(), headers)
    assert not is_owner(request)
    with pytest.raises(NotAllowed, match=r"^This was asked for by another|^Only the owner of"):
        require_owner(request)


def test_neither_is_another_machine_nor_an_old_proxy() -> None:
    assert not is_owner(asked(local(), HERE, client="192.168.0.9"))
    assert not is_owner(asked(local(), HERE, client="not an address"))
    assert not is_owner(asked(local(), HERE, http_version="1.0"))
    no_client = asked(local(), HERE)
    no_client.request.scope["client"] = None
    assert not is_owner(no_client)
    twice = asked(local(), HERE)
    twice.request.scope["headers"].append((b"origin", b"http://localhost:7860"))
    assert not is_owner(twice)


def test_on_an_open_address_or_when_told_so_this_machine_needs_the_token_too() -> None:
    for gate in (Gate(Settings(space_id=None), "0.0.0.0", 7860), local(ask_token=True)):
        with pytest.raises(NotAllowed, match=r"\?token=… that its terminal printed"):
            require_owner(asked(gate, HERE))
        require_owner(asked(gate, {**HERE, **claimed(gate)}))


def test_a_token_works_once_and_the_next_is_announced() -> None:
    gate = Gate(Settings(space_id=None), "0.0.0.0", 7860)
    told: list[str] = []
    gate.announce = told.append
    first = str(gate.token)
    assert gate.claim("wrong") is None and gate.claim("") is None and gate.claim("ü") is None
    assert told == [] and gate.token == first
    assert gate.claim(first)
    assert told == [gate.token] and gate.token != first
    assert gate.claim(first) is None


def test_the_cookie_counts_through_a_proxy_but_not_from_another_page_or_past_its_time() -> None:
    now = [0.0]
    gate = Gate(Settings(space_id=None), "0.0.0.0", 80, clock=lambda: now[0])
    cookie = claimed(gate)
    public = {"host": "empo.example.org", "origin": "https://empo.example.org"}
    proxied = {**public, **cookie, "x-forwarded-for": "1.2.3.4"}
    require_owner(asked(gate, proxied, client="10.0.0.1", http_version="1.0"))
    assert not is_owner(asked(gate, {**proxied, "origin": "https://evil.example"}))
    assert not is_owner(asked(gate, {**public, **cookie, "sec-fetch-site": "cross-site"}))
    assert not is_owner(asked(gate, {**public, "cookie": f"{gate.owner_cookie}=guessed"}))
    now[0] = STAY + 1
    assert not is_owner(asked(gate, proxied))


def test_a_cookie_of_another_app_is_nothing() -> None:
    gate, other = (Gate(Settings(space_id=None), "0.0.0.0", 7860) for _ in range(2))
    assert not is_owner(asked(gate, {**HERE, **claimed(other)}))


def test_without_a_door_nobody_is_anybody() -> None:
    for request in (asked(None, HERE), gr.Request(), None, "me"):
        with pytest.raises(NotAllowed, match="from the page of a running app"):
            require_owner(request)
        with pytest.raises(NotAllowed):
            visitor(request)


def test_loopback() -> None:
    for host in ("localhost", "LOCALHOST", "127.0.0.1", "127.8.8.8", "::1", "[::1]"):
        assert is_loopback(host)
    for host in ("0.0.0.0", "::", "192.168.1.1", "localhost.example", "", "127.0.0.1.example"):
        assert not is_loopback(host)


# -- on a Space


@pytest.fixture
def space(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Gate]:
    """`space(**variables)`: the gate of a Space, with some variables set otherwise."""

    def gate(**variables: str) -> Gate:
        for name, value in {**SPACE, **variables}.items():
            monkeypatch.setenv(name, value)
        return Gate(Settings(), "0.0.0.0", 7860)

    return gate


def person(name: str, hours: float | None = 1.0) -> dict[str, Any]:
    """What Gradio keeps of somebody who has signed in, for that many more hours."""
    told = {"sub": f"number of {name}", "name": name, "preferred_username": name}
    info = {"access_token": "t", "userinfo": {**told, "profile": "", "picture": ""}}
    return {
        "oauth_info": info if hours is None else {**info, "expires_at": time.time() + hours * 3600}
    }


def test_the_author_and_those_who_are_named_own_a_space(space: Callable[..., Gate]) -> None:
    gate = space()
    for name in ("maria", "jan", "Ada"):
        require_owner(asked(gate, ON_SPACE, session=person(name)))
    other_name = {"host": "x", "origin": "https://empo.example.org"}
    require_owner(asked(gate, other_name, session=person("maria")))
    assert gate.token is None and gate.claim("") is None and gate.claim("None") is None


def test_nobody_else_owns_a_space(space: Callable[..., Gate]) -> None:
    gate = space()
    for name in ("Maria", "ada", "eve", "", "maria,jan", "*"):
        with pytest.raises(NotAllowed, match=r"signed in as somebody else|sign in with Hugging"):
            require_owner(asked(gate, ON_SPACE, session=person(name)))
    strangers = [{}, {"oauth_info": None}, {"oauth_info": {"userinfo": {}}}, person("maria", -0.01)]
    strangers += [person("maria", None), {"oauth_info": {**person("maria")["oauth_info"]}}]
    strangers[-1]["oauth_info"]["userinfo"] = {"preferred_username": "maria"}
    for session in strangers:
        with pytest.raises(NotAllowed, match="sign in with Hugging Face first"):
            require_owner(asked(gate, ON_SPACE, session=session))
    assert not is_owner(asked(gate, ON_SPACE))


def test_what_a_client_can_send_does_not_count_on_a_space(space: Callable[..., Gate]) -> None:
    gate = space()
    assert not is_owner(asked(gate, {**HERE, "authorization": "Bearer maria"}))
    assert not is_owner(asked(gate, {**ON_SPACE, "cookie": f"{gate.owner_cookie}=x"}))
    for origin in ("https://evil.example", "http://maria-empo.hf.space", "null", ""):
        headers = {"host": "maria-empo.hf.space", "origin": origin}
        assert not is_owner(asked(gate, headers, session=person("maria")))
    evil = {"host": "evil.example", "origin": "https://evil.example"}
    assert not is_owner(asked(gate, evil, session=person("maria")))
    assert not is_owner(asked(space(SPACE_HOST=""), ON_SPACE, session=person("maria")))


@pytest.mark.parametrize(
    "variables",
    [
        {"OAUTH_CLIENT_SECRET": ""},
        {"OAUTH_CLIENT_SECRET": "  "},
        {"OAUTH_CLIENT_ID": ""},
        {"SYSTEM": "elsewhere"},
    ],
)
def test_without_a_sign_in_that_proves_something_a_space_has_no_owner(
    space: Callable[..., Gate], variables: dict[str, str]
) -> None:
    """With an empty secret everybody can sign a session; elsewhere Gradio invents one."""
    request = asked(space(**variables), ON_SPACE, session=person("maria"))
    with pytest.raises(NotAllowed, match="set hf_oauth: true"):
        require_owner(request)
    with pytest.raises(NotAllowed, match="no cookie"):
        visitor(request)


def test_the_secret_is_not_shown(space: Callable[..., Gate]) -> None:
    assert SECRET not in repr(space().config)


# -- visitors


def test_a_visitor_is_a_signed_cookie_and_no_address() -> None:
    gate = Gate(Settings(space_id=None), "0.0.0.0", 7860, key=b"k" * 32)
    cookie = gate.new_visitor()
    header = {**HERE, "cookie": f"{gate.visitor_cookie}={cookie}"}
    name = visitor(asked(gate, header))
    assert name.startswith("anon:") and len(name) == 37
    assert name == visitor(asked(gate, header, client="8.8.8.8"))
    assert cookie.split(".")[0] not in name and cookie.split(".")[1] not in name
    restarted = Gate(Settings(space_id=None), "0.0.0.0", 7860, key=b"k" * 32)
    assert visitor(asked(restarted, header)) == name
    assert visitor(asked(restarted, {"cookie": f"empo-visitor-7860={gate.new_visitor()}"})) != name
    for wrong in (cookie[:-1], "x" + cookie, ".", "", cookie.split(".")[0]):
        with pytest.raises(NotAllowed, match="allow cookies"):
            visitor(asked(gate, {"cookie": f"{gate.visitor_cookie}={wrong}"}))


def test_who_has_signed_in_is_the_same_everywhere(space: Callable[..., Gate]) -> None:
    gate = space()
    cookie = {"cookie": f"{gate.visitor_cookie}={gate.new_visitor()}"}
    request = asked(gate, {**ON_SPACE, **cookie}, session=person("eve"))
    assert visitor(request) == "user:number of eve"
    assert visitor(asked(gate, {**ON_SPACE, **cookie})).startswith("anon:")


# -- raw requests against running pages


class Running:
    """A page that runs, and what its owner's function has done."""

    def __init__(self, port: int, marks: Path) -> None:
        self.address, self.marks = f"http://127.0.0.1:{port}", marks
        self.here = {"origin": self.address}

    def done(self) -> int:
        return len(self.marks.read_text().splitlines()) if self.marks.exists() else 0

    def attempts(self, headers: dict[str, str]) -> list[str]:
        """What four ways to call the function answer: run, call, and queue/join, twice."""
        with httpx.Client(base_url=f"{self.address}/gradio_api", headers=headers) as client:
            run = client.post("/run/act", json={"data": ["run"]})
            call = client.post("/call/act", json={"data": ["call"]}).json()
            told = [run.text, client.get(f"/call/act/{call['event_id']}").text]
            for number in (0, 1):
                told.append(joined(client, number))
            return told


def joined(client: httpx.Client, number: int) -> str:
    """The last message of the queue about function `number`."""
    session = f"s{time.monotonic_ns()}"
    body = {"data": ["join"], "fn_index": number, "session_hash": session}
    assert client.post("/queue/join", json=body).status_code == 200
    with client.stream("GET", "/queue/data", params={"session_hash": session}) as stream:
        for line in stream.iter_lines():
            if "process_completed" in line:
                return line
    raise AssertionError("the queue ended before the function did")


@pytest.fixture(scope="module", params=["127.0.0.1", "0.0.0.0"])
def page(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Running, Gate]]:
    """A page as on one's own machine: for it alone, or (as far as the gate knows) for a network."""
    port, marks = free_port(), tmp_path_factory.mktemp("owner") / "marks"
    gate = Gate(Settings(space_id=None), request.param, port)
    app = build(marks)
    launch(app, gate, "127.0.0.1", port)
    yield Running(port, marks), gate
    app.close(verbose=False)


def test_raw_requests_to_one_s_own_machine(page: tuple[Running, Gate]) -> None:
    running, gate = page
    before = running.done()
    refused = [
        {},
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {**running.here, "x-forwarded-for": "127.0.0.1"},
        {**running.here, "host": "evil.example"},
        {**running.here, "cookie": f"{gate.owner_cookie}=forged", "sec-fetch-site": "cross-site"},
        {**running.here, "cookie": f"{gate.owner_cookie}=forged", "via": "1.1 proxy"},
    ]
    for headers in refused:
        for answer in running.attempts(headers):
            assert "Only the owner" in answer or "by another page" in answer, (headers, answer)
    assert running.done() == before
    owner = running.here if gate.implied else {**running.here, **claimed(gate)}
    assert all("done" in answer for answer in running.attempts(owner))
    assert running.done() == before + 4


def test_the_token_leaves_the_address_and_a_cookie_stays(page: tuple[Running, Gate]) -> None:
    running, gate = page
    with httpx.Client(base_url=running.address, headers=running.here) as client:
        ahead = client.get(f"/?token={gate.token}", headers={"sec-purpose": "prefetch"})
        assert ahead.status_code == 200 and gate.owner_cookie not in ahead.cookies
        assert client.head(f"/?token={gate.token}").status_code in (200, 405)
        token = gate.token
        answer = client.get(f"/?tab=train&token={token}&x=1")
        assert (answer.status_code, answer.headers["location"]) == (303, "./?tab=train&x=1")
        cookie = answer.headers["set-cookie"]
        assert "HttpOnly" in cookie and "SameSite=Strict" in cookie and "Path=/" in cookie
        assert answer.headers["cache-control"] == "no-store" and str(token) not in cookie
        assert "done" in client.post("/gradio_api/run/act", json={"data": ["x"]}).text
        again = httpx.get(f"{running.address}/?token={token}")
        assert again.status_code == 303 and "set-cookie" not in again.headers
        strange = httpx.get(f"{running.address}/a/%0d%0aset-cookie:x=y?token={token}")
        assert strange.headers["location"] == "./%0D%0Aset-cookie%3Ax%3Dy"


def test_a_visitor_gets_one_cookie(page: tuple[Running, Gate]) -> None:
    running, gate = page
    with httpx.Client(base_url=running.address) as client:
        assert "no cookie" in client.post("/gradio_api/run/who", json={"data": []}).text
        first = client.get("/")
        assert "HttpOnly" in first.headers["set-cookie"] and "Lax" in first.headers["set-cookie"]
        assert "set-cookie" not in client.get("/").headers
        name = client.post("/gradio_api/run/who", json={"data": []}).json()["data"][0]
        assert name.startswith("anon:")
        assert client.post("/gradio_api/run/who", json={"data": []}).json()["data"] == [name]
        assert "set-cookie" not in client.get("/config").headers
    assert gate.visitor_cookie in first.cookies


@pytest.mark.browser
def test_a_browser_with_the_token_and_one_without(
    page: tuple[Running, Gate], chromium: str
) -> None:
    from playwright.sync_api import sync_playwright

    running, gate = page
    before = running.done()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=LAUNCH)
        told = []
        for query in (f"?token={gate.token}", ""):
            tab = browser.new_context().new_page()
            tab.goto(f"{running.address}/{query}")
            tab.click("button:text-is('act')")
            tab.wait_for_function(
                "document.querySelector('.toast-body') ||"
                " [...document.querySelectorAll('textarea')].at(-1).value"
            )
            assert tab.url == f"{running.address}/"
            told.append(tab.locator(".toast-body").count())
        browser.close()
    assert told == ([0, 0] if gate.implied else [0, 1])
    assert running.done() == before + told.count(0)


@pytest.fixture(scope="module")
def running_space(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """The page as on a Space: Gradio reads these variables when it is imported."""
    port, folder = free_port(), tmp_path_factory.mktemp("space")
    log, marks = folder / "log.txt", folder / "marks"
    command = [sys.executable, "-m", "tests.owner_app", "--port", str(port), "--marks", str(marks)]
    with log.open("w") as out:
        process = subprocess.Popen(
            command, cwd=ROOT, stdout=out, stderr=out, env={**os.environ, **SPACE}
        )
    try:
        deadline = time.monotonic() + 90
        while "ready" not in log.read_text():
            assert process.poll() is None and time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
        yield Running(port, marks)
    finally:
        process.terminate()
        process.wait(20)
    assert SECRET not in log.read_text()


def session_cookie(session: dict[str, Any], secret: str) -> dict[str, str]:
    """The header with a session as Gradio's middleware signs it."""
    key = sha256(f"{secret}-v4".encode()).hexdigest()
    data = base64.b64encode(json.dumps(session).encode())
    return {"cookie": f"session={itsdangerous.TimestampSigner(key).sign(data).decode()}"}


def test_raw_requests_to_a_space(running_space: Running) -> None:
    good = {"origin": "https://maria-empo.hf.space"}
    maria = session_cookie(person("maria"), SECRET)
    refused = [
        good,
        {**good, **session_cookie(person("eve"), SECRET)},
        {**good, **session_cookie(person("maria"), "")},
        {**good, **session_cookie(person("maria"), "guessed")},
        {**good, **session_cookie(person("maria", -0.01), SECRET)},
        {**maria, "origin": "https://evil.example"},
        {**maria, "origin": running_space.address},
        maria,
        {**good, "cookie": "empo-owner-7860=x", "x-forwarded-user": "maria"},
    ]
    for headers in refused:
        for answer in running_space.attempts(headers):
            assert "owner of this Space" in answer or "by another page" in answer, headers
    assert running_space.done() == 0
    answers = running_space.attempts({**good, **maria})
    assert all("done" in answer for answer in answers)
    assert running_space.done() == 4


def test_a_space_s_cookie_is_for_a_frame_and_its_token_is_nothing(running_space: Running) -> None:
    answer = httpx.get(f"{running_space.address}/?token=x")
    assert answer.status_code == 200
    assert "SameSite=None; Secure; Partitioned" in answer.headers["set-cookie"]
    who = httpx.post(
        f"{running_space.address}/gradio_api/run/who",
        json={"data": []},
        headers=session_cookie(person("eve"), SECRET),
    )
    assert who.json()["data"] == ["user:number of eve"]
