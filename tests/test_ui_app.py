"""The page as a process: address, headers, and one sentence for each wrong way to start it."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from empo.errors import EmpoError
from empo.ui.app import check_port, main
from tests.browser import ROOT, app, free_port


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    log = tmp_path_factory.mktemp("app") / "log.txt"
    with app("--engine", "echo", log=log) as address, httpx.Client(base_url=address) as client:
        yield client


def test_the_page_is_served_whole_and_asks_nothing_of_others(client: httpx.Client) -> None:
    page = client.get("/")
    assert page.status_code == 200 and "EmPO Space" in page.text
    config = client.get("/config").json()
    assert str(ROOT) not in json.dumps(config)
    assert "findahelpline.com" in json.dumps(config)


def test_headers_and_sizes(client: httpx.Client) -> None:
    headers = client.get("/").headers
    assert "frame-ancestors 'self' https://huggingface.co" in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert client.post("/gradio_api/queue/join", content=b"x" * 4_000_001).status_code == 413
    for size, code in ((5_000_000, 200), (16_200_000, 413)):
        sent = {"files": ("pairs.csv", b"x" * size)}
        assert client.post("/gradio_api/upload", files=sent).status_code == code


@pytest.mark.parametrize(
    "path",
    [
        "/monitoring/summary",
        "/gradio_api/file=/etc/passwd",
        "/gradio_api/file=assets/opening.json",
        "/gradio_api/file=pyproject.toml",
        "/gradio_api/file=../../etc/passwd",
        "/gradio_api/file=https://example.com/",
    ],
)
def test_nothing_else_is_served(client: httpx.Client, path: str) -> None:
    assert client.get(path).status_code in (400, 403, 404)


def test_a_taken_port_is_one_sentence() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        command = [sys.executable, "app.py", "--engine", "echo", "--port", str(port)]
        run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert run.returncode == 1
    assert run.stderr.count("\n") == 1 and f"Port {port}" in run.stderr
    assert "--port" in run.stderr and not run.stdout


def test_a_free_port_is_fine_and_a_wrong_one_is_not() -> None:
    check_port("127.0.0.1", free_port())
    with pytest.raises(EmpoError, match="no port 99999"):
        check_port("127.0.0.1", 99999)


def test_wrong_starts_are_one_sentence(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    broken = tmp_path / "x.yaml"
    broken.write_text("name: [")
    for options, code, words in (
        (["--stack", "nobody"], 2, "There is no stack “nobody”"),
        (["--stack", str(broken)], 1, "x.yaml is not YAML"),
        (["--replies", str(broken)], 2, "There are no recorded replies"),
        (["--host", "256.1.1.1"], 1, "cannot be used"),
    ):
        assert main(["--engine", "echo", "--port", str(free_port()), *options]) == code
        err = capsys.readouterr().err
        assert words in err and err.count("\n") == 1


def test_the_first_page_needs_no_torch() -> None:
    code = (
        "import sys\nfrom empo.settings import settings\n"
        "from empo.ui.app import build, services_for\n"
        "build(services_for('nano', None, 'local', settings()))\n"
        "assert not {'torch', 'transformers', 'peft'} & set(sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
