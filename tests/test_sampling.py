"""empo/sampling.py: ranges, their wording, and what counts as a message."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest

from empo.errors import UsageError
from empo.sampling import LIMITS, MAX_CHARACTERS, check_message, check_sampling, clean_message
from empo.types import Sampling


def test_every_setting_has_a_range_and_the_defaults_lie_in_it() -> None:
    assert set(LIMITS) == {field.name for field in fields(Sampling)}
    assert check_sampling(Sampling()) == Sampling()


@pytest.mark.parametrize(
    "name, value",
    [
        ("temperature", 0),
        ("temperature", 2.0),
        ("top_p", 1),
        ("top_p", 0.001),
        ("top_k", 0),
        ("min_p", 0.0),
        ("repetition_penalty", 1),
        ("max_new_tokens", 1),
        ("seed", 2**32 - 1),
    ],
)
def test_the_edges_are_allowed(name: str, value: float) -> None:
    sampling = replace(Sampling(), **{name: value})
    assert check_sampling(sampling) is sampling


@pytest.mark.parametrize(
    "name, value, said",
    [
        ("temperature", -0.1, "temperature must be from 0 to 2, not -0.1"),
        ("temperature", float("nan"), "temperature"),
        ("temperature", float("inf"), "temperature"),
        ("top_p", 0, "top-p must be above 0 and at most 1, not 0"),
        ("top_p", 1.01, "top-p"),
        ("top_k", 1.5, "top-k must be a whole number from 0 to 1000, not 1.5"),
        ("min_p", -1, "min-p"),
        ("repetition_penalty", 0.5, "repetition-penalty"),
        ("max_new_tokens", 0, "max-new-tokens must be a whole number from 1 to 1024, not 0"),
        ("max_new_tokens", True, "max-new-tokens"),
        ("seed", -1, "seed must be a whole number from 0 to 4294967295, not -1"),
        ("seed", 2**32, "seed"),
    ],
)
def test_outside_is_refused_in_one_sentence(name: str, value: float, said: str) -> None:
    with pytest.raises(UsageError) as error:
        check_sampling(replace(Sampling(), **{name: value}))
    assert said in str(error.value)
    assert error.value.exit_code == 2


@pytest.mark.parametrize("text", ["", "  \n\t ", "\x00\x07", "\r\n"])
def test_an_empty_message_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="empty"):
        check_message(text)


def test_a_megabyte_is_refused_and_the_longest_message_is_not() -> None:
    with pytest.raises(UsageError, match=r"1,000,000 characters; at most 8,000"):
        check_message("a" * 1_000_000)
    assert check_message("a" * MAX_CHARACTERS) == "a" * MAX_CHARACTERS


def test_control_characters_and_lone_surrogates_go_and_the_rest_stays() -> None:
    assert clean_message("a\x00b\x1b[31m\tc\r\nd\re\x85") == "ab[31m\tc\nd\ne"
    assert clean_message("x\ud800y\udfff") == "x\ufffdy\ufffd"
    family = "👩‍👩‍👧 שלום é"
    assert clean_message(f"  {family} ") == family
    clean_message("\udcff\ud83d").encode("utf-8")
