"""The way in: turns the owner's token into a cookie, and gives each visitor one. ASGI middleware.

app_kwargs={"middleware": [Middleware(Guard), Middleware(Door, gate=gate)]}
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from urllib.parse import parse_qsl, quote, urlencode

from empo.ui.headers import Message, Receive, Send
from empo.ui.origin import Scope, header
from empo.ui.owner import PLACE, STAY, Gate

_REMEMBERED = 180 * 24 * 3600  # seconds that a visitor's cookie stays


class Door:
    """Leaves the gate where `require_owner` finds it, and speaks to browsers about cookies."""

    def __init__(
        self, app: Callable[[Message, Receive, Send], Awaitable[None]], gate: Gate
    ) -> None:
        self.app = app
        self.gate = gate

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        scope[PLACE] = self.gate
        if scope["type"] != "http" or scope["method"] != "GET":
            await self.app(scope, receive, send)
        elif self.gate.token and (token := _token(scope)):
            await _redirect(scope, send, self._owner_cookie(scope, token))
        elif self.gate.knows(scope):
            await self.app(scope, receive, send)
        else:
            await self.app(scope, receive, self._with_cookie(scope, send))

    def _owner_cookie(self, scope: Scope, token: str) -> str | None:
        cookie = self.gate.claim(token)
        if cookie is None:
            return None
        secure = "; Secure" if _is_https(scope) else ""
        return (
            f"{self.gate.owner_cookie}={cookie}; Path=/; Max-Age={STAY}; HttpOnly; "
            f"SameSite=Strict{secure}"
        )

    def _with_cookie(self, scope: Scope, send: Send) -> Send:
        """Adds a visitor's cookie to an answer that is a page."""

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] == 200:
                kind = dict(message.get("headers", ())).get(b"content-type", b"")
                if kind.startswith(b"text/html"):
                    cookie = self._visitor_cookie(scope).encode("ascii")
                    message["headers"] = [*message["headers"], (b"set-cookie", cookie)]
            await send(message)

        return answer

    def _visitor_cookie(self, scope: Scope) -> str:
        # A Space stands in a frame on another site, which sees only cookies that say so.
        site = "None; Secure; Partitioned" if self.gate.on_space else "Lax"
        if not self.gate.on_space and _is_https(scope):
            site += "; Secure"
        return (
            f"{self.gate.visitor_cookie}={self.gate.new_visitor()}; Path=/; "
            f"Max-Age={_REMEMBERED}; HttpOnly; SameSite={site}"
        )


def _is_https(scope: Scope) -> bool:
    return scope.get("scheme") == "https" or header(scope, "x-forwarded-proto") == "https"


def _query(scope: Scope) -> list[tuple[str, str]]:
    text = scope.get("query_string", b"").decode("latin-1")
    try:
        return parse_qsl(text, keep_blank_values=True, max_num_fields=50)
    except ValueError:
        return []


def _token(scope: Scope) -> str | None:
    """The token in a page's address; what a browser only fetches ahead does not spend it."""
    ahead = header(scope, "sec-purpose") or header(scope, "purpose")
    if ahead or scope["path"].startswith("/gradio_api/"):
        return None
    return dict(_query(scope)).get("token")


async def _redirect(scope: Scope, send: Send, cookie: str | None) -> None:
    """To the same page without the token, which so leaves the address bar and the history."""
    rest = urlencode([pair for pair in _query(scope) if pair[0] != "token"])
    page = quote(scope["path"].rsplit("/", 1)[-1])
    place = f"./{page}?{rest}" if rest else f"./{page}"
    headers = [
        (b"location", place.encode("ascii")),
        (b"cache-control", b"no-store"),
        (b"content-length", b"0"),
    ]
    if cookie:
        headers.append((b"set-cookie", cookie.encode("ascii")))
    await send({"type": "http.response.start", "status": 303, "headers": headers})
    await send({"type": "http.response.body", "body": b""})
