"""The page that is kept: the same as rendered anew, one for every address, and nobody else's."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from empo.ui.headers import App, Guard
from empo.ui.kept_page import ADDRESSES, KeptPage
from tests.browser import app


def page(
    status: int = 200, headers: tuple[tuple[bytes, bytes], ...] = ()
) -> tuple[KeptPage, list[str]]:
    """A kept page over an application that says who asked, in two parts, and a list of calls."""
    calls: list[str] = []

    async def inner(scope: Any, receive: Any, send: Callable[[Any], Awaitable[None]]) -> None:
        asked = dict(scope["headers"])[b"host"].decode() + scope["path"]
        calls.append(asked)
        start = {"status": status, "headers": [(b"content-type", b"text/html"), *headers]}
        await send({"type": "http.response.start", **start})
        await send({"type": "http.response.body", "body": b"for ", "more_body": True})
        await send({"type": "http.response.body", "body": asked.encode()})

    return KeptPage(inner), calls


def ask(
    kept: App, path: str = "/", host: str = "a", method: str = "GET", **headers: str
) -> httpx.Response:
    async def asked() -> httpx.Response:
        transport = httpx.ASGITransport(kept)
        async with httpx.AsyncClient(transport=transport, base_url=f"http://{host}") as client:
            return await client.request(method, path, headers=headers)

    return asyncio.run(asked())


def test_what_was_rendered_once_is_given_again_packed_or_not() -> None:
    kept, calls = page()
    first, packed = ask(kept), ask(kept)
    plain = ask(kept, **{"accept-encoding": "identity"})
    assert {r.text for r in (first, packed, plain)} == {"for a/"} and calls == ["a/"]
    assert (packed.headers["content-encoding"], "content-encoding" in plain.headers) == (
        "gzip",
        False,
    )
    assert packed.headers["content-type"] == "text/html"
    assert int(plain.headers["content-length"]) == len("for a/")


def test_headers_added_on_the_way_out_are_added_once() -> None:
    kept, calls = page()
    for _ in range(3):
        answer = ask(Guard(kept))
        assert answer.headers.get_list("x-content-type-options") == ["nosniff"]
    assert calls == ["a/"]


def test_a_cookie_given_on_the_way_out_is_nobody_elses() -> None:
    kept, calls = page()
    given: list[str] = []

    async def door(scope: Any, receive: Any, send: Callable[[Any], Awaitable[None]]) -> None:
        async def answer(message: Any) -> None:
            if message["type"] == "http.response.start":
                given.append(f"visitor={len(given)}")
                cookie = (b"set-cookie", given[-1].encode())
                message["headers"] = [*message["headers"], cookie]
            await send(message)

        await kept(scope, receive, answer)

    for number in range(3):
        assert ask(door).headers.get_list("set-cookie") == [f"visitor={number}"]
    assert calls == ["a/"]


def test_every_address_and_path_has_its_own() -> None:
    kept, calls = page()
    for _ in range(2):
        assert ask(kept, "/", "a").text == "for a/"
        assert ask(kept, "/config", "a").text == "for a/config"
        assert ask(kept, "/", "b").text == "for b/"
        ask(kept, **{"x-forwarded-host": "c"})
        ask(kept, **{"x-forwarded-proto": "https"})
    assert len(calls) == 5


@pytest.mark.parametrize(
    "asked",
    [
        {"path": "/?deep_link=x"},
        {"path": "/?a=1&%70age=train"},
        {"path": "/?page"},
        {"path": "/theme.css"},
        {"method": "HEAD"},
        {"method": "POST"},
        {"cookie": "access-token-7=secret"},
    ],
)
def test_what_may_differ_is_made_anew_and_not_kept(asked: dict[str, str]) -> None:
    kept, calls = page()
    ask(kept, **asked)
    ask(kept, **asked)
    assert len(calls) == 2
    assert ask(kept, "/?tab=about&__theme=dark").text == "for a/" and len(calls) == 3
    ask(kept)
    assert len(calls) == 3  # the tab and the look are the browser's business


@pytest.mark.parametrize("answer", [{"status": 500}, {"headers": ((b"Set-Cookie", b"a=b"),)}])
def test_a_failure_or_one_visitors_answer_is_not_kept(answer: dict[str, Any]) -> None:
    kept, calls = page(**answer)
    ask(kept)
    ask(kept)
    assert len(calls) == 2


def test_many_claimed_addresses_do_not_fill_the_memory() -> None:
    kept, _ = page()
    for number in range(3 * ADDRESSES):
        ask(kept, host=f"h{number}")
    assert len(kept._kept) == ADDRESSES


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    log: Path = tmp_path_factory.mktemp("app") / "log.txt"
    with app("--engine", "echo", log=log) as found:
        yield found


def test_the_page_itself_is_kept_whole(address: str) -> None:
    with httpx.Client(base_url=address) as client:
        for path in ("/", "/config"):
            plain = client.get(path, headers={"accept-encoding": "identity"})
            packed = client.get(path)
            assert packed.headers["content-encoding"] == "gzip"
            assert packed.content == plain.content
            assert len(gzip.compress(plain.content)) < len(plain.content) / 3
            assert packed.headers["content-security-policy"].count("frame-ancestors") == 1
            afresh = client.get(path, headers={"x-forwarded-host": "other.test"})
            assert "http://other.test" in afresh.text
            assert afresh.text.replace("http://other.test", address.rstrip("/")) == plain.text
