"""What Gradio leaves out of its answers: where the page may be framed, what it may load, how much
it takes. A plain ASGI middleware.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]

MAX_BODY = 4_000_000  # bytes; a whole conversation kept over a reload is far smaller
MAX_UPLOAD = 16_000_000  # bytes of an uploaded file of pairs
_AROUND = 100_000  # bytes that a form puts around a file
# Gradio needs inline scripts and styles, and builds functions from text (gr.HTML).
POLICY = "; ".join(
    (
        "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:",
        "object-src 'none'",
        "base-uri 'self'",
        "form-action 'self'",
        "frame-ancestors 'self' https://huggingface.co https://*.hf.space",
    )
)
HEADERS = (
    (b"content-security-policy", POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"strict-origin-when-cross-origin"),
)


class Guard:
    """Adds the headers to every answer and refuses requests that are too large (413)."""

    def __init__(self, app: App) -> None:
        self.app = app

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        length = dict(scope["headers"]).get(b"content-length", b"0")
        if length.isdigit() and int(length) > _most(scope):
            await send({"type": "http.response.start", "status": 413, "headers": list(HEADERS)})
            await send({"type": "http.response.body", "body": b"Too large."})
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *HEADERS]
            await send(message)

        await self.app(scope, receive, with_headers)


def _most(scope: Message) -> int:
    """Bytes that a request may have: more where files are uploaded."""
    return MAX_UPLOAD + _AROUND if scope["path"].endswith("/upload") else MAX_BODY
