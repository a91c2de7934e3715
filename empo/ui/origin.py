"""What a request says about where it comes from. Nothing here trusts what a page can make up."""

from __future__ import annotations

from collections.abc import MutableMapping
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from starlette.datastructures import Headers

Scope = MutableMapping[str, Any]  # of ASGI
# What proxies add. nginx, as it comes, adds nothing but speaks HTTP/1.0.
_PROXY = ("forwarded", "via", "x-real-ip", "true-client-ip", "cf-connecting-ip", "x-client-ip")


def header(scope: Scope, name: str) -> str | None:
    """The value of a header that is there exactly once."""
    values = Headers(scope=scope).getlist(name)
    return values[0].strip() if len(values) == 1 else None


def is_loopback(host: str) -> bool:
    """Whether an address, or the name localhost, means this machine only."""
    if host.lower() == "localhost":
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def through_proxy(scope: Scope) -> bool:
    """Whether something stood between the browser and this process, as far as it shows."""
    names = {name.decode("latin-1").lower() for name, _ in scope["headers"]}
    added = any(name.startswith("x-forwarded") or name in _PROXY for name in names)
    return added or scope.get("http_version", "1.0") == "1.0"


def host_name(scope: Scope) -> str | None:
    """The name in the Host header, without its port; None if it is no name (and port)."""
    host = header(scope, "host") or ""
    try:
        parts = urlsplit(f"//{host}")
        whole = parts.netloc == host and "@" not in host and parts.port != 0
    except ValueError:
        return None
    return parts.hostname if whole else None


def from_here(scope: Scope) -> bool:
    """Whether this machine's own browser asked, by a name that only means this machine.

    The name matters: a stranger's page can make its own name point here (DNS rebinding).
    """
    client, name = scope.get("client"), host_name(scope)
    if not client or not name or through_proxy(scope):
        return False
    return is_loopback(client[0]) and is_loopback(name)


def same_origin(scope: Scope, hosts: frozenset[str] | None = None) -> bool:
    """Whether the page that asks is this app's own: no other page can make a browser say so.

    `hosts`: the names under which it is known to be served, over https (on a Space); without them
    what counts is the Host header. Gradio lets other sites' pages ask, and answers them.
    """
    origin, host = header(scope, "origin"), header(scope, "host")
    if not origin or header(scope, "sec-fetch-site") not in (None, "same-origin"):
        return False
    if Headers(scope=scope).getlist("sec-fetch-site")[1:]:
        return False
    scheme, _, place = origin.lower().partition("://")
    if hosts is not None:
        return scheme == "https" and place in hosts
    return scheme in ("http", "https") and bool(host) and place == host.lower()
