"""The first page, rendered once and kept: it is the same for everybody who asks at one address.

Gradio renders the page and its configuration anew for every visitor, copying each component and
event twice, and sends them uncompressed. Both are fixed when the page is launched and depend on
nothing of a request but the address it was made to. A plain ASGI middleware.
"""

from __future__ import annotations

import gzip
from collections import OrderedDict
from dataclasses import dataclass
from urllib.parse import parse_qsl

from starlette.datastructures import Headers

from empo.ui.headers import App, Message, Receive, Send

PATHS = ("/", "/config")
ADDRESSES = 16  # kept at most; a stranger may claim any address, and the oldest makes room
# What Gradio works the page's own address out of (route_utils.get_request_origin).
ORIGIN = ("host", "x-forwarded-host", "x-forwarded-proto", "x-gradio-server")
# With these in the query, or for somebody signed in, Gradio may give another page.
SPECIAL = frozenset(("page", "deep_link", "all_endpoints"))
SIGNED_IN = "access-token"

Key = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Kept:
    """A whole answer, as it came and in gzip."""

    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes
    packed: bytes


class KeptPage:
    """Answers for the page and its configuration from memory once they have been rendered."""

    def __init__(self, app: App) -> None:
        self.app = app
        self._kept: OrderedDict[Key, Kept] = OrderedDict()

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if (key := _key(scope)) is None:
            await self.app(scope, receive, send)
        elif kept := self._kept.get(key):
            await _answer(kept, "gzip" in Headers(scope=scope).get("accept-encoding", ""), send)
        else:
            await self.app(scope, receive, self._keeping(key, send))

    def _keeping(self, key: Key, send: Send) -> Send:
        """`send`, which also keeps a whole answer that went well."""
        start: Message = {}
        parts: list[bytes] = []

        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start":
                start.update(message, headers=list(message["headers"]))  # others may add to it
            await send(message)  # before the packing, for which nobody waits
            if message["type"] == "http.response.body":
                parts.append(message.get("body", b""))
                if not message.get("more_body", False) and start.get("status") == 200:
                    self._keep(key, start["headers"], b"".join(parts))

        return sent

    def _keep(self, key: Key, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
        names = {name.lower() for name, _ in headers}
        if names & {b"set-cookie", b"content-encoding"}:
            return  # meant for one visitor, or packed already
        plain = tuple((n, v) for n, v in headers if n.lower() != b"content-length")
        self._kept[key] = Kept(plain, body, gzip.compress(body, 6, mtime=0))
        while len(self._kept) > ADDRESSES:
            self._kept.popitem(last=False)


def _key(scope: Message) -> Key | None:
    """What the answer depends on; None where it has to be made for this request alone."""
    if scope["type"] != "http" or scope["method"] != "GET" or scope["path"] not in PATHS:
        return None
    headers = Headers(scope=scope)
    query = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
    if SPECIAL & {name for name, _ in query} or SIGNED_IN in headers.get("cookie", ""):
        return None
    origin = [",".join(headers.getlist(name)) for name in ORIGIN]
    return (scope["path"], scope.get("root_path", ""), scope["scheme"], *origin)


async def _answer(kept: Kept, packed: bool, send: Send) -> None:
    body = kept.packed if packed else kept.body
    headers = [*kept.headers, (b"vary", b"Accept-Encoding")]
    headers.append((b"content-length", str(len(body)).encode()))
    if packed:
        headers.append((b"content-encoding", b"gzip"))
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
