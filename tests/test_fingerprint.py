"""Short hashes of adapters, against hashlib on files made here."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

from empo.models.fingerprint import WEIGHTS, file_hash, short_hashes
from empo.models.stacks import Source, load_stack


def test_a_file_is_hashed_and_a_cached_blob_is_known_by_its_name(tmp_path: Path) -> None:
    plain = tmp_path / "a.safetensors"
    plain.write_bytes(b"abc")
    assert file_hash(plain) == hashlib.sha256(b"abc").hexdigest()
    blob = tmp_path / ("0" * 63 + "1")
    blob.write_bytes(b"abc")
    link = tmp_path / "b.safetensors"
    link.symlink_to(blob)
    assert file_hash(link) == blob.name


def test_each_model_has_its_adapters_hash(tmp_path: Path) -> None:
    for name in ("sft", "dpo"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "adapter_config.json").write_text("{}")
        (tmp_path / name / WEIGHTS).write_bytes(name.encode())
    sft, dpo = (hashlib.sha256(n).hexdigest()[:8] for n in (b"sft", b"dpo"))
    stack = load_stack("nano")
    adapters = {"sft": Source(str(tmp_path / "sft")), "dpo": Source(str(tmp_path / "dpo"))}
    blend = replace(stack.models[2], name="blend", adapters={"sft": 0.5, "dpo": 0.5})
    stack = replace(stack, adapters=adapters, models=(*stack.models, blend))
    assert short_hashes(stack) == {"base": "", "sft": sft, "dpo": dpo, "blend": f"{sft}+{dpo}"}
    gone = replace(stack, adapters={**adapters, "sft": Source(str(tmp_path / "none"))})
    assert short_hashes(gone)["sft"] == ""
