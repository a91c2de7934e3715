"""A server that speaks as the Hub does about repositories and jobs, for the tests.

Repositories are lists of commits in memory. A job either is what a test says it is, or (`works`)
is really done: its command runs in a process of its own, with its variables and its secrets, in an
empty folder. What every request brought is kept, so that a test can see where the token went.
"""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha1
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from empo.training import queue
from empo.training.folder import run_folders

TOKEN = "hf_" + "Secret" * 5 + "1234"
OVER = ("COMPLETED", "ERROR", "CANCELED", "DELETED")
HARDWARE = [
    ("cpu-basic", "CPU Basic", "16 GB", None, 0.000167, "minute"),
    ("t4-small", "Nvidia T4 - small", "15 GB", ("Nvidia", "1", "16 GB"), 0.4, "hour"),
    ("l4x1", "1x Nvidia L4", "30 GB", ("Nvidia", "1", "24 GB"), 0.9 / 60, "minute"),
    ("l4x4", "4x Nvidia L4", "186 GB", ("Nvidia", "4", "96 GB"), 3.8 / 60, "minute"),
    ("inf2x6", "6x Inferentia", "384 GB", ("AWS", "6", "192 GB"), 0.5, "minute"),
]


@dataclass
class Job:
    """A job as the server knows it."""

    id: str
    spec: dict[str, Any]
    stage: str = "SCHEDULING"
    message: str | None = None
    lines: list[str] = field(default_factory=list)
    running: int = 0  # seconds
    process: subprocess.Popen[str] | None = None

    def as_json(self, owner: str) -> dict[str, Any]:
        return {
            "id": self.id,
            "createdAt": "2026-11-01T10:00:00.000Z",
            "owner": {"id": "1", "name": owner, "type": "user"},
            "command": self.spec["command"],
            "flavor": self.spec["flavor"],
            "labels": self.spec.get("labels"),
            "status": {"stage": self.stage, "message": self.message},
            "durations": {"schedulingSecs": 1, "runningSecs": self.running, "totalSecs": 2},
        }


class Hub:
    """The server's state. `refuse`: the answer (code, text) to paths that contain a key."""

    def __init__(self, folder: Path, works: bool = False) -> None:
        self.folder, self.works = folder, works
        self.repos: dict[str, list[dict[str, bytes]]] = {}
        self.jobs: dict[str, Job] = {}
        self.requests: list[tuple[str, str, str, bytes]] = []
        self.refuse: dict[str, tuple[int, str]] = {}
        self.down = False
        self.break_log_after: int | None = None  # events, once
        self.role = "write"
        self.lock = threading.RLock()
        self.url = ""

    # -- repositories

    def revision(self, repo: str, at: int = -1) -> str:
        commits = self.repos[repo]
        number = at % len(commits)
        return sha1(f"{repo}{number}".encode()).hexdigest()

    def files(self, repo: str, revision: str = "main") -> dict[str, bytes]:
        commits = self.repos[repo]
        for number, found in enumerate(commits):
            if self.revision(repo, number) == revision:
                return found
        return commits[-1]

    def commit(self, repo: str, files: dict[str, bytes], gone: tuple[str, ...] = ()) -> None:
        """A new commit; a path in `gone` that ends with a slash is a folder."""
        with self.lock:
            old = self.repos[repo][-1]
            kept = {k: v for k, v in old.items() if not any(_within(k, path) for path in gone)}
            self.repos[repo].append(kept | files)

    # -- jobs

    def begin(self, spec: dict[str, Any]) -> Job:
        with self.lock:
            job = Job(f"{len(self.jobs) + 1:024x}", spec)
            self.jobs[job.id] = job
        if self.works:
            threading.Thread(target=self._work, args=[job], daemon=True).start()
        return job

    def _work(self, job: Job) -> None:
        command = job.spec["command"]
        place = self.folder / job.id
        (place / "blocked").mkdir(parents=True)
        (place / "blocked" / "sitecustomize.py").write_text(BLOCK, "utf-8")
        job.process = subprocess.Popen(
            [sys.executable, *command[command.index("python") + 1 :]],
            cwd=place,
            env=self._variables(job, place),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        job.stage = "RUNNING"
        late = threading.Timer(job.spec["timeoutSeconds"], self._too_late, [job])
        late.start()
        assert job.process.stdout is not None
        for line in job.process.stdout:
            job.lines.append(line.rstrip("\n"))
        code = job.process.wait()
        late.cancel()
        if job.stage == "RUNNING":
            job.message = f"Job failed with exit code: {code}" if code else None
            job.stage = "ERROR" if code else "COMPLETED"

    def _variables(self, job: Job, place: Path) -> dict[str, str]:
        passed = {k: os.environ[k] for k in ("PATH", "HOME", "LANG") if k in os.environ}
        own = {
            "HF_ENDPOINT": self.url,
            "HF_HUB_DISABLE_XET": "1",
            "HF_HOME": str(place / "hf"),
            "EMPO_HOME": str(place / "empo-home"),
            "OMP_NUM_THREADS": "1",
            "PYTHONPATH": str(place / "blocked"),
        }
        return passed | own | job.spec["environment"] | job.spec["secrets"]

    def _too_late(self, job: Job) -> None:
        job.stage, job.message = "ERROR", "Job timeout"
        self.end(job)

    def end(self, job: Job) -> None:
        if job.process is not None and job.process.poll() is None:
            os.killpg(job.process.pid, signal.SIGKILL)

    def close(self) -> None:
        for job in self.jobs.values():
            self.end(job)


# In a job there is no package that only the page needs: it is not found there.
BLOCK = """
from importlib.machinery import PathFinder
real = PathFinder.find_spec
absent = {"gradio", "spaces", "plotly", "sqlalchemy", "psycopg", "limits", "confusable_homoglyphs",
          "authlib", "itsdangerous"}
PathFinder.find_spec = staticmethod(lambda name, path=None, target=None: (
    None if name.split(".")[0] in absent else real(name, path, target)))
"""


def _within(path: str, gone: str) -> bool:
    return path.startswith(gone) if gone.endswith("/") else path == gone


class _Handler(BaseHTTPRequestHandler):
    hub: Hub

    def handle_any(self) -> None:
        hub, split = self.hub, urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        seen = self.headers.get("Authorization") or ""
        hub.requests.append((self.command, self.path, seen, body))
        if hub.down:
            self.close_connection = True
            return
        for part, (code, text) in hub.refuse.items():
            if part in f"{self.command} {self.path}":
                self.say({"error": text}, code)
                return
        if seen != f"Bearer {TOKEN}":
            self.say({"error": "Invalid username or password."}, 401)
            return
        path = unquote(split.path).strip("/").split("/")
        try:
            self.route(path, parse_qs(split.query), body)
        except KeyError:
            self.say({"error": "Repository or job not found"}, 404)

    do_GET = do_POST = do_HEAD = do_DELETE = handle_any

    def route(self, path: list[str], query: dict[str, list[str]], body: bytes) -> None:
        if path == ["api", "whoami-v2"]:
            access = {"accessToken": {"displayName": "t", "role": self.hub.role}}
            self.say({"name": "me", "type": "user", "orgs": [], "auth": access})
        elif path[:2] == ["api", "jobs"]:
            self.job(path[2:], query, body)
        elif path[:2] == ["api", "repos"]:
            self.whole_repo(path[2], json.loads(body))
        elif path[:2] == ["api", "datasets"]:
            self.repo("/".join(path[2:4]), path[4:], body)
        elif path[0] == "datasets" and path[3] == "resolve":
            self.file("/".join(path[1:3]), path[4], "/".join(path[5:]))
        else:
            raise KeyError(self.path)

    # -- repositories

    def whole_repo(self, what: str, asked: dict[str, Any]) -> None:
        name = (
            asked["name"]
            if "/" in asked["name"]
            else f"{asked.get('organization') or 'me'}/{asked['name']}"
        )
        if what == "create":
            assert asked.get("visibility") == "private" or asked.get("private") is True
            self.hub.repos.setdefault(name, [{}])
            self.say({"url": f"{self.hub.url}/datasets/{name}", "name": name, "id": name})
        else:
            del self.hub.repos[name]
            self.say({})

    def repo(self, name: str, rest: list[str], body: bytes) -> None:
        hub = self.hub
        hub.repos[name]
        if not rest or rest[0] == "revision":
            self.say({"id": name, "sha": hub.revision(name), "private": True, "siblings": []})
        elif rest[0] == "preupload":
            asked = json.loads(body)["files"]
            modes = {"uploadMode": "regular", "shouldIgnore": False, "oid": None}
            self.say({"files": [{"path": item["path"], **modes} for item in asked]})
        elif rest[0] == "commit":
            self.committed(name, body)
        elif rest[0] == "tree":
            files = hub.files(name, rest[1])
            self.say([
                {"type": "file", "path": path, "size": len(data), "oid": sha1(data).hexdigest()}
                for path, data in files.items()
            ])  # fmt: skip
        else:
            raise KeyError(name)

    def committed(self, name: str, body: bytes) -> None:
        files, gone = {}, []
        for line in body.splitlines():
            row = json.loads(line)
            if row["key"] == "file":
                files[row["value"]["path"]] = base64.b64decode(row["value"]["content"])
            elif row["key"] == "deletedFile":
                gone.append(row["value"]["path"])
            elif row["key"] == "deletedFolder":
                gone.append(row["value"]["path"].rstrip("/") + "/")
        self.hub.commit(name, files, tuple(gone))
        oid = self.hub.revision(name)
        self.say({"commitOid": oid, "commitUrl": f"{self.hub.url}/datasets/{name}/commit/{oid}"})

    def file(self, name: str, revision: str, path: str) -> None:
        files = self.hub.files(name, revision)
        if path not in files:
            self.send_response(404)
            self.send_header("X-Error-Code", "EntryNotFound")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        data = files[path]
        commit = self.hub.revision(name) if revision == "main" else revision
        head = {"ETag": f'"{sha1(data).hexdigest()}"', "X-Repo-Commit": commit}
        self.say(data, 200, head)

    # -- jobs

    def job(self, path: list[str], query: dict[str, list[str]], body: bytes) -> None:
        hub = self.hub
        if path == ["hardware"]:
            self.say([_hardware(*row) for row in HARDWARE])
        elif len(path) == 1 and self.command == "POST":
            self.say(hub.begin(json.loads(body)).as_json(path[0]))
        elif len(path) == 1:
            wanted = dict(label.split("=", 1) for label in query.get("label", []))
            found = [j for j in hub.jobs.values() if wanted.items() <= j.spec["labels"].items()]
            self.say([job.as_json(path[0]) for job in found])
        elif len(path) == 2:
            self.say(hub.jobs[path[1]].as_json(path[0]))
        elif path[2] == "cancel":
            job = hub.jobs[path[1]]
            if job.stage not in OVER:
                job.stage = "CANCELED"
                hub.end(job)
            self.say({})
        else:
            self.log(hub.jobs[path[1]])

    def log(self, job: Job) -> None:
        """All lines from the first one on, then new ones until the job has ended."""
        hub, number = self.hub, 0
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        while not hub.down:
            while number < len(job.lines):
                if hub.break_log_after is not None and number >= hub.break_log_after:
                    hub.break_log_after = None
                    return
                event = {"data": job.lines[number], "timestamp": "2026-11-01T10:00:00.000Z"}
                self.wfile.write(f"data: {json.dumps(event)}\n\n".encode())
                self.wfile.flush()
                number += 1
            if job.stage in OVER and number >= len(job.lines):
                return
            time.sleep(0.02)

    def say(self, value: Any, code: int = 200, head: dict[str, str] | None = None) -> None:
        body = value if isinstance(value, bytes) else json.dumps(value).encode()
        self.send_response(code)
        for name, text in (head or {"Content-Type": "application/json"}).items():
            self.send_header(name, text)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


def _hardware(name: str, title: str, ram: str, card: Any, price: float, unit: str) -> Any:
    found = {"name": name, "prettyName": title, "cpu": "2 vCPU", "ram": ram, "unitLabel": unit}
    found |= {"unitCostMicroUSD": round(price * 1e6), "unitCostUSD": price}
    if card:
        maker, count, memory = card
        kind = "gpu" if maker == "Nvidia" else "neuron"
        found["accelerator"] = {
            "type": kind, "model": "X", "quantity": count, "vram": memory, "manufacturer": maker,
        }  # fmt: skip
    return found


@contextmanager
def stand_in(folder: Path, works: bool = False) -> Iterator[Hub]:
    """The server on a free port of this machine."""
    hub = Hub(folder, works)
    handler = type("Handler", (_Handler,), {"hub": hub})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    hub.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield hub
    finally:
        hub.close()
        server.shutdown()
        server.server_close()


def wind_up() -> None:
    """Throw the runs away and wait for the threads that send and follow them."""
    left = [one for one in threading.enumerate() if one.name.startswith(("send-", "job-"))]
    for thread in left:
        if thread.name.startswith("send-"):
            thread.join(60)
    for folder in run_folders():
        queue.remove_folder(folder)
    for thread in left:
        thread.join(30)
