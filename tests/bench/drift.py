"""Whether drift is told apart from ordinary lines, from incidents and from a deploy; figures of labelled systems.

python tests/bench/drift.py --data DATA --out docs/results/drift.json

Of each system in DATA/live: a detector of its first 200 ordinary lines, then its later ordinary lines as they are, then
the same with twelve of the forty commonest words renamed from the middle on (a deploy), then the test lines with their
incidents. The shipped base model was trained on these systems; nothing in `logmeta.drift` was.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "integration"))
from deploys import new_version
from reporting import SEED, live_sets, parser_of, write_report

from logmeta.datasets.draws import records
from logmeta.datasets.labelled import LabelledSet
from logmeta.detector import Detector, MetaModel
from logmeta.drift import BLOCK, Drift, DriftMonitor
from logmeta.records import LogRecord

SUPPORT = 200
SHIFTED = 4_000


def looks(detector: Detector, lines: Sequence[LogRecord]) -> list[Drift]:
    """What is said after every fifty lines."""
    session, monitor, found = detector.session(), DriftMonitor(detector), []
    for start in range(0, len(lines), BLOCK):
        monitor.see(session.score(lines[start : start + BLOCK], explain="none"))
        found.append(monitor.look())
    return found


def kinds(found: Sequence[Drift]) -> dict[str, int]:
    return dict(Counter(drift.kind for drift in found))


def in_incidents(data: LabelledSet) -> list[bool]:
    """Whether each fifty test lines touch an incident."""
    spans = [*((i.first, i.last) for i in data.incidents), *data.excluded]
    starts = range(1, len(data.test) + 1, BLOCK)
    return [any(first < start + BLOCK and last >= start for first, last in spans) for start in starts]


def row(base: MetaModel, data: LabelledSet) -> dict[str, object]:
    lines = records(data.ordinary)
    detector, later = base.onboard(lines[:SUPPORT], source=data.name), lines[SUPPORT:]
    ordinary = looks(detector, later)
    shifted, renew = later[:SHIFTED], new_version(lines, SEED)
    middle = len(shifted) // 2 // BLOCK * BLOCK
    deployed = looks(detector, [*shifted[:middle], *map(renew, shifted[middle:])])[middle // BLOCK :]
    told = next((i for i, drift in enumerate(deployed, 1) if drift.kind == "deploy"), None)
    test, inside = looks(detector, records(data.test)), in_incidents(data)
    return {
        "system": data.name,
        "sha256": data.sha256,
        "ordinary_looks": kinds(ordinary),
        "deploy_told_after_lines": None if told is None else told * BLOCK,
        "deploy_looks": kinds(deployed),
        "looks_in_incidents": kinds([drift for drift, is_in in zip(test, inside, strict=True) if is_in]),
        "looks_between_incidents": kinds([drift for drift, is_in in zip(test, inside, strict=True) if not is_in]),
    }


def main() -> None:
    options = parser_of(__doc__).parse_args()
    base = MetaModel.from_pretrained()
    write_report(options, base, systems=[row(base, data) for data in live_sets(options.data)])


if __name__ == "__main__":
    main()
