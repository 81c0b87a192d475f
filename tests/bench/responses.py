"""What a deploy costs under each response to drift: false alarms behind it, and incidents still found later.

python tests/bench/responses.py --data DATA --out docs/results/responses.json

Of each system in DATA/live: a detector of its first 200 ordinary lines, some thousand later ordinary lines, the same
kind of lines with twelve of the forty commonest words renamed (a deploy), then the test lines with their incidents,
renamed too, all in one go. Counted from 500 lines behind the deploy on: alarms, anomalous lines; then incidents with
an anomalous line that is no mere repetition. `none` does nothing, `blind` calibrates anew on whatever the last 1,000
lines are, every 250 lines, `absorb` is gated absorption. `before` is the test log without any deploy. The alarm level
is that of the default budget, p .001 and p .01: a few thousand lines show only at the latter whether a budget is kept.
The shipped base model was trained on these systems.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from drift import SUPPORT, new_version
from feedback import at_level
from reporting import live_sets, parser_of, write_report

from logmeta.absorption import Quarantine, absorbing
from logmeta.alarms import LINES_PER_ALARM
from logmeta.calibrate import Calibration
from logmeta.datasets.draws import records
from logmeta.datasets.labelled import LabelledSet
from logmeta.detector import Detector, MetaModel
from logmeta.drift import BLOCK, DriftMonitor
from logmeta.records import LogRecord, ScoredLine
from logmeta.session import ScoringSession
from logmeta.told import REPEAT

LEVELS = (None, 0.001, 0.01)
AROUND = 3_000  # ordinary lines before the deploy, and behind it
TEST = 12_000
SETTLED = 500
ROLLED, EVERY = 1_000, 250
Response = Callable[[ScoringSession, Sequence[ScoredLine]], None]


def none(_: Detector) -> Response:
    return lambda session, lines: None


def blind(_: Detector) -> Response:
    recent: deque[float] = deque(maxlen=ROLLED)
    waited = [0]

    def respond(session: ScoringSession, lines: Sequence[ScoredLine]) -> None:
        recent.extend(line.raw_score for line in lines)
        waited[0] += len(lines)
        if len(recent) == ROLLED and waited[0] >= EVERY:
            waited[0] = 0
            session.recalibrate(replace(session.detector, calibration=Calibration.fit(np.array(recent))))

    return respond


def absorb(detector: Detector) -> Response:
    monitor = DriftMonitor(detector)
    quarantine = Quarantine(detector, monitor)

    def respond(session: ScoringSession, lines: Sequence[ScoredLine]) -> None:
        monitor.see(lines)
        quarantine.see(lines)
        if more := quarantine.ready():
            changed = absorbing(session.detector, more)
            session.recalibrate(changed)
            quarantine.use(changed)

    return respond


RESPONSES: dict[str, Callable[[Detector], Response]] = {"none": none, "blind": blind, "absorb": absorb}


def scored(detector: Detector, lines: Sequence[LogRecord], response: Response) -> list[ScoredLine]:
    session, found = detector.session(), []
    for start in range(0, len(lines), BLOCK):
        batch = session.score(lines[start : start + BLOCK], explain="none")
        response(session, batch)
        found += batch
    return found


def caught(data: LabelledSet, test: Sequence[ScoredLine]) -> int:
    """Incidents with an anomalous line; one that only repeats an earlier alarm's does not count."""
    news = [line.alarm_id is not None and REPEAT not in line.flags for line in test]
    return sum(any(news[span.first - 1 : span.last]) for span in data.incidents)


def row(base: MetaModel, data: LabelledSet, level: float | None) -> dict[str, object]:
    lines = records(data.ordinary)
    detector = base.onboard(lines[:SUPPORT], source=data.name)
    detector = detector if level is None else at_level(detector, level)
    later, test, renew = lines[SUPPORT : SUPPORT + 2 * AROUND], records(data.test)[:TEST], new_version(lines, 0)
    middle = len(later) // 2 // BLOCK * BLOCK
    course = [*later[:middle], *map(renew, later[middle:]), *map(renew, test)]
    told = {
        "system": data.name,
        "level": detector.level.level,
        "budget_per_1000_lines": 1_000 * detector.level.level / LINES_PER_ALARM,
        "incidents": sum(span.first <= len(test) for span in data.incidents),
        "before": caught(data, scored(detector, test, none(detector))),
        "ordinary_alarms": sum(line.alarm for line in scored(detector, later, none(detector))[middle + SETTLED :]),
        "lines": len(later) - middle - SETTLED,
    }
    for name, response in RESPONSES.items():
        found = scored(detector, course, response(detector))
        behind = found[middle + SETTLED : len(later)]
        told[name] = {
            "alarms": sum(line.alarm for line in behind),
            "anomalous_lines": sum(line.alarm_id is not None for line in behind),
            "found": caught(data, found[len(later) :]),
        }
    return told


def total(rows: Sequence[dict]) -> dict[str, object]:
    lines, before = sum(row["lines"] for row in rows), sum(row["before"] for row in rows)
    sums: dict[str, object] = {
        "lines": lines,
        "found_before": before,
        "budget_alarms": round(sum(row["lines"] * row["budget_per_1000_lines"] / 1_000 for row in rows), 2),
        "ordinary_alarms": sum(row["ordinary_alarms"] for row in rows),
    }
    for name in RESPONSES:
        of_it = {key: sum(row[name][key] for row in rows) for key in ("alarms", "anomalous_lines", "found")}
        sums[name] = {**of_it, "recall_kept": round(of_it["found"] / max(1, before), 3)}
    return sums


def main() -> None:
    options = parser_of(__doc__).parse_args()
    base = MetaModel.from_pretrained()
    sets = list(live_sets(options.data))
    rows = {level: [row(base, data, level) for data in sets] for level in LEVELS}
    write_report(
        options,
        base,
        sha256={data.name: data.sha256 for data in sets},
        totals=[{"level": level or "default budget", **total(of_it)} for level, of_it in rows.items()],
        systems=[one for of_it in rows.values() for one in of_it],
    )


if __name__ == "__main__":
    main()
