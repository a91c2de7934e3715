"""The whole page behind its door, and raw calls of the Train tab's functions."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx

from empo.settings import Settings
from empo.training.folder import runs_home
from empo.ui.app import build, services_for
from empo.ui.launch import launch
from empo.ui.owner import Gate
from empo.ui.pair_desk import OWN
from empo.ui.run_desk import first_form
from tests.browser import free_port


class Page:
    """The whole page behind its door, and raw calls of its functions."""

    def __init__(self, **config: Any) -> None:
        port = free_port()
        self.address = f"http://127.0.0.1:{port}"
        self.gate = Gate(Settings(space_id=None, ask_token=True), "127.0.0.1", port)
        page = build(services_for("nano", None, "echo", Settings(space_id=None, **config)))
        self.numbers: dict[str, list[int]] = {}
        for number, fn in page.fns.items():
            if getattr(fn.fn, "__qualname__", "").startswith("TrainerEvents."):
                self.numbers.setdefault(fn.fn.__name__, []).append(number)
        launch(page, self.gate, "127.0.0.1", port)
        self.page = page

    def call(self, name: str, data: list[Any], event: Any, headers: dict[str, str]) -> str:
        """What the queue says in the end about every function called `name`."""
        return "\n".join(self.ask(n, data, event, headers) for n in self.numbers[name])

    def ask(self, number: int, data: list[Any], event: Any, headers: dict[str, str]) -> str:
        """What the queue says in the end about function `number`; past the queue, too."""
        where, session = f"{self.address}/gradio_api", f"s{uuid4().hex}"
        with httpx.Client(base_url=where, headers=headers, timeout=300) as client:
            body = {"data": data, "fn_index": number, "session_hash": session}
            body |= {"event_data": event} if event else {}
            joined = client.post("/queue/join", json=body)
            assert joined.status_code == 200, joined.text
            told = _last(client, session)
            client.post("/run/predict", json={**body, "session_hash": session + "x"})
        return told

    def owner(self) -> dict[str, str]:
        cookie = self.gate.claim(str(self.gate.token))
        return {"origin": self.address, "cookie": f"{self.gate.owner_cookie}={cookie}"}


def _last(client: httpx.Client, session: str) -> str:
    with client.stream("GET", "/queue/data", params={"session_hash": session}) as stream:
        for line in stream.iter_lines():
            if "process_completed" in line:
                return line
    raise AssertionError("the queue ended before the function did")


def snapshot(folder: Path | None = None) -> dict[str, str]:
    """Every file of the runs (or of `folder`), with its contents."""
    folder = folder or runs_home()
    return {
        str(path.relative_to(folder)): sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.endswith(".lock")
    }


def asked_for(name: str) -> list[Any]:
    form = replace(first_form("dpo", "nano"), name=name)
    fields = [getattr(form, field) for field in form.__dataclass_fields__]
    return [*fields, OWN, "paper", 1, 0, "", None, None]
