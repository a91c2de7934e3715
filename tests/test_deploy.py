"""A finished run given away: merged, copied, and sent to a server that speaks as the Hub does."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

from empo.deploy import export, push
from empo.errors import DataError, FetchError, UsageError
from empo.settings import settings
from empo.training.folder import RunFolder, make_folder, runs_home
from tests.small_runs import small_spec
from tests.tiny_models import plain, save_adapter, save_base

TOKEN = "hf_" + "x" * 34


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunFolder:
    """A finished run's folder, with what trainers leave beside an adapter."""
    monkeypatch.setenv("EMPO_HOME", str(tmp_path / "home"))
    settings.cache_clear()
    base = save_base(tmp_path / "base")
    folder = make_folder(small_spec(base, "mine"), runs_home())
    save_adapter(base, folder.adapter, 1)
    (folder.adapter / "training_args.bin").write_bytes(b"pickle")
    save_adapter(base, folder.adapter / "ref", 2)
    (folder / "README.md").write_text("---\nlibrary_name: peft\n---\n# mine\n", "utf-8")
    (folder / "model.json").write_text("{}", "utf-8")
    return folder


def test_the_merged_model_speaks_as_base_and_adapter_do(run: RunFolder, tmp_path: Path) -> None:
    out = tmp_path / "merged"
    export("mine", out, merged=True)
    assert not [path.name for path in out.iterdir() if path.suffix in (".bin", ".pt")]
    merged = AutoModelForCausalLM.from_pretrained(out, dtype=torch.float32).eval()
    tuned = PeftModel.from_pretrained(plain(Path(run.spec().base)), run.adapter).eval()
    ids = torch.tensor([[5, 90, 700, 33, 8]])
    with torch.inference_mode():
        assert torch.allclose(merged(ids).logits, tuned(ids).logits, atol=1e-4)
        assert not torch.allclose(merged(ids).logits, plain(Path(run.spec().base))(ids).logits)
    assert AutoTokenizer.from_pretrained(out).chat_template
    with pytest.raises(DataError, match="is there already"):
        export("mine", out, merged=True)


def test_a_copy_holds_three_files(run: RunFolder, tmp_path: Path) -> None:
    export("mine", tmp_path / "copy")
    assert sorted(path.name for path in (tmp_path / "copy").iterdir()) == [
        "README.md",
        "adapter_config.json",
        "adapter_model.safetensors",
    ]


class _Hub(BaseHTTPRequestHandler):
    """The Hub's answers to a small upload; what was committed is kept by path."""

    files: dict[str, bytes]
    seen: list[str]
    refuse = False

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.seen.append(f"{self.path} {self.headers.get('Authorization')}")
        if self.refuse:
            self._say({"error": f"You shall not pass with {TOKEN}"}, 403)
        elif self.path.endswith("/repos/create"):
            asked = json.loads(body)
            self.seen.append(f"private={asked.get('private', asked.get('visibility'))}")
            self._say({"url": "https://huggingface.co/me/mine", "id": "me/mine"})
        elif "/preupload/" in self.path:
            files = [
                {"path": f["path"], "uploadMode": "regular", "shouldIgnore": False}
                for f in json.loads(body)["files"]
            ]
            self._say({"files": files})
        elif "/commit/" in self.path:
            for line in body.decode("utf-8").splitlines():
                row = json.loads(line)
                if row["key"] == "file":
                    self.files[row["value"]["path"]] = base64.b64decode(row["value"]["content"])
            self._say(
                {"commitOid": "0" * 40, "commitUrl": "https://huggingface.co/me/mine/commit/0"}
            )
        else:
            self._say({"errors": [], "warnings": []})

    def do_GET(self) -> None:
        self._say({"id": "me/mine", "sha": "0" * 40, "siblings": []})

    def _say(self, value: object, code: int = 200) -> None:
        body = json.dumps(value).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, type[_Hub]]]:
    import huggingface_hub.constants as constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    kind = type("Hub", (_Hub,), {"files": {}, "seen": [], "refuse": False})
    server = ThreadingHTTPServer(("127.0.0.1", 0), kind)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", kind
    server.shutdown()


def test_what_is_sent_is_safetensors_configuration_and_card(
    run: RunFolder, hub: tuple[str, type[_Hub]]
) -> None:
    endpoint, kind = hub
    address = push("mine", "me/mine", endpoint=endpoint, token=TOKEN)
    assert address == "https://huggingface.co/me/mine/commit/0"
    assert set(kind.files) == {"README.md", "adapter_config.json", "adapter_model.safetensors"}
    for name in ("adapter_config.json", "adapter_model.safetensors"):
        assert kind.files[name] == (run.adapter / name).read_bytes()
    assert any("private" in line and "alse" not in line for line in kind.seen)


def test_a_refusal_is_one_sentence_without_the_token(
    run: RunFolder, hub: tuple[str, type[_Hub]]
) -> None:
    endpoint, kind = hub
    kind.refuse = True
    with pytest.raises(FetchError, match="me/mine could not be uploaded") as caught:
        push("mine", "me/mine", endpoint=endpoint, token=TOKEN)
    assert TOKEN not in str(caught.value) and not kind.files


def test_what_cannot_be_pushed_is_said(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.get_token", lambda: None)
    with pytest.raises(UsageError, match="no Hub token on this machine: run hf auth login"):
        push("mine", "me/mine")
    with pytest.raises(UsageError, match="write OWNER/NAME"):
        push("mine", "mine")
    (run / "model.json").unlink()
    with pytest.raises(UsageError, match="has not finished"):
        push("mine", "me/mine")
