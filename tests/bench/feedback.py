"""What five clicks of "not an anomaly" do: false alarms of that kind left, and incidents no longer found.

python tests/bench/feedback.py --data DATA --out docs/results/feedback.json

Of each system in DATA/live: a detector of its first 200 ordinary lines with a budget so large that many ordinary lines
of the test log alarm (one line in a hundred, and one in twenty). Of each template with at least eight anomalous lines
outside incidents the first five are called ordinary; the log is scored again. The shipped base model was trained on
these systems.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from copy import copy

from reporting import live_sets, parser_of, write_report

from logmeta.alarms import LINES_PER_ALARM
from logmeta.datasets.draws import records
from logmeta.datasets.labelled import LabelledSet
from logmeta.detector import Detector, MetaModel
from logmeta.records import AlarmBudget, LogRecord, ScoredLine

SUPPORT = 200
CLICKS = 5
FEWEST = 8
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


def main() -> None:
    options = parser_of(__doc__).parse_args()
    base, told, hashes = MetaModel.from_pretrained(), [], {}
    for data in live_sets(options.data):
        hashes[data.name] = data.sha256
        detector = base.onboard(records(data.ordinary)[:SUPPORT], source=data.name)
        for level in LEVELS:
            told += rows(at_level(detector, level), data, records(data.test))
    totals = [total([row for row in told if row["level"] == level]) for level in LEVELS]
    write_report(options, base, sha256=hashes, totals=totals, kinds=told)


def total(told: Sequence[dict]) -> dict[str, float]:
    keys = ("false_before", "false_left", "incidents_before", "incidents_lost")
    sums = {key: sum(row[key] for row in told) for key in keys}
    return {"level": told[0]["level"] if told else 0.0, "kinds": len(told), **sums}


if __name__ == "__main__":
    main()
