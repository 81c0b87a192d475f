"""OpenStack fault injection campaigns: a session is one run of the workload, the lines of all its services in order."""

from __future__ import annotations

import re
import tarfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from logmeta.datasets.entry import Entry, Limits, smallest_hashes
from logmeta.datasets.files import merged, table
from logmeta.datasets.labelled import ANOMALOUS, NORMAL, DataCard, LabelledLine, LabelledSet
from logmeta.errors import InputError

_LABELS: Final = "openstack_fi/labels.csv"
_TIME: Final = re.compile(rb"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}", re.MULTILINE)
_MEMBER: Final = re.compile(r"^[^/]+/(Test_[^/]+)/logs/(round_\d)/(?:.*/)?([^/]+\.log)$")
_CARD: Final = DataCard(
    title="OpenStack {campaign}, faults injected into its code",
    origin="https://github.com/dessertlab/Failure-Dataset-OpenStack",
    licence="AGPL-3.0; lines must not be committed",
    label_quality="One label per run: a workload assertion or an API call failed. Which lines show it is not known.",
    known_leaks=(
        "Every faulty run is the first round after a restart, every clean one the second: rounds differ even without "
        "a failure, so figures must also be given against `control` (first rounds that did not fail). A mutated "
        "module has other line numbers in the source positions that some lines end with."
    ),
    citation=(
        "Cotroneo, De Simone, Liguori, Natella, Bidokhti. How Bad Can a Bug Get? An Empirical Analysis of Software "
        "Failures in the OpenStack Cloud Computing Platform. ESEC/FSE 2019."
    ),
)


@dataclass(frozen=True, slots=True)
class Runs:
    """Names of the runs of each part, in time order, and how many there were to choose from."""

    ordinary: list[str]
    normal: list[str]
    anomalous: list[str]
    control: list[str]
    note: str

    @property
    def names(self) -> set[str]:
        """Every run that is read."""
        return {*self.ordinary, *self.normal, *self.anomalous, *self.control}


def campaign(data: Path, name: str, limits: Limits) -> LabelledSet:
    """One campaign; two passes over the archive, as what is ordinary depends on when every run took place."""
    archive = data / "openstack_fi" / f"{name}.tar.xz"
    runs = _chosen(_outcomes(data / _LABELS, name), _times(archive), limits.max_runs)
    logs = _logs(archive, runs.names)
    read = {
        run: _lines(run, logs.pop(run), ANOMALOUS if run in runs.anomalous else NORMAL) for run in sorted(runs.names)
    }
    test = sorted([*runs.normal, *runs.anomalous], key=lambda run: read[run][0].seconds)
    return LabelledSet(
        name=name.lower(),
        family="openstack",
        unit="session",
        card=replace(_card(name), notes=runs.note),
        ordinary=_joined(read, runs.ordinary),
        test=_joined(read, test),
        control=_joined(read, runs.control),
    )


def _card(name: str) -> DataCard:
    return replace(_CARD, title=_CARD.title.format(campaign=name))


def _joined(read: Mapping[str, Sequence[LabelledLine]], runs: Iterable[str]) -> list[LabelledLine]:
    return [line for run in runs for line in read[run]]


def _lines(run: str, logs: Mapping[str, bytes], label: int) -> list[LabelledLine]:
    texts = [logs[name].decode(errors="replace").removesuffix("\n").split("\n") for name in sorted(logs)]
    return [LabelledLine(text.rstrip("\r"), run, seconds, label) for seconds, text in merged(texts)]


def _outcomes(path: Path, name: str) -> dict[str, str]:
    """What each run of the campaign is: clean (second round), failed, control, or "" for a run that is left out."""
    kinds = {
        ("round_2", "NO_FAILURE"): "clean",
        ("round_1", "FAILURE"): "failed",
        ("round_1", "NO_FAILURE"): "control",
    }
    cells = [row.cells for row in table(path, ["campaign", "test", "round", "outcome"])]
    return {
        f"{c['test']}/{c['round']}": kinds.get((c["round"], c["outcome"]), "") for c in cells if c["campaign"] == name
    }


def _members(archive: Path) -> Iterator[tuple[str, str, bytes]]:
    """Run, file name and content of every service log, streamed."""
    with tarfile.open(archive, "r|xz") as tar:
        for member in tar:
            found = _MEMBER.match(member.name)
            file = tar.extractfile(member) if found else None
            if found and file:
                yield f"{found[1]}/{found[2]}", found[3], file.read()


def _times(archive: Path) -> dict[str, tuple[str, str]]:
    """First and last time in the logs of each run; a run without any time is left out."""
    spans: dict[str, tuple[str, str]] = {}
    for run, _, content in _members(archive):
        times = [time.decode() for time in _TIME.findall(content)]
        if times:
            first, last = spans.get(run, (times[0], times[0]))
            spans[run] = min(first, min(times)), max(last, max(times))
    return spans


def _logs(archive: Path, wanted: set[str]) -> dict[str, dict[str, bytes]]:
    logs: dict[str, dict[str, bytes]] = {}
    for run, name, content in _members(archive):
        if run in wanted:
            logs.setdefault(run, {})[name] = content
    return logs


def _chosen(outcomes: Mapping[str, str], times: Mapping[str, tuple[str, str]], max_runs: int) -> Runs:
    """Runs of each part: ordinary is the earlier half of the clean ones, all others begin after it has ended."""
    order = sorted((run for run in outcomes if run in times), key=lambda run: (times[run], run))
    clean = [run for run in order if outcomes[run] == "clean"]
    early = clean[: len(clean) // 2]
    if not early:
        raise InputError(f"the campaign has {len(clean)} clean second rounds with logs; at least 2 are needed")
    end = max(times[run][1] for run in early)
    later = {kind: [r for r in order if outcomes[r] == kind and times[r][0] > end] for kind in set(outcomes.values())}
    pools = [early, *(later.get(kind, []) for kind in ("clean", "failed", "control"))]
    ordinary, normal, failed, control = kept = [_sample(pool, max_runs) for pool in pools]
    note = _note([len(k) for k in kept], [len(p) for p in pools], len(order))
    return Runs(ordinary, normal, failed, control, note)


def _sample(runs: Sequence[str], limit: int) -> list[str]:
    kept = smallest_hashes(runs, limit)
    return [run for run in runs if run in kept]


def _note(kept: Sequence[int], of: Sequence[int], total: int) -> str:
    names = ("ordinary", "normal test", "anomalous test", "control")
    counts = ", ".join(f"{k} of {n} {name}" for k, n, name in zip(kept, of, names, strict=True))
    return (
        f"Ordinary is the earlier half of the clean second rounds; all other runs begin after the last of them ended. "
        f"Runs kept, by a hash of their names: {counts}; {total - sum(of)} of {total} runs are in no part (second "
        f"rounds that failed, first rounds that came too early). Run after run; within one, all services by time."
    )


def _entry(name: str) -> Entry:
    files = (f"openstack_fi/{name}.tar.xz", _LABELS)
    return Entry(
        name.lower(), "openstack", "session", (files,), _card(name), lambda data, limits: campaign(data, name, limits)
    )


ENTRIES: Final = (_entry("Nova"), _entry("Cinder"))
