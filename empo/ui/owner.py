"""Who may act, decided here from what the server knows; a hidden button protects nothing.

On a Space the owner is who has signed in with the Hub under the Space's own name or one of
`EMPO_OWNERS`. Elsewhere it is who opened the page with the token that the terminal printed (then
a cookie says so), and on an address that only this machine reaches, this machine's own browser.
Whatever is not known is a no. Every function that acts calls `require_owner` itself, first:

    def start(spec: str, request: gr.Request) -> str:
        require_owner(request)
"""

from __future__ import annotations

import hmac
import secrets
import threading
import time
from collections.abc import Callable
from hashlib import sha256
from typing import Any

import gradio as gr
from gradio.helpers import special_args
from starlette.requests import Request

from empo.errors import NotAllowed
from empo.settings import Settings
from empo.ui.origin import Scope, from_here, is_loopback, same_origin

# Where door.py leaves the gate; a client's headers, cookies and data cannot get there.
PLACE = "empo.gate"
STAY = 7 * 24 * 3600  # seconds that an owner's cookie is good for
ELSEWHERE = (
    "This was asked for by another page than this app's own, so it was not done; behind a proxy, "
    "let it pass the Host header on."
)
NO_SIGN_IN = (
    "This Space has no sign-in, so its owner cannot be told from others: set hf_oauth: true in the "
    "head of its README."
)
SIGN_IN = "Only the owner of this Space may do this: sign in with Hugging Face first."
NOT_YOU = (
    "Only an owner of this Space may do this, and you are signed in as somebody else; EMPO_OWNERS "
    "names who owns it."
)
TOKEN = (
    "Only the owner of this app may do this: open the address with ?token=… that its terminal "
    "printed (it works once; the newest one counts)."
)
NO_COOKIE = (
    "Your browser sent back no cookie of this page, so nobody can see that you vote once: allow "
    "cookies for it, and load the page again."
)


class Gate:
    """The rules of one running app. Thread-safe.

    `host` is the address it listens on; `key` (32 bytes or so) signs visitors' cookies, and who
    keeps it keeps their identities over a restart.
    """

    def __init__(
        self,
        config: Settings,
        host: str,
        port: int = 0,
        key: bytes | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.config = config
        self.on_space = bool(config.space_id)
        self.implied = not self.on_space and is_loopback(host) and not config.ask_token
        self.owner_cookie = f"empo-owner-{port}"
        self.visitor_cookie = f"empo-visitor-{port}"
        self.announce: Callable[[str], None] = lambda token: None
        self._key = key or secrets.token_bytes(32)
        self._clock = clock
        self._lock = threading.Lock()
        self._token = secrets.token_urlsafe(32)
        self._until: dict[bytes, float] = {}

    # -- the owner

    @property
    def token(self) -> str | None:
        """What makes its bearer the owner, once; None on a Space, where people sign in."""
        return None if self.on_space else self._token

    def claim(self, token: str) -> str | None:
        """The value of an owner's cookie, for the right token; the next token is announced."""
        with self._lock:
            if self.token is None or not hmac.compare_digest(token.encode(), self._token.encode()):
                return None
            self._token, cookie = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
            now = self._clock()
            kept = {seen: end for seen, end in self._until.items() if end > now}
            self._until = {**kept, _digest(cookie): now + STAY}
        self.announce(self._token)
        return cookie

    def refusal(self, scope: Scope) -> str | None:
        """Why whoever sent this request is not the owner; None: it is the owner."""
        if self.on_space:
            return self._refusal_on_space(scope)
        if not same_origin(scope):
            return ELSEWHERE
        if self.implied and from_here(scope):
            return None
        return None if self._has_cookie(scope) else TOKEN

    def _has_cookie(self, scope: Scope) -> bool:
        cookie = Request(scope).cookies.get(self.owner_cookie, "")
        return self._until.get(_digest(cookie), float("-inf")) > self._clock()

    def _refusal_on_space(self, scope: Scope) -> str | None:
        if not self.config.signs_in:
            return NO_SIGN_IN
        names = (self.config.space_host or "").lower().split(",")
        if not same_origin(scope, frozenset(name.strip() for name in names if name.strip())):
            return ELSEWHERE
        profile = signed_in(scope)
        if profile is None:
            return SIGN_IN
        return None if profile.username in self.config.owner_names else NOT_YOU

    # -- visitors

    def new_visitor(self) -> str:
        """A cookie for a browser that has none: a random name, signed."""
        name = secrets.token_urlsafe(16)
        return f"{name}.{self._keyed('cookie', name)}"

    def knows(self, scope: Scope) -> bool:
        """Whether the request brings a visitor's cookie that was made here."""
        return self._visitor_name(scope) is not None

    def visitor(self, scope: Scope) -> str | None:
        """Who votes: `user:` and the Hub's own number of a person, or `anon:` and a keyed hash."""
        profile = signed_in(scope) if self.on_space and self.config.signs_in else None
        if profile is not None and profile.get("sub"):
            return f"user:{profile['sub']}"
        name = self._visitor_name(scope)
        return None if name is None else f"anon:{self._keyed('anon', name)}"

    def _visitor_name(self, scope: Scope) -> str | None:
        cookie = Request(scope).cookies.get(self.visitor_cookie, "")
        name, _, mark = cookie.partition(".")
        right = hmac.compare_digest(mark.encode(), self._keyed("cookie", name).encode())
        return name if name and right else None

    def _keyed(self, use: str, name: str) -> str:
        return hmac.new(self._key, f"{use}\0{name}".encode(), sha256).hexdigest()[:32]


def _digest(cookie: str) -> bytes:
    return sha256(cookie.encode()).digest()


def signed_in(scope: Scope) -> gr.OAuthProfile | None:
    """The person whom Gradio's signed session names, unless that is past its time, or has none.

    Where the secret that signs is empty, this proves nothing: ask `Settings.signs_in` first.
    """

    def whose(profile: gr.OAuthProfile | None) -> None: ...

    try:
        until = scope["session"]["oauth_info"]["expires_at"]
        found = special_args(whose, [], gr.Request(Request(scope)))[0][0]
        return found if float(until) > time.time() and found.username else None
    except (KeyError, TypeError, ValueError):
        return None


def require_owner(request: Any) -> None:
    """Let the owner pass. To be called first in every function that acts for the owner.

    `request`: the `gr.Request` that Gradio gives to a function which has a parameter of that type.

    Raises:
        NotAllowed: whoever asks is not the owner, or a stranger's page asks in the owner's name.
    """
    gate, scope = _gate(request)
    if (reason := gate.refusal(scope)) is not None:
        raise NotAllowed(reason)


def is_owner(request: Any) -> bool:
    """Whether the owner asks: to decide what to show, never in place of `require_owner`."""
    try:
        require_owner(request)
    except NotAllowed:
        return False
    return True


def visitor(request: Any) -> str:
    """Who votes, the same over time for the same browser or person; never an address.

    Raises:
        NotAllowed: the browser keeps no cookies, and the person has not signed in.
    """
    gate, scope = _gate(request)
    found = gate.visitor(scope)
    if found is None:
        raise NotAllowed(NO_COOKIE)
    return found


def _gate(request: Any) -> tuple[Gate, Scope]:
    """The gate that the request came through, and what it brought.

    Raises:
        NotAllowed: it came through none.
    """
    inner = getattr(request, "request", None) or request
    scope = getattr(inner, "scope", None)
    gate = scope.get(PLACE) if isinstance(scope, dict) else None
    if not isinstance(gate, Gate):
        raise NotAllowed("This can only be done from the page of a running app.")
    return gate, scope
