"""What somebody reaches who makes a source's alarm level rise a little with every refresh.

python tests/bench/boiling.py --data DATA --out docs/results/boiling.json

Of each system in DATA/live: a detector of its first 200 ordinary lines, then 50,000 lines: its later ordinary ones over
and over, and among them a share of lines (none, one in fifty, one in five) that score just below the alarm level of the
moment, as somebody would write them who sees every score. As a scorer does, the detector is calibrated anew on its
quiet lines each time there are twice as many, and the guard is asked. Then the test log: incidents with an anomalous
line, before and after, with the bound on how far the level may rise and without it, at the default budget and p .01.
The shipped base model was trained on these systems.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import replace
from itertools import cycle, islice
from unittest.mock import patch

import numpy as np
from feedback import SUPPORT, at_level, found
from reporting import SEED, live_sets, parser_of, write_report

from logmeta import refresh
from logmeta.datasets.draws import records
from logmeta.datasets.labelled import LabelledSet
from logmeta.detector import Detector, MetaModel
from logmeta.records import LogRecord, ScoredLine
from logmeta.refresh import QuietPool, refreshed
from logmeta.regression import falls_behind

LATER, LINES, TEST = 6_000, 50_000, 12_000
FIRST_AT = 1_000
JUST_BELOW = 0.01
SHARES = (0.0, 0.02, 0.2)
LEVELS = (None, 0.01)


def heads(detector: Detector, lines: Sequence[LogRecord]) -> list[ScoredLine]:
    return [line for line in detector.score(lines) if line.line_no == line.record_line_no]


def boiled(detector: Detector, ordinary: Sequence[ScoredLine], share: float) -> Detector:
    """The detector after all refreshes that the pool and the guard let through."""
    rng, pool, at, top = random.Random(SEED), QuietPool(), FIRST_AT, detector.alarm_at
    for line in islice(cycle(ordinary), LINES):
        raw = top - JUST_BELOW if rng.random() < share else line.raw_score
        pool.see([replace(line, raw_score=raw, alarm_id="a" if raw >= top else None, flags=())])
        if pool.fresh < at:
            continue
        at = 2 * pool.fresh
        candidate = refreshed(detector, pool)
        if candidate is not None and falls_behind(detector, candidate) is None:
            detector, top = candidate, candidate.alarm_at
    return detector


def caught(detector: Detector, data: LabelledSet, lines: Sequence[ScoredLine]) -> set[int]:
    """Incidents with an anomalous line; raw scores are the same under every calibration."""
    surprise = detector.calibration.surprise(np.array([line.raw_score for line in lines]))
    odd = surprise >= detector.level.surprise
    return found(data, [line for line, anomalous in zip(lines, odd, strict=True) if anomalous])


def rows(detector: Detector, data: LabelledSet, level: float | None) -> list[dict[str, object]]:
    ordinary = heads(detector, records(data.ordinary)[SUPPORT : SUPPORT + LATER])
    test = heads(detector, records(data.test)[:TEST])
    before, told = caught(detector, data, test), []
    for share in SHARES:
        for bound in (refresh.MOST_RISE, math.inf):
            with patch.object(refresh, "MOST_RISE", bound):
                after = boiled(detector, ordinary, share)
            told.append(
                {
                    "system": data.name,
                    "level": level or "default",
                    "share": share,
                    "bound": bound if math.isfinite(bound) else "none",
                    "rise": round(after.alarm_at - detector.alarm_at, 2),
                    "found_before": len(before),
                    "found_after": len(caught(after, data, test)),
                }
            )
    return told


def totals(told: Sequence[dict]) -> list[dict[str, object]]:
    kinds = dict.fromkeys((row["level"], row["share"], row["bound"]) for row in told)
    found = []
    for kind in kinds:
        mine = [row for row in told if (row["level"], row["share"], row["bound"]) == kind]
        sums = {key: sum(row[key] for row in mine) for key in ("found_before", "found_after")}
        found.append(
            dict(zip(("level", "share", "bound"), kind, strict=True))
            | sums
            | {"most_rise": max(row["rise"] for row in mine)}
        )
    return found


def main() -> None:
    options = parser_of(__doc__).parse_args()
    base, told, hashes = MetaModel.from_pretrained(), [], {}
    for data in live_sets(options.data):
        hashes[data.name] = data.sha256
        detector = base.onboard(records(data.ordinary)[:SUPPORT], source=data.name)
        for level in LEVELS:
            told += rows(detector if level is None else at_level(detector, level), data, level)
    write_report(options, base, sha256=hashes, totals=totals(told), systems=told)


if __name__ == "__main__":
    main()
