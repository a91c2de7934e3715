"""Scripts and styles that the page fetches when it needs them, at /empo/NAME; nothing else."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from empo.settings import ASSETS

FILES = {"arena.js": "text/javascript", "arena.css": "text/css"}


def routes() -> list[Route]:
    """For `app_kwargs={"routes": …}`."""
    return [Route(f"/empo/{name}", _served(name, kind)) for name, kind in FILES.items()]


def _served(name: str, kind: str):  # type: ignore[no-untyped-def]
    async def serve(request: Request) -> Response:
        # Looked at anew each time: an update of the app must not meet an old script.
        return FileResponse(ASSETS / name, media_type=kind, headers={"cache-control": "no-cache"})

    return serve
