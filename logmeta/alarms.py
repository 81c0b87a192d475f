"""Anomalous lines to alarms: neighbouring ones in a stream are one alarm, told once."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, field
from typing import Final

from logmeta.records import LogRecord

GAP_LINES: Final = 50
AFTERMATH_LINES: Final = 200
AFTERMATH_SECONDS: Final = 20.0
LONGEST_LINES: Final = 1_000
LINES_PER_ALARM: Final = 4.0  # of ordinary lines that look odd; measured on twelve systems (docs/decisions/0012)


@dataclass(slots=True)
class Course:
    """The anomalous lines of a stream so far: line and time of the last one and of the alarm's first, and the highest
    raw score it told of. Times are in seconds, NaN where unknown."""

    last: int = -(10**9)
    last_s: float = math.nan
    start: int = 0
    start_s: float = math.nan
    peak: float = 0.0

    def begins_alarm(self, line: int, raw: float, seconds: float) -> bool:
        """Whether an anomalous line begins an alarm; then it belongs to the past.

        Behind an alarm comes its aftermath: recovery is odd too. There only what is odder than all before is news.
        """
        away, odder = line - self.last, raw > self.peak
        behind = away > AFTERMATH_LINES and not abs(seconds - self.last_s) <= AFTERMATH_SECONDS
        goes_on = line - self.start > LONGEST_LINES and not abs(seconds - self.start_s) <= AFTERMATH_SECONDS
        begins = goes_on or behind or (odder and away > GAP_LINES)
        if begins or away <= GAP_LINES:
            self.peak = raw if odder or behind else self.peak
            self.last, self.last_s = line, seconds
        if begins:
            self.start, self.start_s = line, seconds
        return begins


@dataclass(slots=True)
class AlarmState:
    """The open alarm of a stream of `source`, if any. Lines are counted per stream."""

    source: str
    lines: int = 0
    number: int = 0
    alarm_id: str = ""
    course: Course = field(default_factory=Course)

    def see(self, odd: float | None, record: LogRecord, seconds: float) -> tuple[bool, str | None]:
        """Whether an alarm starts on this line, and the id of the alarm that the line belongs to, if it does.

        `odd` is an anomalous line's raw score, None where the line is ordinary.
        """
        self.lines += 1
        if odd is None:
            return False, None
        starts = self.course.begins_alarm(self.lines, odd, seconds)
        if starts:
            self.number += 1
            name = f"{self.source}\0{record.stream}\0{seconds}\0{record.line_no}\0{self.number}"
            self.alarm_id = hashlib.blake2s(name.encode(errors="replace"), digest_size=8).hexdigest()
        return starts, self.alarm_id
