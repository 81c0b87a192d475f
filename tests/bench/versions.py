"""What the guard against silent regressions lets pass and what it refuses; figures of labelled systems.

python tests/bench/versions.py --data DATA --out docs/results/versions.json

Of each system in DATA/live: a detector of its first 200 ordinary lines is the current version, once as it is and once
told of twenty kinds of anomalous lines (`anomalies`). Sound candidates: itself, its refreshes on later ordinary lines,
detectors of other ordinary lines. Worse ones: a calibration by which nothing alarms (five units of raw score too high),
one by which ordinary lines alarm (ten too low), and a detector that learned 200 lines of the system's own incidents.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import chain

from reporting import live_sets, parser_of, write_report

from logmeta.datasets.draws import records
from logmeta.datasets.labelled import ANOMALOUS, LabelledSet
from logmeta.detector import Detector, MetaModel
from logmeta.errors import InputError
from logmeta.records import LogRecord
from logmeta.refresh import QuietPool, refreshed
from logmeta.regression import falls_behind

SUPPORT = 200
STEP = 1_000
LINES = 8_000
TOLD = 20
Named = tuple[str, Detector]


def moved(detector: Detector, by: float) -> Detector:
    calibration = detector.calibration
    return replace(detector, calibration=replace(calibration, knots=calibration.knots + by))


def refreshes(detector: Detector, lines: Sequence[LogRecord]) -> Iterator[Named]:
    pool, session = QuietPool(), detector.session()
    for start in range(SUPPORT, len(lines), STEP):
        pool.see(session.score(lines[start : start + STEP], explain="none"))
        if (found := refreshed(detector, pool)) is not None:
            yield f"refreshed after {start + STEP - SUPPORT}", found


def sound(base: MetaModel, detector: Detector, lines: Sequence[LogRecord]) -> Iterator[Named]:
    yield "itself", detector
    yield from refreshes(detector, lines)
    for start, stop in ((0, 600), (1_000, 1_200), (1_000, 2_000)):
        yield f"of lines {start} to {stop}", base.onboard(lines[start:stop], source=detector.source)


def worse(base: MetaModel, detector: Detector, data: LabelledSet) -> Iterator[Named]:
    yield "silent", moved(detector, 5)
    yield "alarms on ordinary lines", moved(detector, -10)
    if (learned := of_incidents(base, data, detector.source)) is not None:
        yield "learned incidents", learned


def inside(data: LabelledSet) -> list[LogRecord]:
    lines = records(data.test)
    return list(chain.from_iterable(lines[i.first - 1 : i.last] for i in data.incidents))[:SUPPORT]


def of_incidents(base: MetaModel, data: LabelledSet, source: str) -> Detector | None:
    try:
        return base.onboard(inside(data), source=source)
    except InputError:
        return None  # too few lines


def judged(detector: Detector, candidates: Iterator[Named]) -> dict[str, str | None]:
    return {name: falls_behind(detector, candidate) for name, candidate in candidates}


def row(base: MetaModel, data: LabelledSet) -> dict[str, object]:
    lines = records(data.ordinary)[:LINES]
    kinds = {line.text[-40:]: line.text for line in data.test if line.label == ANOMALOUS}
    untold = base.onboard(lines[:SUPPORT], source=data.name)
    told = base.onboard(lines[:SUPPORT], source=data.name, anomalies=list(kinds.values())[:TOLD])
    return {
        "system": data.name,
        "sha256": data.sha256,
        "canaries": len(untold.canaries.ordinary),
        "told": len(told.canaries.bad),
        "sound": judged(untold, sound(base, untold, lines)),
        "sound_told": judged(told, sound(base, told, lines)),
        "worse": judged(untold, worse(base, untold, data)),
        "worse_told": judged(told, worse(base, told, data)),
    }


def main() -> None:
    options = parser_of(__doc__).parse_args()
    base = MetaModel.from_pretrained()
    write_report(options, base, systems=[row(base, data) for data in live_sets(options.data)])


if __name__ == "__main__":
    main()
