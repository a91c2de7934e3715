"""What a ranking rests on: pairs told apart or not, what sways votes, and whose votes they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from empo.leaderboard import two_digits
from empo.types import MECHANISMS
from empo.ui.mechanisms import WORDS
from empo.ui.ranking_chart import bounded, wide
from empo.ui.share_chart import share_chart, share_of

# The reply with the higher score is …
_HIGHER = {
    "emotional_reaction": "the warmer reply wins",
    "interpretation": "the more understanding wins",
    "exploration": "the more curious wins",
    "valence": "the more pleasant wins",
}
_EFFECTS = {"side": "Being on the left", "length": "Being twice as long"}
Report = Mapping[str, Any]


def pairs_card(report: Report) -> str:
    """The figure "What can be told apart": every pair, and how easily first place changes."""
    rows = "".join(
        f'<tr><th scope="row">{escape(pair["a"])} over {escape(pair["b"])}</th>'
        f'<td>{_points(pair)}</td><td class="words">{_verdict(pair)}</td></tr>'
        for pair in report["pairs"]
    )
    heads = "".join(
        f'<th scope="col">{name}</th>' for name in ("pair", "points (95 % interval)", "so far")
    )
    table = wide(f"<table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>")
    return _figure("What can be told apart", table if rows else "", _flip(report["flip"]))


def _points(pair: Mapping[str, Any]) -> str:
    if pair["difference"] is None:
        return "never compared"
    if pair["low"] is None and pair["high"] is None:
        return f"{pair['difference']:.0f}"
    return f"{pair['difference']:.0f} ({_ends(pair['low'], pair['high'])})"


def _ends(low: float | None, high: float | None) -> str:
    """Ends of a difference in points."""
    ends = (bounded(end, -1000, 1000) for end in (low, high))
    return " to ".join(ends).replace("-", "−")


def _verdict(pair: Mapping[str, Any]) -> str:
    if pair["told_apart"]:
        return "told apart"
    needed = pair["votes_needed"]
    if needed is None:
        return "not yet" if pair["difference"] is not None else ""
    return f"about {two_digits(needed):,} vote{'' if needed == 1 else 's'} to go"


def _flip(flip: Mapping[str, Any] | None) -> str:
    if flip is None:
        return ""
    leader, challenger = escape(flip["leader"]), escape(flip["challenger"])
    if flip["votes"] == 0:
        return f"First place is shared by {leader} and {challenger}."
    votes = f"{flip['votes']:,} further vote{'' if flip['votes'] == 1 else 's'}"
    return f"{votes} for {challenger} against {leader} would end the lead of {leader}."


def sway_card(report: Report) -> str:
    """The figure "What else sways a vote": the seat, the length, and the empathy scores."""
    found = [share_of("the left reply wins", report["position_bias"])]
    scores = report["score_agreement"]
    ordered = [name for name in _HIGHER if name in scores]
    ordered += [name for name in scores if name not in _HIGHER]
    for name in ordered:
        label = _HIGHER.get(name, f"the higher {name} wins")
        found.append(share_of(label, scores[name]))
    shares = [share for share in found if share is not None]
    effects = [
        f"{_EFFECTS[name]} is worth {effect['points']:.0f} points"
        + ("" if effect["low"] is None else f" ({_ends(effect['low'], effect['high'])})")
        for name, effect in report["effects"].items()
    ]
    terms = [f"{WORDS[name].term} (EPITOME)" for name in MECHANISMS if name in scores]
    terms += ["valence (VADER)"] if "valence" in scores else []
    read = "Half is what chance would give." if shares else ""
    if terms:
        read += f" Scored by machine, on the replies: {', '.join(terms)}."
    told = "".join(f"{effect}. " for effect in effects).replace("-", "−")
    return _figure("What else sways a vote", share_chart(shares) if shares else "", told + read)


def people_card(report: Report) -> str:
    """The figure "Whose votes": how many people, how far they agree, “both bad”, who stands out."""
    voters, votes = report["voters"], report["votes"]
    lines = [
        f"{votes:,} vote{'' if votes == 1 else 's'} by {voters:,} "
        f"{'person' if voters == 1 else 'people'}."
    ]
    lines += [line for line in (_agreement(report["voter_agreement"]), _bad(report)) if line]
    items = "".join(f"<li>{line}</li>" for line in lines)
    return _figure("Whose votes", f"<ul>{items}</ul>{_unusual(report)}", "")


def _agreement(found: Mapping[str, Any]) -> str:
    if found["alpha"] is None:
        return "How far people agree is not known yet: no two judged the same pair of replies."
    alpha = f"{found['alpha']:.2f}".replace("-", "−")
    return (
        f'<span title="Krippendorff’s alpha, nominal">Agreement between people: {alpha}</span> '
        f"(1 is perfect, 0 is chance), on {found['units']:,} "
        f"pair{'' if found['units'] == 1 else 's'} of replies that several judged."
    )


def _bad(report: Report) -> str:
    bad = report["both_bad"]
    if not report["votes"]:
        return ""
    ends = "" if bad["low"] is None else f", {100 * bad['low']:.0f} – {100 * bad['high']:.0f} %"
    most = max(bad["models"], key=lambda row: row["share"])
    worst = f"; most often with {escape(most['model'])} ({most['both_bad']} of {most['battles']})"
    return (
        f"“Both bad”: {bad['votes']:,} ({100 * bad['share']:.0f} %{ends}), counted apart from the "
        f"ratings{worst if most['both_bad'] else ''}."
    )


def _unusual(report: Report) -> str:
    """Voters who stand out, without their names, and what the order is without them."""
    entries = report["unusual_voters"]
    if not entries:
        return ""
    items = "".join(f"<li>{_entry(at, entry)}</li>" for at, entry in enumerate(entries[:10], 1))
    more = f"<li>… and {len(entries) - 10} more.</li>" if len(entries) > 10 else ""
    return (
        f"<p>Some vote unlike the others. They are counted all the same.</p><ul>{items}{more}</ul>"
        f"<p>{_order(report)}</p>"
    )


def _entry(at: int, entry: Mapping[str, Any]) -> str:
    count, total = entry["count"], entry["total"]
    if entry["kind"] == "many":
        return f"Person {at} gave {count} of all {total} votes."
    what = escape(entry["model"]) if entry["model"] else f"the {entry['kind']} reply"
    side = "against" if entry["kind"] == "against" else "for"
    return (
        f"Person {at}: {count} of {total} votes {side} {what} (the others: "
        f"{100 * entry['expected']:.0f} %)."
    )


def _order(report: Report) -> str:
    without = report["without_unusual"]
    if without is None:
        return ""
    shown = [row["model"] for row in report["standings"]][: len(report["groups"][0])]
    if without["order"] == shown:
        return "Without them the order would be the same."
    return f"Without them the order would be {escape(', '.join(without['order']) or 'open')}."


def _figure(title: str, body: str, caption: str) -> str:
    told = f"<figcaption>{caption}</figcaption>" if caption else ""
    if not body and not told:
        return ""
    return f'<figure class="chart"><h3>{title}</h3>{body}{told}</figure>'


def warnings(lines: Sequence[str]) -> str:
    """What a reader has to know before anything else."""
    if not lines:
        return ""
    return f'<ul class="mind">{"".join(f"<li>{escape(line)}</li>" for line in lines)}</ul>'
