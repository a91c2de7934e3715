"""Published checkpoints: found by name, converted once, in a child process, pickles refused."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from empo.scoring.card import ScorerError
from empo.scoring.checkpoints import convert, converted, find_checkpoint


class _Bomb:
    """A pickle that would leave a file behind if anything ran it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_the_converted_one_comes_first_and_names_may_vary(tmp_path: Path) -> None:
    with pytest.raises(ScorerError, match="emotional-reactions"):
        find_checkpoint(tmp_path, "emotional_reaction")
    (first := tmp_path / "Reddit_Emotional_Reactions.pth").touch()
    assert find_checkpoint(tmp_path, "emotional_reaction") == first
    (second := first.with_suffix(".safetensors")).touch()
    assert find_checkpoint(tmp_path, "emotional_reaction") == second


def test_a_state_dict_is_converted_once_by_a_child(tmp_path: Path) -> None:
    weight = torch.arange(6.0).reshape(2, 3)
    torch.save({"a": weight, "b": weight[0]}, path := tmp_path / "explorations.pth")
    target = converted(path)
    assert target == tmp_path / "explorations.safetensors"
    assert torch.equal(load_file(target)["a"], weight)
    assert torch.equal(load_file(target)["b"], weight[0])
    assert converted(target) == target
    assert sorted(p.name for p in tmp_path.iterdir()) == [path.name, target.name]


def test_code_in_a_pickle_does_not_run(tmp_path: Path) -> None:
    path = tmp_path / "interpretations.pth"
    with path.open("wb") as file:
        pickle.dump({"a": _Bomb(tmp_path / "ran")}, file)
    with pytest.raises(ScorerError, match="cannot be converted"):
        converted(path)
    assert not (tmp_path / "ran").exists()
    assert not path.with_suffix(".safetensors").exists()


@pytest.mark.parametrize("value", [[torch.zeros(1)], {"a": 3}, {1: torch.zeros(1)}])
def test_only_tensors_by_name(tmp_path: Path, value: object) -> None:
    torch.save(value, path := tmp_path / "x.pth")
    with pytest.raises(ValueError, match="state dict"):
        convert(path, tmp_path / "x.safetensors")
    assert not (tmp_path / "x.safetensors").exists()
