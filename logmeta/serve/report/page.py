"""The report as one HTML file: no script, nothing from elsewhere, every text of a log escaped."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.resources import files
from typing import Final

from logmeta.serve.report.charts import alarms_by_day, lines_over_time, share_bar, top_scores
from logmeta.serve.report.facts import SEVERITIES, Facts, Kind, Row
from logmeta.serve.report.markup import Html, joined, tag, text

MOST_ROWS: Final = 50
_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'"
_NONE: Final = Html("")


def html(facts: Facts) -> str:
    """The whole page."""
    head = joined(
        Html('<meta charset="utf-8">'),
        Html(f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'),
        Html('<meta name="viewport" content="width=device-width, initial-scale=1">'),
        tag("title", f"{facts.source}, {_day(facts.span.since.isoformat())} to {_day(facts.span.until.isoformat())}"),
        tag("style", Html(files(__package__).joinpath("page.css").read_text(encoding="utf-8"))),
    )
    sections: tuple[Callable[[Facts], Html], ...] = (
        _over_time,
        _by_kind,
        _new,
        _drift,
        _feedback,
        _versions,
        _decisions,
    )
    shown = sections if facts.lines or facts.alarms.total else sections[3:]
    body = joined(_top(facts), *(section(facts) for section in shown), _footer(facts))
    return f'<!doctype html>\n<html lang="en"><head>{head}</head><body>{body}</body></html>\n'


def _top(facts: Facts) -> Html:
    since, until = (when.isoformat() for when in (facts.span.since, facts.span.until))
    span = tag("p", f"{_when(since)} to {_when(until)}, UTC", class_="soft")
    return joined(tag("h1", facts.source), span, _verdict(facts), _tiles(facts))


def _verdict(facts: Facts) -> Html:
    """The week in a sentence."""
    total, rate, budget = facts.alarms.total, facts.alarms_per_day, facts.budget
    if not facts.lines and not total:
        return tag("p", "Nothing was scored in this time: no line of this source came.", class_="verdict bad")
    said = "No alarm." if not total else f"{_count(total, 'alarm')}, {rate:.3g} a day"
    if budget is None:
        return tag(
            "p",
            f"{said}. No version of a detector can be read here, so there is no budget to hold them against.",
            class_="verdict",
        )
    if not total:
        return tag("p", f"{said} The budget is {budget:g} false alarms a day.", class_="verdict")
    judged = "within" if rate <= budget else "over" if rate <= 2 * budget else "more than twice"
    return tag(
        "p",
        f"{said}: {judged} the budget of {budget:g} false alarms a day.",
        class_="verdict" if rate <= budget else "verdict bad",
    )


def _tiles(facts: Facts) -> Html:
    worst = next((s for s in SEVERITIES if any(day.get(s) for day in facts.alarms.by_day.values())), "none")
    words = facts.events_of("feedback")
    tiles = (
        ("lines scored", f"{facts.lines:,}", ""),
        ("alarms", f"{facts.alarms.total:,}", f"worst: {worst}"),
        ("kinds of alarm", f"{len(facts.alarms.kinds):,}", "templates that alarmed"),
        ("anomalous lines", f"{facts.anomalous:,}", _share(facts.anomalous, facts.lines)),
        ("lines never seen before", f"{facts.unseen:,}", _share(facts.unseen, facts.lines)),
        ("feedback", f"{len(words):,}", f"{len(facts.labels)} labels stand"),
        ("version", facts.current or "none", f"of {facts.versions}"),
    )
    return tag(
        "dl",
        *(tag("div", tag("dt", name), tag("dd", value, tag("small", more))) for name, value, more in tiles),
        class_="tiles",
    )


def _over_time(facts: Facts) -> Html:
    severities = joined(*(joined(tag("span", class_=f"key {s}"), s) for s in SEVERITIES))
    lines = joined(
        tag("span", class_="key lines"), "known", tag("span", class_="key unseen"), "templates never seen before"
    )
    step = f"per {facts.step_s // 60} minutes"
    return joined(
        tag("h2", "Over time"),
        _figure(alarms_by_day(facts), joined(tag("b", "Alarms per day"), severities)),
        _figure(
            top_scores(facts), joined(tag("b", f"Highest score {step}"), ", with drift and versions where they came")
        ),
        _figure(lines_over_time(facts), joined(tag("b", f"Lines {step}"), lines)),
    )


def _by_kind(facts: Facts) -> Html:
    total = max(1, facts.alarms.total)
    reasons = [
        (_code(reason), f"{count:,}", share_bar(count / total))
        for reason, count in facts.alarms.by_reason.most_common(20)
    ]
    kinds = sorted(facts.alarms.kinds.values(), key=lambda kind: (SEVERITIES.index(kind.worst), -kind.count))
    return joined(
        tag("h2", "Alarms by kind"),
        _table(("weightiest reason", "alarms", "share"), reasons, classes=("", "number", ""), narrow=True),
        _table(
            ("alarms", "severity", "template and latest line", "why", "first, latest"),
            [_kind(kind, facts) for kind in kinds[:MOST_ROWS]],
            classes=("number", "word", "wide", "", "when"),
        ),
        _left_out(len(kinds), "kinds"),
        _untold(facts),
    )


def _kind(kind: Kind, facts: Facts) -> tuple[object, ...]:
    chips = [tag("span", word, class_="chip") for word in _words(kind, facts)]
    reasons = [reason["text"] for reason in kind.latest["reasons"][:2]]
    why = tag("ul", *(tag("li", reason) for reason in reasons)) if reasons else _NONE
    what = joined(
        tag("div", tag("code", kind.template)), tag("div", _code(kind.latest["message"]), class_="soft"), *chips
    )
    when = joined(_when(kind.first), Html("<br>"), _when(kind.latest["at"]))
    return f"{kind.count:,}", tag("span", kind.worst, class_=kind.worst), what, why, when


def _words(kind: Kind, facts: Facts) -> list[str]:
    label = {"normal": "people say: not an anomaly", "anomaly": "people say: an anomaly"}.get(
        facts.labels.get(kind.template_id, "")
    )
    return [*["new template"] * kind.is_new, *([label] if label else [])]


def _new(facts: Facts) -> Html:
    """Templates the detector had never seen, as far as the journal names them."""
    alarmed = {kind.template: (kind.first, "alarmed") for kind in facts.alarms.kinds.values() if kind.is_new}
    settled = {
        str(template): (event["at"], "here to stay")
        for event in facts.events_of("drift")
        for template in event["details"].get("settled_templates", ())
    }
    found = sorted((settled | alarmed).items(), key=lambda item: item[1])
    rows = [(_when(at), what, _code(template)) for template, (at, what) in found]
    seen = f"{_count(facts.unseen, 'line')} had a template that the detector had not seen."
    note = f"{seen} Listed are those that alarmed or came to stay."
    return joined(
        tag("h2", "New templates"),
        tag("p", note, class_="soft"),
        _table(("since", "", "template"), rows[:MOST_ROWS], classes=("when", "word", "wide")),
        _left_out(len(rows), "templates"),
    )


def _drift(facts: Facts) -> Html:
    rows = [(_when(e["at"]), e["details"].get("kind", ""), _evidence(e)) for e in reversed(facts.events_of("drift"))]
    return joined(
        tag("h2", "Drift"),
        _table(("when", "looks like", "evidence"), rows[:MOST_ROWS], classes=("when", "word", "wide")),
        _left_out(len(rows), "changes"),
    )


def _evidence(event: Row) -> Html:
    details = event["details"]
    looked = f"{details.get('lines', 0):,} lines looked at, {details.get('unseen_share', 0):.1%} of them new"
    numbers = f"{looked}, {details.get('martingale_nats', 0):.1f} nats, "
    found = [tag("li", evidence) for evidence in details.get("evidence", ())]
    return joined(
        tag("ul", *found), tag("span", f"{numbers}{_count(details.get('alarms', 0), 'alarm')}", class_="soft")
    )


def _feedback(facts: Facts) -> Html:
    rows = [
        (_when(e["at"]), _who(e), _code(e["text"])) for e in reversed(facts.events_of("feedback", "feedback_undone"))
    ]
    return joined(
        tag("h2", "Feedback"),
        _table(("when", "who", "what"), rows[:MOST_ROWS], classes=("when", "", "wide")),
        _left_out(len(rows), "words"),
    )


def _versions(facts: Facts) -> Html:
    rows = [
        (_when(str(m.made_at)), m.version, m.parent or "", m.why, text(m.by or "", most=60), m.lines_used, m.labels)
        for m in reversed(facts.made)
    ]
    return joined(
        tag("h2", "Versions"),
        _table(
            ("made", "version", "from", "why", "who", "lines", "labels"),
            [["" if cell is None else cell for cell in row] for row in rows[:MOST_ROWS]],
            classes=("when", "number", "number", "word", "", "number", "number"),
            narrow=True,
        ),
        _left_out(len(rows), "versions"),
    )


def _decisions(facts: Facts) -> Html:
    """And whatever else happened."""
    told = ("drift", "feedback", "feedback_undone", "published")
    rows = [
        (_when(e["at"]), e["kind"].replace("_", " "), _who(e), _code(e["text"]))
        for e in reversed(facts.events)
        if e["kind"] not in told
    ]
    return joined(
        tag("h2", "Decisions"),
        _table(("when", "what", "who", ""), rows[:MOST_ROWS], classes=("when", "word", "", "wide")),
        _left_out(len(rows), "events"),
    )


def _footer(facts: Facts) -> Html:
    journals = f"Written by logmeta from {_count(facts.journals, 'journal')} of scorers."
    times = "Times are UTC, the scorer's clock when a line came."
    alarms = "An alarm is one message to a person; the anomalous lines near it are part of it."
    return tag("footer", tag("p", f"{journals} {times} {alarms}"))


def _table(
    names: Sequence[str], rows: Sequence[Sequence[object]], *, classes: Sequence[str], narrow: bool = False
) -> Html:
    if not rows:
        return tag("p", "None.", class_="none")
    head = tag("tr", *(tag("th", name, class_=c) for name, c in zip(names, classes, strict=True)))
    body = [tag("tr", *(tag("td", cell, class_=c) for cell, c in zip(row, classes, strict=True))) for row in rows]
    return tag(
        "div", tag("table", tag("thead", head), tag("tbody", *body)), class_="scroll narrow" if narrow else "scroll"
    )


def _left_out(count: int, what: str) -> Html:
    return tag("p", f"{count - MOST_ROWS:,} more {what} are left out.", class_="soft") if count > MOST_ROWS else _NONE


def _untold(facts: Facts) -> Html:
    left = facts.alarms.total - facts.alarms.told_apart
    return (
        tag("p", f"{_count(left, 'alarm')} of further templates are counted, not told apart.", class_="soft")
        if left
        else _NONE
    )


def _figure(plot: Html, caption: Html) -> Html:
    return tag("figure", plot, tag("figcaption", caption))


def _who(event: Row) -> Html:
    return text(event["by"] or "", most=60)


def _code(value: object) -> Html:
    return tag("code", text(value))


def _count(number: int, word: str) -> str:
    return f"{number:,} {word if number == 1 else word + 's'}"


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.2%} of all" if whole else ""


def _when(at: str) -> str:
    return at[:16].replace("T", " ")


def _day(at: str) -> str:
    return at[:10]
