"""TrainTicket, 54 microservices: container logs in minutes around injected faults; labels are noisy."""

from __future__ import annotations

import csv
import io
import re
import tarfile
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple

import orjson

from logmeta.datasets.entry import Entry, Limits
from logmeta.datasets.files import table
from logmeta.datasets.labelled import ANOMALOUS, NORMAL, DataCard, Incident, LabelledLine, LabelledSet
from logmeta.errors import InputError

_FILES: Final = ("nezha_trainticket/logs.tar.xz", "nezha_trainticket/fault_windows.csv")
WINDOW_S: Final = 180
_REPLICA: Final = re.compile(r"-[0-9a-z]+-[0-9a-z]{5}$")
_CARD: Final = DataCard(
    title="TrainTicket, faults in microservices (Nezha)",
    origin="https://github.com/IntelligentDDS/Nezha",
    licence="MIT",
    label_quality=(
        f"Noisy. Only injection times are given; a fault is taken to last {WINDOW_S} s, which covers the minutes that "
        "were recorded after it. Inside, lines of the faulty service count as anomalous although most are ordinary; "
        "469 of 559 traces called abnormal equal a normal one. Network and CPU faults hardly show in logs."
    ),
    known_leaks="None known in the text. One minute before and two after each fault were kept: normal time is scarce.",
    citation="Yu et al. Nezha: Interpretable Fine-Grained Root Causes Analysis for Microservices. ESEC/FSE 2023.",
)


class Record(NamedTuple):
    """One log line of a pod at a time in nanoseconds."""

    nanoseconds: int
    pod: str
    text: str


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of time, in epoch nanoseconds, in which the named services were faulty."""

    start: int
    end: int
    services: frozenset[str]
    kind: str


def trainticket(data: Path, limits: Limits) -> LabelledSet:
    """Ordinary is the fault-free phase of the first day; test is everything later, with both days' faults."""
    calm, faulty, broken, twice = _phases(data / _FILES[0])
    first_day = _day(min(calm)) if calm else ""
    ordinary = [record for record in calm if _day(record) == first_day]
    end = ordinary[-1].nanoseconds if ordinary else 0
    later = sorted({*faulty, *(record for record in calm if _day(record) != first_day)})
    test = [record for record in later if record.nanoseconds > end]
    kept = test[: limits.max_lines]
    windows = _windows(data / _FILES[1])
    cut = f" Only the first {len(kept):,} of {len(test):,} test lines are read." if len(kept) < len(test) else ""
    notes = (
        "Ordinary is the fault-free phase of the first day; test is all that was logged later, the fault-free minute "
        f"of the second day included. Left out: {len(later) - len(test):,} lines logged before ordinary ended, "
        f"{twice:,} repeated rows, {broken} rows without a whole JSON record.{cut}"
    )
    return LabelledSet(
        name="trainticket",
        family="trainticket",
        unit="line",
        card=replace(_CARD, notes=notes),
        ordinary=[_line(record, NORMAL) for record in ordinary],
        test=[_line(record, _label(record, windows)) for record in kept],
        incidents=_incidents(kept, windows),
        noisy=True,
    )


def _day(record: Record) -> str:
    return datetime.fromtimestamp(record.nanoseconds / 1e9, UTC).date().isoformat()


def _line(record: Record, label: int | None) -> LabelledLine:
    return LabelledLine(record.text, record.pod, record.nanoseconds / 1e9, label)


def _phases(archive: Path) -> tuple[list[Record], list[Record], int, int]:
    """Records of the fault-free and of the faulty phase in time order, and how many rows were broken or repeated."""
    calm: set[Record] = set()
    faulty: set[Record] = set()
    rows = broken = 0
    with tarfile.open(archive, "r|xz") as tar:
        for member in tar:
            file = tar.extractfile(member) if member.name.endswith("_log.csv") else None
            if file is None:
                continue
            part = calm if member.name.startswith("construct_data/") else faulty
            for record in _records(io.TextIOWrapper(io.BytesIO(file.read()), "utf-8", "replace", newline="")):
                rows += 1
                broken += record is None
                if record is not None:
                    part.add(record)
    return sorted(calm), sorted(faulty), broken, rows - broken - len(calm) - len(faulty)


def _records(file: io.TextIOWrapper) -> Iterator[Record | None]:
    """Rows of one file; None for a row whose container JSON is not whole."""
    reader = csv.DictReader(file)
    if not {"TimeUnixNano", "PodName", "Log"} <= set(reader.fieldnames or ()):
        raise InputError(f"a TrainTicket log has the columns {reader.fieldnames}; needed: TimeUnixNano, PodName, Log")
    for row in reader:
        try:
            inner = orjson.loads(row["Log"])
        except orjson.JSONDecodeError:
            yield None
            continue
        yield Record(_nanoseconds(row["TimeUnixNano"], inner), row["PodName"], str(inner["log"]).rstrip("\r\n"))


def _nanoseconds(text: str, inner: Mapping[str, str]) -> int:
    """The row's time; where it overflowed (it is negative), the time at which the container wrote the line."""
    found = int(text)
    if found > 0:
        return found
    return int(datetime.fromisoformat(inner["time"][:26].rstrip("Z")).replace(tzinfo=UTC).timestamp() * 1e6) * 1000


def _windows(path: Path) -> list[Window]:
    """Fault windows in time order; those that touch become one."""
    merged: list[Window] = []
    rows = table(path, ["inject_time_utc", "service", "type"])
    for row in sorted(rows, key=lambda row: row.cells["inject_time_utc"]):
        try:
            time = datetime.fromisoformat(row.cells["inject_time_utc"]).replace(tzinfo=UTC)
        except ValueError:
            raise InputError(f"{row.place}: inject_time_utc is {row.cells['inject_time_utc']!r}, no time") from None
        start = int(time.timestamp()) * 10**9
        new = Window(start, start + WINDOW_S * 10**9, frozenset({row.cells["service"]}), row.cells["type"])
        if merged and merged[-1].end >= new.start:
            old = merged.pop()
            new = Window(old.start, new.end, old.services | new.services, f"{old.kind}+{new.kind}")
        merged.append(new)
    return merged


def _label(record: Record, windows: Sequence[Window]) -> int | None:
    at = bisect_right(windows, record.nanoseconds, key=lambda window: window.end)
    if at == len(windows) or record.nanoseconds < windows[at].start:
        return NORMAL
    return ANOMALOUS if _REPLICA.sub("", record.pod) in windows[at].services else None


def _incidents(records: Sequence[Record], windows: Sequence[Window]) -> tuple[Incident, ...]:
    """Spans over the test lines; a window in which nothing was logged has none."""
    times = [record.nanoseconds for record in records]
    spans = ((bisect_left(times, w.start) + 1, bisect_left(times, w.end), w.kind) for w in windows)
    return tuple(Incident(first, last, kind) for first, last, kind in spans if first <= last)


ENTRIES: Final = (Entry("trainticket", "trainticket", "line", (_FILES,), _CARD, trainticket),)
