"""Our own detector under one support draw: the lines are read once, every variant of the detector scores them.

Everything that judges is the product's (`EvidenceReader`, `Detector.own_scores`, `Calibration`, `AlarmState`,
`OpenWindows`); a test holds that the verdicts are those of `Detector.score` and `Detector.score_windows`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from logmeta.closing import OpenWindows
from logmeta.detector import Detector
from logmeta.evaluate.verdicts import Verdicts, alarm_starts
from logmeta.grouping import Line
from logmeta.meta.scorer import with_recent_by_stream
from logmeta.parse import ParsedEvent
from logmeta.records import LogRecord
from logmeta.window import FloatArray, IntArray

BATCH: Final = 2_048


@dataclass(frozen=True)
class Reading:
    """Lines as a detector reads them: `x` (heads, WIDTH) are the features of record heads, `head` (lines,) says which
    head's verdict a line takes, -1 before a stream's first."""

    records: Sequence[LogRecord]
    events: Sequence[ParsedEvent]
    x: FloatArray
    head: IntArray


def read(detector: Detector, records: Sequence[LogRecord]) -> Reading:
    """Read lines in arrival order from the detector's context, as a scoring session does."""
    reader = detector.reader()
    events: list[ParsedEvent] = []
    parts, head = [], []
    last: dict[str | None, int] = {}
    rows = 0
    for start in range(0, len(records), BATCH):
        batch = records[start : start + BATCH]
        parsed = [reader.parser.read(record) for record in batch]
        found = reader.read(parsed, [record.stream for record in batch])
        for record, at in zip(batch, found.head_of, strict=True):
            if at >= 0:
                last[record.stream] = rows + at
            head.append(last.get(record.stream, -1))
        rows += len(found.features)
        parts.append(found.features)
        events += parsed
    return Reading(records, events, np.concatenate(parts), np.array(head, dtype=np.int64))


def line_verdicts(detector: Detector, reading: Reading) -> Verdicts:
    """Verdicts per line. Lines before their stream's first record score lowest."""
    raw = _raw(detector, reading)
    lowest = float(raw.min(initial=0.0))
    of_line = np.where(reading.head >= 0, raw[reading.head], lowest)
    found = Verdicts.of(of_line, detector.calibration, detector.level.level)
    heads = np.array([event.is_head for event in reading.events], dtype=bool)
    seconds = np.array([event.seconds for event in reading.events])
    streams = [record.stream for record in reading.records]
    return replace(found, alarm=alarm_starts(found.alarm & heads, of_line, seconds, streams))


def window_verdicts(detector: Detector, reading: Reading) -> tuple[list[str | None], Verdicts]:
    """Verdicts per whole window in the order they close, with the windows' streams."""
    scorer = detector.window_scorer
    assert scorer is not None, "onboarded without a window"
    raw = _raw(detector, reading)
    windows, closed = OpenWindows(scorer), []
    heads = [i for i, event in enumerate(reading.events) if event.is_head]
    for start in range(0, len(heads), BATCH):
        windows.see(_line(reading, i, raw) for i in heads[start : start + BATCH])
        closed += windows.take()
    windows.finish()
    closed += windows.take()
    scores = np.array([window.raw_score for window in closed])
    found = Verdicts.of(scores, detector.window_calibration, scorer.level.level)
    return [window.stream for window in closed], found


def _raw(detector: Detector, reading: Reading) -> FloatArray:
    heads = [i for i, event in enumerate(reading.events) if event.is_head]
    streams = [reading.records[i].stream for i in heads]
    own = detector.own_scores(reading.x)
    raw, _ = with_recent_by_stream(own, streams, weight=detector.smoothing)
    return np.asarray(raw + detector.all_added([reading.events[i].shape.template for i in heads], reading.x, own))


def _line(reading: Reading, i: int, raw: FloatArray) -> tuple[str | None, Line]:
    event = reading.events[i]
    shape = event.shape
    line = Line(event.line_no, shape.template_index, float(raw[reading.head[i]]), shape.level, event.seconds)
    return reading.records[i].stream, line
