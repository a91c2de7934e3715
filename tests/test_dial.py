"""The alignment dial: names, weights and labels by hand, and that a blend is what it says it is."""

from __future__ import annotations

import pytest

from empo.cli.compare import adapter_name, chosen
from empo.errors import UsageError
from empo.models.dial import dial_ends, dial_name, dial_position, dialled
from empo.models.stacks import Stack, load_stack
from empo.types import ModelSpec
from empo.ui.colours import colours, dial_colour
from empo.ui.view import Cast

BASE = ModelSpec("base", "Base", "", "base")
SFT = ModelSpec("sft", "SFT", "", "sft", {"sft": 1.0})
DPO = ModelSpec("dpo", "DPO", "", "dpo", {"dpo": 1.0})


@pytest.mark.parametrize(
    ("position", "weights", "label", "plain"),
    [
        (0, {"sft": 1.0}, "Dial 0", "1 SFT"),
        (0.35, {"sft": 0.65, "dpo": 0.35}, "Dial 0.35", "0.65 SFT + 0.35 DPO"),
        (1, {"dpo": 1.0}, "Dial 1", "1 DPO"),
        (1.5, {"sft": -0.5, "dpo": 1.5}, "Dial 1.5", "−0.5 SFT + 1.5 DPO"),
    ],
)
def test_weights_are_one_minus_t_and_t(
    position: float, weights: dict[str, float], label: str, plain: str
) -> None:
    spec = dialled((SFT, DPO), position)
    assert (spec.adapters, spec.label, spec.plain, spec.stage) == (weights, label, plain, "blend")
    assert dial_position(spec.name) == position
    assert dialled((SFT, DPO), position + 1e-9) == spec


def test_ends_that_share_an_adapter_add_up() -> None:
    dpo = ModelSpec("dpo", "DPO", "", "dpo", {"sft": 1.0, "step": 2.0})
    assert dialled((SFT, dpo), 0.25).adapters == {"sft": 1.0, "step": 0.5}


@pytest.mark.parametrize(
    "name", ["dial:1.51", "dial:2", "dial:-0.5", "dial:0.123", "dial:", "dial:nan", "dial:1e0", "x"]
)
def test_other_names_are_no_dial(name: str) -> None:
    assert dial_position(name) is None
    with pytest.raises(UsageError, match="has no model"):
        load_stack("nano").model(name)


def test_names_are_rounded_to_what_the_slider_gives() -> None:
    names = [dial_name(step * 0.05) for step in range(31)]
    assert names[:3] == ["dial:0", "dial:0.05", "dial:0.1"] and names[-1] == "dial:1.5"
    assert len({dial_position(name) for name in names}) == 31


def test_a_dial_needs_an_sft_and_a_dpo_adapter() -> None:
    assert dial_ends((BASE, SFT, DPO)) == (SFT, DPO)
    bare = ModelSpec("dpo", "DPO", "", "dpo")
    for models in ((BASE,), (BASE, SFT), (DPO,), (SFT, bare)):
        assert dial_ends(models) is None


@pytest.mark.parametrize("name", ["nano", "zephyr-7b"])
def test_every_stack_that_ships_has_one(name: str) -> None:
    stack: Stack = load_stack(name)
    assert stack.model("dial:0.5").adapters == {"sft": 0.5, "dpo": 0.5}


def test_a_place_keeps_its_colour_and_takes_no_models() -> None:
    known = colours([("base", "base"), ("sft", "sft"), ("dpo", "dpo"), ("mine", "kto")])
    found = [dial_colour(f"dial:{t}", known.values()) for t in ("0.2", "0.45", "0.5", "1.2")]
    assert found[0] == found[1] != found[2]
    assert not set(found) & set(known.values())
    assert dial_colour("sft") is None and dial_colour("dial:9") is None


def test_the_head_says_name_weights_and_adapters() -> None:
    cast = Cast(load_stack("nano"), {"sft": "aaaa", "dpo": "bbbb"})
    (head,) = cast.heads(["dial:0.35"])
    assert (head["label"], head["plain"], head["dial"]) == (
        "Dial 0.35",
        "0.65 SFT + 0.35 DPO",
        0.35,
    )
    assert head["hash"] == "aaaa + bbbb" and head["colour"] == cast.colour("dial:0.35")
    assert cast.heads(["dial:1"])[0]["hash"] == "bbbb"
    assert cast.heads(["nobody"])[0]["model"] == "base"  # the sentence stands below the columns


def test_the_command_line_takes_a_place_on_the_dial() -> None:
    specs = chosen(load_stack("nano"), "sft, dial:0.5,dial:1")
    assert [adapter_name(spec) for spec in specs] == ["sft", "sft:0.5+dpo:0.5", "dpo"]
