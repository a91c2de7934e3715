"""The leaderboard without a browser: its parts, its cache, and every trap in plain words."""

from __future__ import annotations

import re
import threading
from typing import Any

import pytest

from empo.arena.votes import Votes
from empo.errors import EmpoError
from empo.leaderboard import ratings_report
from empo.models.inventory import choose_stack
from empo.ui.leaderboard import ALL, Reports, _choices, _shown, board_html, labels, paints
from empo.ui.ranking_chart import bounded, interval
from empo.ui.win_wheel import winner
from tests.board_votes import as_votes, plain, rows, traps

MODELS = choose_stack("nano").models


class Source:
    """Votes that can change, and how often they were read."""

    def __init__(self, found: list[dict[str, Any]]) -> None:
        self.rows, self.reads = found, 0

    def votes(self) -> Votes:
        self.reads += 1
        return as_votes(self.rows)

    def stamp(self) -> int:
        return len(self.rows)

    def reports(self) -> Reports:
        return Reports(self.votes, self.stamp, MODELS)


def test_a_report_is_made_once_for_the_same_votes() -> None:
    source = Source(rows(60))
    reports = source.reports()
    (pool,) = reports.sizes()
    first = reports.report(pool)
    assert reports.report(pool) is first and source.reads == 1
    source.rows = rows(61)
    assert reports.report(pool)["votes"] == 61 and source.reads == 2


def test_many_who_ask_at_once_share_one_report() -> None:
    source = Source(rows(60))
    reports, found = source.reports(), []
    gate = threading.Barrier(12)

    def ask() -> None:
        gate.wait()
        found.append(reports.report(None))

    threads = [threading.Thread(target=ask) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert source.reads == 1 and all(report is found[0] for report in found)


def test_models_are_called_and_painted_as_on_the_page() -> None:
    assert labels(["dpo", "kto", "sft@1a2b"], MODELS) == {
        "dpo": "DPO",
        "kto": "kto",
        "sft@1a2b": "SFT@1a2b",
    }
    report = Source(rows(60)).reports().report(None)
    assert {row["model"] for row in report["standings"]} == {"Base", "SFT", "DPO"}
    assert "DPO" in report["sentence"] and "dpo" not in report["sentence"]
    paint = paints(["DPO", "kto"], MODELS)
    assert (paint["Base"], paint["DPO"], paint["kto"]) == ("#0072B2", "#009E73", "#CC79A7")


def test_names_that_would_be_alike_stay_as_they_are() -> None:
    votes = as_votes(plain([("dpo", "DPO", "a", "v"), ("DPO", "dpo", "a", "w")]))
    assert votes.renamed(labels(votes.models, MODELS)).models == ("DPO", "dpo")


def test_renaming_changes_nothing_but_the_names() -> None:
    votes = as_votes(rows(80))
    old = ratings_report(votes)
    new = ratings_report(votes.renamed(labels(votes.models, MODELS)))
    called = {"base": "Base", "sft": "SFT", "dpo": "DPO"}
    for before, after in zip(old["standings"], new["standings"], strict=True):
        assert after == pytest.approx({**before, "model": called[before["model"]]})


def test_pools_are_shown_apart_unless_all_are_asked_for() -> None:
    reports = Source(traps()["two pools"]).reports()
    page, pools = _shown(reports, MODELS, False, None)
    assert "60 votes by" in page and "taken together" not in page
    assert pools.value == "pool:nano, live, 3f2a90c1d4e5" and pools.visible
    small, _ = _shown(reports, MODELS, False, "pool:nano, recorded, 77aa00bb11cc")
    assert "25 votes by" in small
    both, pools = _shown(reports, MODELS, False, ALL)
    assert "85 votes by" in both and "2 pools of unlike votes are taken together" in both
    assert pools.value == ALL
    unknown, pools = _shown(reports, MODELS, False, "pool:gone")
    assert "60 votes by" in unknown and pools.value == "pool:nano, live, 3f2a90c1d4e5"
    assert not _choices({"": 3}, "pool:").visible


def test_votes_that_cannot_be_read_are_one_sentence() -> None:
    def broken() -> Votes:
        raise EmpoError("The store of votes is <busy>: try again.")

    page, _ = _shown(Reports(broken, lambda: 1, MODELS), MODELS, False, None)
    assert page == '<p class="verdict">The store of votes is &lt;busy&gt;: try again.</p>'


@pytest.mark.parametrize("name", traps())
@pytest.mark.parametrize("adjusted", [False, True])
def test_every_trap_gives_a_page_that_makes_sense(name: str, adjusted: bool) -> None:
    page = board_html(Source(traps()[name]).reports().report(None), MODELS, adjusted)
    text = re.sub(r"<[^>]+>", " ", page)
    assert not re.search(r"\b(None|nan|inf|Traceback)\b", text) and "<img" not in page
    assert page.count("<figure") == page.count("</figure>") >= 3


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("one voter", "All votes are one person’s|All votes are one person&#x27;s"),
        ("one unbeaten", "won every vote"),
        ("disconnected", "No chain of votes connects these groups of models"),
        ("all ties", "Every vote is a tie: nothing tells the models apart"),
        ("all bad", "No vote has said yet which of two models is the better one"),
        ("one vote", "too few people"),
        ("always left", "Person 1: 30 of 30 votes for the left reply"),
        ("two pools", "2 pools of unlike votes are taken together"),
    ],
)
def test_what_is_wrong_with_the_votes_is_said(name: str, says: str) -> None:
    page = board_html(Source(traps()[name]).reports().report(None), MODELS)
    assert re.search(says, page)


def test_no_votes() -> None:
    page, pools = _shown(Source([]).reports(), MODELS, True, None)
    assert "No votes yet" in page and "<figure" not in page and not pools.visible


def test_adjusting_shows_the_other_ratings() -> None:
    report = Source(rows(400)).reports().report(None)
    plain_page, adjusted = (board_html(report, MODELS, x) for x in (False, True))
    for page, kind in ((plain_page, "standings"), (adjusted, "adjusted")):
        top = report[kind][0]
        assert f"<td>{top['rating']:.0f}</td><td>{top['low']:.0f} – {top['high']:.0f}</td>" in page
    assert "With length and side taken out, the order is" in adjusted


def test_a_winner_is_sure_by_wilson_s_interval() -> None:
    """12 of 16: 0.505 to 0.898 (Wilson); 11 of 16: 0.44 to 0.86."""
    for wins, sure in ((12, True), (11, False)):
        cells = {
            "A": {"wins": wins, "losses": 16 - wins, "ties": 0, "votes": 16, "rate": wins / 16},
            "B": {"wins": 16 - wins, "losses": wins, "ties": 0, "votes": 16, "rate": 1 - wins / 16},
        }
        found = winner("sad", cells)
        assert (found.model, found.votes, found.sure) == ("A", 16, sure)


def test_ends_in_words() -> None:
    assert interval(None, None) == "interval not known yet"
    assert interval(None, 1100.0) == "95 % interval open on one side"
    assert interval(900.4, 1100.0) == "95 % interval 900 to 1100"
    assert bounded(-946.0, 0, 2000) == "under 0" and bounded(3470.0, 0, 2000) == "over 2000"
