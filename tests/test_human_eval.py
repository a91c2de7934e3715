"""Human ratings from a CSV: what is read, and what is wrong with its line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from empo.errors import DataError
from empo.human_eval import agreement_report, read_ratings

GOOD = """item,system,rater,fit,natural
i1,sft,anna,60,70
i1,dpo,anna,80,
i1,sft,ben,50,75
i1,dpo,ben,70,60

i2,sft,anna,20,40
i2,dpo,anna,45,41
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "ratings.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_reading(tmp_path: Path) -> None:
    ratings = read_ratings(written(tmp_path, "\ufeff" + GOOD))
    assert ratings.items == ("i1", "i2")
    assert ratings.systems == ("dpo", "sft")
    assert ratings.raters == ("anna", "ben")
    assert ratings.dimensions == ("fit", "natural")
    assert ratings.values.shape == (6, 2)
    assert np.isnan(ratings.values[1, 1])


def test_report(tmp_path: Path) -> None:
    report = agreement_report(written(tmp_path, GOOD))
    assert set(report) == {"dimensions"}
    entry = report["dimensions"]["fit"]
    assert set(entry) == {"systems", "alpha", "pairs"}
    assert entry["systems"]["dpo"] == {"mean": 60.0, "sd": pytest.approx(21.213203), "n": 2}
    (pair,) = entry["pairs"]
    assert set(pair) == {"a", "b", "d", "p", "p_holm", "low", "high"}
    assert (pair["a"], pair["b"]) == ("dpo", "sft")
    # Item means: dpo 75, 45; sft 55, 20.
    assert pair["d"] == pytest.approx(22.5 / np.sqrt((450 + 612.5) / 2), abs=1e-6)
    # Two tests in all: the smaller p is doubled.
    smaller = min(report["dimensions"].values(), key=lambda entry: entry["pairs"][0]["p"])
    assert smaller["pairs"][0]["p_holm"] == pytest.approx(2 * smaller["pairs"][0]["p"], abs=2e-6)
    json.dumps(report, allow_nan=False)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "the header lacks item, system, rater"),
        ("item,system,fit\n", "the header lacks rater"),
        ("item,system,rater\n", "at least one dimension"),
        ("item,system,rater,fit,fit\n", "a name of its own"),
        ("item,system,rater,fit\n", "holds no ratings"),
        ("item,system,rater,fit\ni,s,r,high\n", "line 2: “high” in the column fit"),
        ("item,system,rater,fit\ni,s,r,inf\n", "line 2: “inf” in the column fit"),
        ("item,system,rater,fit\ni,s,r,1,2\n", "line 2: 5 cells where the header has 4"),
        ("item,system,rater,fit\ni,,r,1\n", "line 2: the system is empty"),
        ("item,system,rater,fit\ni,s,r,1\ni,s,r,2\n", "line 3: r has rated s on item i before"),
        ('item,system,rater,fit\n"i,s,r,1\n', "cannot be read as CSV"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(DataError) as caught:
        read_ratings(written(tmp_path, text))
    assert says in str(caught.value)


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="There is no file"):
        read_ratings(tmp_path / "none.csv")
