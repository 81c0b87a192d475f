"""What masking personal data costs: average precision, incidents, false alarms and processor time, without and with.

python tests/bench/privacy.py --data DATA --sets apache,celery --out docs/results/privacy.json

Of each set: two detectors of the same 200 ordinary lines, one onboarded with `privacy=False`. Both
score the same test lines, in turn, three rounds; seconds are processor time, the fastest round of each. The shipped
base model was trained on these systems, so only the difference says something.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from sklearn.metrics import average_precision_score

from logmeta.datasets import available, load
from logmeta.datasets.draws import records
from logmeta.datasets.labelled import LabelledSet
from logmeta.detector import Detector, MetaModel
from logmeta.records import LogRecord, ScoredLine

SUPPORT = 200
MOST_LINES = 20_000
ROUNDS = 3


def precision(data: LabelledSet, lines: Sequence[ScoredLine]) -> float | None:
    judged = [(line.raw_score, known.label) for line, known in zip(lines, data.test, strict=False)
              if known.label is not None]  # fmt: skip
    labels = [label for _, label in judged]
    if len(set(labels)) < 2:
        return None
    return round(float(average_precision_score(labels, [score for score, _ in judged])), 4)


def judged(data: LabelledSet, lines: Sequence[ScoredLine]) -> dict[str, object]:
    alarms = [line.line_no for line in lines if line.alarm]
    spans = [(i.first, i.last) for i in data.incidents if i.last <= len(lines)]
    inside = [*spans, *data.excluded]
    return {
        "ap": precision(data, lines),
        "incidents": sum(any(first <= n <= last for n in alarms) for first, last in spans),
        "false_alarms": sum(not any(first <= n <= last for first, last in inside) for n in alarms) if spans else None,
        "templates": len({line.template_id for line in lines}),
    }


def timed(detector: Detector, lines: Sequence[LogRecord]) -> tuple[float, list[ScoredLine]]:
    started = time.process_time()
    scored = list(detector.score(lines))
    return time.process_time() - started, scored


def row(base: MetaModel, data: LabelledSet) -> dict[str, object]:
    ordinary = records([line for line in data.ordinary if not line.label][:SUPPORT])
    lines = records(data.test[:MOST_LINES])
    detectors = [base.onboard(ordinary, source=data.name, privacy=privacy) for privacy in (False, True)]
    rounds = [[timed(detector, lines) for detector in detectors] for _ in range(ROUNDS)]
    without, masked = ([seconds for seconds, _ in column] for column in zip(*rounds, strict=True))
    plain, private = (judged(data, scored) for _, scored in rounds[0])
    return {
        "set": data.name,
        "lines": len(lines),
        "without": plain,
        "masked": private,
        "time_ratio": round(min(masked) / min(without), 3),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--sets", help="comma-separated; all by default")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    base, told = MetaModel.from_pretrained(), []
    for name in options.sets.split(",") if options.sets else available(options.data):
        told.append(row(base, load(name, options.data)))
        print(json.dumps(told[-1]), file=sys.stderr, flush=True)
    ratios = [found["time_ratio"] for found in told]
    report = {
        "command": " ".join(["python", *sys.argv]).replace(str(options.data), "DATA"),
        "base": base.name,
        "logmeta": version("logmeta"),
        "median_time_ratio": round(statistics.median(ratios), 3),
        "sets": told,
    }
    text = json.dumps(report, indent=1)
    options.out.write_text(text + "\n") if options.out else print(text)


if __name__ == "__main__":
    main()
