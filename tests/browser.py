"""What the browser tests share: the app as a process of its own, and pages that notice trouble."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
SHOTS = ROOT / "tests" / "screenshots"
LAUNCH = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
PATIENCE = 120_000  # milliseconds; the machine may be slow, and busy with other things
PHONE = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def app(*options: str, log: Path, **variables: str) -> Iterator[str]:
    """The app on a free port; its address, once it says that it is there."""
    port = free_port()
    command = [sys.executable, "app.py", "--port", str(port), *options]
    with log.open("w") as out:
        process = subprocess.Popen(
            command, cwd=ROOT, stdout=out, stderr=out, env={**os.environ, **variables}
        )
        try:
            deadline = time.monotonic() + 300
            while "EmPO Space is at" not in log.read_text():
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < deadline, log.read_text()
                time.sleep(0.1)
            yield f"http://localhost:{port}/"
        finally:
            process.terminate()
            process.wait(20)


class Watched:
    """A page that remembers script errors, dialogs and requests to anywhere else."""

    def __init__(self, browser: Any, address: str, query: str = "", **context: Any) -> None:
        self.address = address
        self.trouble: list[str] = []
        self.context = browser.new_context(**context)
        self.page = self.context.new_page()
        self.page.set_default_timeout(PATIENCE)
        self.page.on("pageerror", lambda error: self.trouble.append(f"script: {error}"))
        self.page.on("dialog", self._dialog)
        self.page.on("request", self._request)
        self.open(query)

    def open(self, query: str = "") -> None:
        self.page.goto(self.address + query)
        self.page.wait_for_selector("#compare .head:visible, #about:visible")

    def _dialog(self, dialog: Any) -> None:
        self.trouble.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def _request(self, request: Any) -> None:
        if not request.url.startswith((self.address, "data:", "blob:")):
            self.trouble.append(f"request: {request.url}")

    # -- what a visitor does and sees

    def say(self, text: str) -> None:
        self.page.fill("#say textarea", text)
        self.page.press("#say textarea", "Enter")

    def answered(self, turns: int) -> None:
        """Wait until that many turns are there, not the example's, and nothing runs."""
        self.page.wait_for_function(
            "n => document.querySelectorAll('#compare .turn').length === n"
            " && document.querySelector('#compare .example').hidden"
            " && !document.body.classList.contains('empo-running')",
            arg=turns,
        )

    def texts(self, turn: int = -1) -> list[str]:
        """The replies of a turn, column by column."""
        return self.page.evaluate(
            "at => [...[...document.querySelectorAll('#compare .turn')].at(at)"
            ".querySelectorAll('.reply .text')].map(n => n.textContent)",
            turn,
        )

    def text(self, selector: str) -> str:
        return self.page.inner_text(selector)

    def serious(self, context: str | None = None) -> list[str]:
        """What axe finds seriously wrong, in the part `context` or everywhere."""
        from axe_playwright_python.sync_playwright import Axe

        found = Axe().run(self.page, context=context).response["violations"]
        return [
            f"{v['id']} ({v['impact']}): {node['target']} {node['failureSummary']}"
            for v in found
            if v["impact"] in ("serious", "critical")
            for node in v["nodes"]
        ]

    def shot(self, name: str, full: bool = True) -> None:
        SHOTS.mkdir(exist_ok=True)
        self.page.screenshot(path=SHOTS / f"{name}.png", full_page=full)

    def close(self) -> None:
        self.context.close()
        assert self.trouble == []
