"""The reports that there are: those in EMPO_HOME/reports, and the examples of the project."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from empo.errors import DataError
from empo.evaluation.baselines import CONSTANT
from empo.evaluation.catalogue import entry
from empo.settings import ASSETS
from empo.training.folder import reports_home

EXAMPLES = ASSETS / "reports"
REPORT = "report.json"
MAX_BYTES = 20_000_000


@dataclass(frozen=True, slots=True)
class Found:
    """A report's name, its folder, and whether it comes with the project."""

    name: str
    folder: Path
    example: bool = False

    @property
    def title(self) -> str:
        return f"{self.name} (example)" if self.example else self.name


def home() -> Path:
    """Where reports go that are given no other place."""
    return reports_home()


def reports() -> list[Found]:
    """All reports, the newest first, the project's examples last."""
    own = [path.parent for path in home().glob(f"*/{REPORT}")]
    own.sort(key=lambda folder: (folder / REPORT).stat().st_mtime, reverse=True)
    found = [Found(folder.name, folder) for folder in own]
    taken = {one.name for one in found}
    shipped = sorted(path.parent for path in EXAMPLES.glob(f"*/{REPORT}"))
    return found + [Found(f.name, f, True) for f in shipped if f.name not in taken]


def load(folder: Path) -> dict[str, Any]:
    """The report in `folder`.

    Raises:
        DataError: it is missing, too large, or no report.
    """
    path = folder / REPORT
    try:
        if path.stat().st_size > MAX_BYTES:
            raise DataError(f"{folder.name}/{REPORT} is too large to be a report.")
        report = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{folder.name}/{REPORT} cannot be read as a report.") from error
    wanted = {"systems": dict, "baselines": dict, "comparisons": list, "run": dict}
    for key, kind in wanted.items():
        if not isinstance(report, dict) or not isinstance(report.get(key), kind):
            raise DataError(f"{folder.name}/{REPORT}: field {key} is missing: it is no report.")
    return report


def together(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    """Two reports as one: the systems of both, A and B, beside the baselines of the first."""
    systems = {f"A {name}": metrics for name, metrics in first["systems"].items()}
    systems |= {f"B {name}": metrics for name, metrics in second["systems"].items()}
    return {
        "systems": systems,
        "baselines": first["baselines"],
        "comparisons": [],
        "run": first["run"],
    }


def headline(report: Mapping[str, Any]) -> str:
    """The first thing to know: whether the systems beat a constant that understands nothing."""
    mean = entry("diff_epitome/mean")
    constant = report["baselines"].get(CONSTANT)
    bar = (mean.of(constant) or {}).get("value") if mean and constant else None
    if mean is None or bar is None:
        return "No human replies to hold these against: only what the replies are like is measured."
    worse = [
        name
        for name, metrics in report["systems"].items()
        if (number := mean.of(metrics)) and number["value"] is not None and number["value"] > bar
    ]
    if not worse:
        return f"All systems here are nearer to the human's levels than a constant 0 ({bar:.2f})."
    names = ", ".join(worse)
    return (
        f"A reply that is never empathetic (level 0 for everything) has a diff-EPITOME of {bar:.2f}"
        f", lower and so “better” than {names}: read that measure beside this line only."
    )
