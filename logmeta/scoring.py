"""A log file through a detector: batches, streams, progress on a terminal, repairs told at the end."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import Progress, TextColumn

from logmeta.absorption import Quarantine, absorbing
from logmeta.detector import Detector
from logmeta.drift import BLOCK, Drift, DriftMonitor
from logmeta.records import IncidentUpdate, LogRecord, ScoredLine, ScoredWindow
from logmeta.session import ScoringSession
from logmeta.sources import LineReader, follow, read_records
from logmeta.streams import in_streams


def score_path(
    detector: Detector, path: str, *, explain: str = "alarms", follow_file: bool = False
) -> Iterator[list[ScoredLine]]:
    """Scored batches of a file or of standard input (`-`), in input order; memory stays constant."""
    yield from _scored(detector.session(), path, explain=explain, follow_file=follow_file)


def score_together(detectors: Sequence[Detector], path: str) -> Iterator[list[list[ScoredLine]]]:
    """Batches of a file or of standard input (`-`), each scored by every detector; the input is read once."""
    sessions = [detector.session() for detector in detectors]
    for batch in _batches(path, follow_file=False):
        yield [session.score(in_streams(batch, session.detector.stream_regex), explain="none") for session in sessions]


def windows_of_path(detector: Detector, path: str, *, follow_file: bool = False) -> Iterator[list[ScoredWindow]]:
    """Whole windows of a file or of standard input (`-`), as they close."""
    session = detector.session()
    for _ in _scored(session, path, explain="none", follow_file=follow_file):
        yield session.closed_windows()
    yield session.finish()


def incidents_of_path(detector: Detector, path: str, *, follow_file: bool = False) -> Iterator[list[IncidentUpdate]]:
    """Incidents of a file or of standard input (`-`), as they start, grow and end."""
    session = detector.session()
    for _ in _scored(session, path, explain="alarms", follow_file=follow_file):
        yield session.incident_updates()
    session.finish()
    yield session.incident_updates()


def drift_of_path(detector: Detector, path: str, *, follow_file: bool = False) -> Iterator[list[Drift]]:
    """What a file or standard input (`-`) says of drift wherever that changes, and at its end."""
    monitor = DriftMonitor(detector)
    for batch in _scored(detector.session(), path, explain="none", follow_file=follow_file):
        monitor.see(batch)
        yield monitor.take()
    yield [monitor.look()]


def absorbed_of_path(detector: Detector, path: str) -> Detector:
    """The detector with what a file or standard input (`-`) shows to be ordinary by now (see `logmeta.absorption`)."""
    session, monitor = detector.session(), DriftMonitor(detector)
    quarantine = Quarantine(detector, monitor)
    for batch in _batches(path, follow_file=False):
        for start in range(0, len(batch), BLOCK):
            lines = session.score(in_streams(batch[start : start + BLOCK], detector.stream_regex), explain="none")
            monitor.see(lines)
            quarantine.see(lines)
            if more := quarantine.ready():
                detector = absorbing(detector, more)
                session.recalibrate(detector)
                quarantine.use(detector)
    return detector


def _scored(session: ScoringSession, path: str, *, explain: str, follow_file: bool) -> Iterator[list[ScoredLine]]:
    for batch in _batches(path, follow_file=follow_file):
        yield session.score(in_streams(batch, session.detector.stream_regex), explain=explain)


def _batches(path: str, *, follow_file: bool) -> Iterator[list[LogRecord]]:
    reader = LineReader()
    try:
        with _progress(path) as progress:
            task = progress.add_task(f"scoring {Path(path).name}", total=None)
            for batch in follow(path, reader) if follow_file else read_records(path, reader):
                yield batch
                progress.update(task, advance=len(batch))
    finally:
        _tell_repairs(reader)


def _progress(path: str) -> Progress:
    shown = sys.stderr.isatty() and not sys.stdout.isatty() and path != "-"
    columns = (TextColumn("{task.description}"), TextColumn("{task.completed:,} lines"))
    return Progress(*columns, console=Console(stderr=True), disable=not shown, transient=True)


def _tell_repairs(reader: LineReader) -> None:
    repairs = {name: n for name, n in sorted(reader.counters.items()) if name != "lines" and n}
    if repairs:
        told = ", ".join(f"{name.replace('_', ' ')} {n}" for name, n in repairs.items())
        print(f"note: of {reader.counters['lines']} lines: {told} (flagged in the output)", file=sys.stderr)  # noqa: T201
