"""How long the first page takes to serve, beside a bare Gradio page with as many components.

    python -m tests.bench.first_page [--rounds N] [--limit RATIO]

Both pages run in processes of their own; in every round each is asked once, in turn, for what a
browser asks for first (the page and its configuration). Medians and their ratio are printed; exit
code 1 if the ratio is above the limit (1.2). The app renders its page once for every address it is
reached at and keeps it (empo/ui/kept_page.py), so the second figure is what the first visitor at an
address waits for: the same ratio with an address of its own in every round. The third is the time
from starting the app to its first served page, in which no model is loaded yet: torch is not
imported on that way.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx

from tests.browser import ROOT, free_port

BARE = """
import sys
import gradio as gr
with gr.Blocks(title="bare", analytics_enabled=False) as page:
    for number in range(int(sys.argv[2])):
        gr.Textbox(label=f"Field {number}")
page.launch(server_port=int(sys.argv[1]), quiet=True, ssr_mode=False, run_history=False,
            enable_monitoring=False, footer_links=[])
"""
COUNT = """
from empo.settings import settings
from empo.ui.app import build, services_for
print(len(build(services_for("nano", None, "echo", settings())).blocks))
"""


@contextmanager
def server(*command: str, port: int) -> Iterator[tuple[httpx.Client, float]]:
    """A client of a started server, and the seconds until it first served its page."""
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    env = {**os.environ, "GRADIO_ANALYTICS_ENABLED": "False"}
    began = time.perf_counter()
    process = subprocess.Popen([sys.executable, *command], cwd=ROOT, env=env, **quiet)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
            while True:
                try:
                    client.get("/").raise_for_status()
                    break
                except httpx.HTTPError:
                    if process.poll() is not None or time.perf_counter() - began > 120:
                        raise RuntimeError(f"{command[0]} did not start") from None
                    time.sleep(0.05)
            yield client, time.perf_counter() - began
    finally:
        process.terminate()
        process.wait(20)


def seconds(client: httpx.Client, address: str | None = None) -> float:
    """The page and its configuration, once; as if asked for at `address`, where one is given."""
    headers = {"x-forwarded-host": address} if address else {}
    began = time.perf_counter()
    for path in ("/", "/config"):
        client.get(path, headers=headers).raise_for_status()
    return time.perf_counter() - began


def medians(pairs: list[tuple[float, float]]) -> tuple[float, float, float]:
    """Milliseconds of ours and of the bare page, and their ratio; the first five warm up."""
    ours, bare = (statistics.median(column) for column in zip(*pairs[5:], strict=True))
    return 1000 * ours, 1000 * bare, ours / bare


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--limit", type=float, default=1.2)
    options = parser.parse_args()
    counted = subprocess.run(
        [sys.executable, "-c", COUNT], cwd=ROOT, capture_output=True, text=True, check=True
    )
    count = counted.stdout.split()[-1]
    ours, bare = free_port(), free_port()
    with (
        server("app.py", "--engine", "echo", "--port", str(ours), port=ours) as (page, start),
        server("-c", BARE, str(bare), count, port=bare) as (plain, plain_start),
    ):
        pairs = [(seconds(page), seconds(plain)) for _ in range(options.rounds)]
        names = [f"visitor{n}.localhost" for n in range(options.rounds)]
        afresh = [(seconds(page, name), seconds(plain, name)) for name in names]
    first, second, ratio = medians(pairs)
    print(f"first page {first:.1f} ms, bare page with {count} components ", end="")
    print(f"{second:.1f} ms: ratio {ratio:.2f} (limit {options.limit:g})")
    first, second, anew = medians(afresh)
    print(f"rendered for a new address {first:.1f} ms, bare {second:.1f} ms: ratio {anew:.2f}")
    print(f"start to first page {start:.1f} s, bare {plain_start:.1f} s")
    return int(ratio > options.limit)


if __name__ == "__main__":
    sys.exit(main())
