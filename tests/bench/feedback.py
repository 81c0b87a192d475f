"""What words on lines do: five of "not an anomaly" to false alarms, one per incident of "was an anomaly" to later ones.

python tests/bench/feedback.py --data DATA --out docs/results/feedback.json

Of each system in DATA/live: a detector of its first 200 ordinary lines with a budget so large that many ordinary lines
of the test log alarm (one line in a hundred, and one in twenty). Of each template with at least eight anomalous lines
outside incidents the first five are called ordinary; the log is scored again.

Then, at one line in a hundred and at the default budget: of each of the first eight incidents one line is called an
anomaly, its oddest or any of its lines (drawn). Counted are later incidents with an anomalous line, those that are no
longer found, and anomalous lines outside incidents, by likeness of words alone and with the inner loop on the lines'
features. The shipped base model was trained on these systems.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import replace
from random import Random

from reporting import SEED, live_sets, parser_of, write_report

from logmeta.alarms import LINES_PER_ALARM
from logmeta.datasets.draws import records
from logmeta.datasets.labelled import LabelledSet
from logmeta.detector import Detector, MetaModel
from logmeta.records import AlarmBudget, LogRecord, ScoredLine

SUPPORT = 200
CLICKS = 5
FEWEST = 8
INCIDENTS = 8
LEVELS = (0.01, 0.05)


def anomalous(detector: Detector, lines: Sequence[LogRecord]) -> list[ScoredLine]:
    """Record heads at or beyond the alarm level."""
    level = detector.level.level
    heads = (line for line in detector.score(lines) if line.line_no == line.record_line_no)
    return [line for line in heads if line.score >= 0.5 or line.p_value < level]


def found(data: LabelledSet, lines: Sequence[ScoredLine]) -> set[int]:
    """Numbers of the incidents with an anomalous line."""
    numbers = [line.line_no for line in lines]
    return {i for i, span in enumerate(data.incidents) if any(span.first <= n <= span.last for n in numbers)}


def outside(data: LabelledSet, lines: Sequence[ScoredLine]) -> list[ScoredLine]:
    spans = [*((i.first, i.last) for i in data.incidents), *data.excluded]
    return [line for line in lines if not any(first <= line.line_no <= last for first, last in spans)]


def at_level(detector: Detector, level: float) -> Detector:
    """The detector with the budget that puts its alarm level at that p-value."""
    changed = copy(detector)
    changed.budget = AlarmBudget(per_day=level * detector.level.lines_per_day / LINES_PER_ALARM)
    changed.__dict__.pop("level", None)
    return changed


def rows(detector: Detector, data: LabelledSet, lines: Sequence[LogRecord]) -> list[dict[str, object]]:
    before = anomalous(detector, lines)
    incidents = found(data, before)
    kinds: dict[str, list[ScoredLine]] = defaultdict(list)
    for line in outside(data, before):
        kinds[line.template].append(line)
    told = []
    for template, alarms in kinds.items():
        if len(alarms) < FEWEST:
            continue
        labelled = copy(detector)
        for line in alarms[:CLICKS]:
            labelled.feedback(line, anomalous=False)
        after = anomalous(labelled, lines)
        left = Counter(line.template for line in outside(data, after))[template]
        lost = incidents - found(data, after)
        told.append(
            {
                "system": data.name,
                "level": detector.level.level,
                "template": template,
                "false_before": len(alarms) - CLICKS,
                "false_left": min(left, len(alarms) - CLICKS),
                "incidents_before": len(incidents),
                "incidents_lost": len(lost),
                "lost": [data.incidents[i].kind for i in sorted(lost)],
            }
        )
    return told


def oddest(of_incident: Sequence[ScoredLine], _: Random) -> ScoredLine:
    return max(of_incident, key=lambda line: line.raw_score)


def drawn(of_incident: Sequence[ScoredLine], random: Random) -> ScoredLine:
    return random.choice(of_incident)


CHOICES: dict[str, Callable[[Sequence[ScoredLine], Random], ScoredLine]] = {"oddest": oddest, "any": drawn}


def words_on(data: LabelledSet, heads: Sequence[ScoredLine], choice: str) -> list[ScoredLine]:
    """One line of each of the first incidents."""
    random = Random(SEED)
    of_each = ([h for h in heads if i.first <= h.line_no <= i.last] for i in data.incidents[:INCIDENTS])
    return [CHOICES[choice](of_incident, random) for of_incident in of_each if of_incident]


def with_words(detector: Detector, lines: Sequence[ScoredLine]) -> Detector:
    labelled = copy(detector)
    for line in lines:
        labelled.feedback(line, anomalous=True)
    return labelled


def later_found(data: LabelledSet, detector: Detector, lines: Sequence[LogRecord]) -> tuple[set[int], int]:
    """Later incidents that are found, and anomalous lines outside incidents behind the labelled ones."""
    odd = anomalous(detector, lines)
    behind = data.incidents[INCIDENTS - 1].last
    return {i for i in found(data, odd) if i >= INCIDENTS}, sum(line.line_no > behind for line in outside(data, odd))


def anomaly_rows(detector: Detector, data: LabelledSet, lines: Sequence[LogRecord]) -> list[dict[str, object]]:
    heads = [line for line in detector.score(lines) if line.line_no == line.record_line_no]
    before, false_before = later_found(data, detector, lines)
    told = []
    for choice in CHOICES:
        named = words_on(data, heads, choice)
        for learns, of_loop in (("likeness", [replace(line, features=None) for line in named]), ("inner loop", named)):
            after, false_after = later_found(data, with_words(detector, of_loop), lines)
            told.append(
                {
                    "system": data.name,
                    "level": detector.level.level,
                    "choice": choice,
                    "learns": learns,
                    "later": len(data.incidents) - INCIDENTS,
                    "found_before": len(before),
                    "found_after": len(after),
                    "lost": len(before - after),
                    "false_before": false_before,
                    "false_after": false_after,
                }
            )
    return told


def main() -> None:
    options = parser_of(__doc__).parse_args()
    base, told, named, hashes = MetaModel.from_pretrained(), [], [], {}
    for data in live_sets(options.data):
        hashes[data.name], lines = data.sha256, records(data.test)
        detector = base.onboard(records(data.ordinary)[:SUPPORT], source=data.name)
        for level in LEVELS:
            told += rows(at_level(detector, level), data, lines)
        for level, judged in ((LEVELS[0], at_level(detector, LEVELS[0])), ("default", detector)):
            named += [{**row, "budget": level} for row in anomaly_rows(judged, data, lines)]
    totals = [total([row for row in told if row["level"] == level]) for level in LEVELS]
    write_report(options, base, sha256=hashes, totals=totals, anomalies=anomaly_totals(named), kinds=told, words=named)


def anomaly_totals(named: Sequence[dict]) -> list[dict[str, object]]:
    keys = ("later", "found_before", "found_after", "lost", "false_before", "false_after")
    kinds = dict.fromkeys((row["budget"], row["choice"], row["learns"]) for row in named)
    return [
        dict(zip(("budget", "choice", "learns"), kind, strict=True))
        | {key: sum(r[key] for r in named if (r["budget"], r["choice"], r["learns"]) == kind) for key in keys}
        for kind in kinds
    ]


def total(told: Sequence[dict]) -> dict[str, float]:
    keys = ("false_before", "false_left", "incidents_before", "incidents_lost")
    sums = {key: sum(row[key] for row in told) for key in keys}
    return {"level": told[0]["level"] if told else 0.0, "kinds": len(told), **sums}


if __name__ == "__main__":
    main()
