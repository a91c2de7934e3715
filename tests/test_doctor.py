"""empo/doctor.py: what it finds on this machine, and on ones made for it."""

from __future__ import annotations

import json
from importlib import metadata
from pathlib import Path

import psutil
import pytest

from empo import doctor
from empo.cli import main
from empo.doctor import Finding, Gpu, examine, gpus, graphics, healthy, memory_limit, packages, pins
from empo.settings import ROOT, settings


def test_everything_is_looked_at_on_this_machine() -> None:
    found = {finding.name: finding for finding in examine()}
    assert list(found)[:6] == ["Python", "Processor", "Memory", "Disk", "GPU", "Packages"]
    assert {"Stack nano", "Stack zephyr-7b", "Data: ed", "Data: vad", "Chromium"} <= set(found)
    assert found["Processor"].facts["cores"] >= 1
    assert 0 < found["Memory"].facts["free_bytes"] <= found["Memory"].facts["bytes"]
    for finding in found.values():
        assert bool(finding.remedy) == (finding.status != "ok"), finding


def test_the_command_prints_json_and_its_exit_code_says_whether_all_is_well(
    capsys: pytest.CaptureFixture[str],
) -> None:
    code = main(["doctor", "--json"])
    shown = json.loads(capsys.readouterr().out)
    assert code == (0 if shown["healthy"] else 1)
    assert {"name", "status", "found", "remedy", "facts"} == set(shown["findings"][0])


def test_the_command_for_a_person_lists_the_remedies(
    no_data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["doctor"])
    shown = capsys.readouterr().out
    assert "Python" in shown
    assert "Data: vad: python -m empo fetch vad" in shown


def test_only_a_problem_is_ill_health() -> None:
    fine = [Finding("a", "ok", "x"), Finding("b", "note", "y", "do")]
    assert healthy(fine)
    assert not healthy([*fine, Finding("c", "problem", "z", "mend")])


def fake_smi(folder: Path, output: str) -> str:
    script = folder / "nvidia-smi"
    script.write_text(f"#!/bin/sh\ncat <<'EOF'\n{output}\nEOF\n")
    script.chmod(0o755)
    return str(script)


def test_what_the_driver_reports_is_read(tmp_path: Path) -> None:
    lines = "NVIDIA H200, 143771, 143000, 570.1\nOdd, Name GPU, 15360, 100, 550.54.15"
    first, second = gpus(fake_smi(tmp_path, lines))
    assert first == Gpu("NVIDIA H200", 143771 * 2**20, 143000 * 2**20, "570.1")
    assert second.name == "Odd, Name GPU"
    assert gpus(fake_smi(tmp_path, "NVIDIA Thing, [N/A], [N/A], 570.1")) == ()
    assert gpus(str(tmp_path / "no such command")) == ()


def test_a_gpu_that_torch_cannot_use_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    card = Gpu("NVIDIA L4", 24 * 10**9, 23 * 10**9, "570")
    monkeypatch.setattr(doctor, "installed", lambda package: "2.13.0+cpu")
    assert graphics((card,)).status == "problem"
    assert "built for CUDA" in graphics((card,)).remedy
    monkeypatch.setattr(doctor, "installed", lambda package: "2.13.0")
    assert graphics((card,)) == Finding(
        *("GPU", "ok", "NVIDIA L4 (24 GB)", ""),
        facts={
            "devices": [
                {
                    "name": "NVIDIA L4",
                    "bytes": card.memory,
                    "free_bytes": card.free,
                    "driver": "570",
                }
            ]
        },
    )
    assert graphics(()).status == "note"


def test_a_container_s_limit_counts(tmp_path: Path) -> None:
    total = psutil.virtual_memory().total
    limit = tmp_path / "memory.max"
    limit.write_text("1000000\n")
    assert memory_limit(limit) == 1_000_000
    limit.write_text("max\n")
    assert memory_limit(limit) == total
    assert memory_limit(tmp_path / "none") == total


def test_pins_are_read_and_compared(tmp_path: Path) -> None:
    path = tmp_path / "requirements.txt"
    path.write_text(
        f"# comment\npytest=={metadata.version('pytest')}\nuvicorn[x]==0.0.1 ; a\n-r b\n"
    )
    assert set(pins(path)) == {"pytest", "uvicorn"}
    found = packages(path)
    assert (found.status, "uvicorn" in found.found) == ("note", True)
    assert "instead of 0.0.1" in found.found
    path.write_text("no-such-package==1.0\n")
    assert packages(path).found == "missing: no-such-package"
    assert packages(path).status == "problem"


def test_the_project_s_own_pins_hold_here() -> None:
    assert {"torch", "gradio", "transformers"} <= set(pins(ROOT / "requirements.txt"))
    assert packages().status == "ok", packages().found


def test_data_that_is_here_is_found(tmp_path: Path) -> None:
    assert [f.status for f in doctor.data(tmp_path)] == ["note"] * 4
    for name in ("ed_train.jsonl.gz", "ed_valid.jsonl.gz", "recorded_replies_base.csv"):
        (tmp_path / name).touch()
    (tmp_path / "nrc_vad_lexicon.txt").touch()
    found = {f.name: f for f in doctor.data(tmp_path)}
    assert found["Data: ed"].found == "not here: test"
    assert found["Data: ed"].remedy == "python -m empo fetch ed"
    assert found["Data: replies"].status == found["Data: vad"].status == "ok"
    assert found["Data: vad"].facts["files"] == [str(tmp_path / "nrc_vad_lexicon.txt")]


def test_a_home_that_does_not_exist_yet_is_measured_above(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EMPO_HOME", str(tmp_path / "a" / "b"))
    settings.cache_clear()
    assert doctor.disk().facts["path"] == str(tmp_path / "a" / "b")
    assert doctor.disk().facts["free_bytes"] > 0
    assert not (tmp_path / "a").exists()
