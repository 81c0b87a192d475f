"""The plots of a report: small SVG whose colours are those of the page, light or dark."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final

from logmeta.serve.report.facts import SEVERITIES, Facts, Step
from logmeta.serve.report.markup import Html, joined, tag
from logmeta.serve.report.span import Span

WIDTH, LEFT, RIGHT, TOP, BOTTOM = 960, 56, 16, 22, 26
PLOT: Final = WIDTH - LEFT - RIGHT
_MOST_MARKS: Final = 40
_WORD: Final = 62  # how wide one is
_CALM: Final = ("none", "learning")
ALARM_LEVEL: Final = 0.5


def alarms_by_day(facts: Facts) -> Html:
    """A bar a day, the most severe at the bottom, and the budget as a line."""
    height, slot = 200, PLOT / len(facts.span.days)
    counts = [facts.alarms.by_day.get(day.date().isoformat(), Counter()) for day in facts.span.days]
    top = nice(max([2.0, facts.budget or 0.0, *(count.total() for count in counts)]))
    bars = [_bar(count, LEFT + slot * i, slot, top, height) for i, count in enumerate(counts)]
    budget = _level(facts.budget, top, height, f"budget {facts.budget:g} a day") if facts.budget else ""
    return _svg(height, "Alarms per day", joined(_frame(top, height, facts.span), *bars, budget))


def top_scores(facts: Facts) -> Html:
    """The highest score of each step, the level at which lines are anomalous, and what happened to the source."""
    height = 200
    dots = [
        tag(
            "circle",
            tag("title", f"{step.at[:16]}: {step.top_score:.2f}"),
            cx=_n(_x(step, facts)),
            cy=_n(_y(step.top_score, 1.0, height)),
            r="2.4",
            class_="dot odd" if step.top_score > ALARM_LEVEL else "dot",
        )
        for step in facts.steps
    ]
    inside = joined(_frame(1.0, height, facts.span), _marks(facts, height), *dots)
    return _svg(height, "Highest score", joined(inside, _level(ALARM_LEVEL, 1.0, height, "alarm level")))


def lines_over_time(facts: Facts) -> Html:
    """How many lines came in each step; those of templates never seen before stand out."""
    height = 150
    top = nice(max([2.0, *(step.lines for step in facts.steps)]))
    lines = _columns(facts, lambda step: step.lines, top, height, "lines")
    unseen = _columns(facts, lambda step: step.unseen, top, height, "unseen")
    return _svg(height, "Lines", joined(_frame(top, height, facts.span), lines, unseen))


def share_bar(share: float, class_: str = "lines") -> Html:
    """A share of all, as a bar in a table."""
    rect = tag("rect", x=0, y=2, width=_n(max(1.0, 120 * share)), height=8, rx=2, class_=f"bar {class_}")
    return tag("svg", rect, viewBox="0 0 120 12", width=120, height=12, aria_hidden="true")


def nice(most: float) -> float:
    """The next number of the kind 1, 2, 5, 10 that is no smaller."""
    ten = 10.0 ** math.floor(math.log10(most))
    return next(step * ten for step in (1, 2, 5, 10) if step * ten >= most)


def _bar(count: Counter[str], x: float, slot: float, top: float, height: int) -> Html:
    """A day's alarms by severity, and how many they are."""
    parts, below = [], 0
    for severity in SEVERITIES:
        if number := count[severity]:
            below += number
            place = {"x": _n(x + slot * 0.2), "width": _n(slot * 0.6), "y": _n(_y(below, top, height))}
            title = tag("title", f"{number} {severity}")
            parts.append(tag("rect", title, height=_n(_tall(number, top, height)), class_=f"bar {severity}", **place))
    total = tag("text", below or "", x=_n(x + slot / 2), y=_n(_y(below, top, height) - 5), class_="mid")
    return joined(*parts, total)


def _columns(facts: Facts, number: Callable[[Step], int], top: float, height: int, class_: str) -> Html:
    wide = max(1.0, PLOT * facts.step_s / 86_400 / len(facts.span.days))
    found = [
        tag(
            "rect",
            x=_n(_x(step, facts)),
            y=_n(_y(number(step), top, height)),
            width=_n(wide),
            height=_n(_tall(number(step), top, height)),
            class_=f"bar {class_}",
        )
        for step in facts.steps
        if number(step)
    ]
    return joined(*found)


def _marks(facts: Facts, height: int) -> Html:
    """Where the source turned into something else, told at the top, and where a version came, told at the bottom."""
    told = facts.events_of("drift")
    drift = [(e["at"], e["details"].get("kind"), e["text"]) for e in told if e["details"].get("kind") not in _CALM]
    versions = [(str(made.made_at), f"v{made.version}", made.why) for made in facts.made]
    return joined(
        _row(drift, facts, TOP - 8, height, "drift"), _row(versions, facts, height - BOTTOM - 5, height, "version")
    )


def _row(told: Sequence[tuple[str, object, str]], facts: Facts, y: int, height: int, class_: str) -> Html:
    """The latest 40, as a line each; a word that would cover the one before it is left to the tables."""
    found, last = [], -math.inf
    for at, word, title in told[-_MOST_MARKS:]:
        x = LEFT + PLOT * facts.span.place(at)
        place = {"x1": _n(x), "x2": _n(x), "y1": TOP, "y2": height - BOTTOM}
        found.append(tag("line", tag("title", title), class_=f"mark {class_}", **place))
        if x - last > _WORD:
            last = x
            found.append(tag("text", word, x=_n(x + 3), y=y, class_=f"mark {class_}"))
    return joined(*found)


def _frame(top: float, height: int, span: Span) -> Html:
    """Two grid lines with their numbers, and a word per day."""
    found = []
    for value in (0.0, top / 2, top):
        y = _y(value, top, height)
        found.append(tag("line", x1=LEFT, x2=WIDTH - RIGHT, y1=_n(y), y2=_n(y), class_="grid"))
        found.append(tag("text", f"{value:,.4g}", x=LEFT - 8, y=_n(y + 4), class_="end"))
    every, slot = math.ceil(len(span.days) / 12), PLOT / len(span.days)
    for i, day in enumerate(span.days):
        if i % every == 0:
            word = f"{day:%a %d %b}" if len(span.days) <= 8 else f"{day:%d %b}"
            found.append(tag("text", word, x=_n(LEFT + slot * (i + 0.5)), y=height - 8, class_="mid"))
    return joined(*found)


def _level(value: float, top: float, height: int, word: str) -> Html:
    y = _y(value, top, height)
    line = tag("line", x1=LEFT, x2=WIDTH - RIGHT, y1=_n(y), y2=_n(y), class_="level")
    return joined(line, tag("text", word, x=WIDTH - RIGHT, y=_n(y - 5), class_="end level"))


def _svg(height: int, name: str, inside: Html) -> Html:
    return tag("svg", inside, viewBox=f"0 0 {WIDTH} {height}", role="img", aria_label=name)


def _x(step: Step, facts: Facts) -> float:
    return LEFT + PLOT * facts.span.place(step.at)


def _y(value: float, top: float, height: int) -> float:
    return TOP + (height - TOP - BOTTOM) * (1 - min(value, top) / top)


def _tall(value: float, top: float, height: int) -> float:
    return max(1.0, (height - TOP - BOTTOM) * min(value, top) / top)


def _n(number: float) -> str:
    return f"{number:.1f}"
