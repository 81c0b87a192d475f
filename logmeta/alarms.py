"""Anomalous lines to alarms: neighbouring ones in a stream are one alarm, told once."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final

from logmeta.records import LogRecord

GAP_LINES: Final = 50
LONGEST_LINES: Final = 1_000
LINES_PER_ALARM: Final = 4.0  # of ordinary lines that look odd; measured on twelve systems (docs/decisions/0012)


def begins(line: int, *, last: int, start: int) -> bool:
    """Whether an anomalous line begins an alarm, from the stream's anomalous line before it and its alarm's first."""
    return line - last > GAP_LINES or line - start > LONGEST_LINES


@dataclass(slots=True)
class AlarmState:
    """The open alarm of a stream of `source`, if any. Lines are counted per stream."""

    source: str
    lines: int = 0
    last: int = -(10**9)
    start: int = 0
    number: int = 0
    alarm_id: str = ""

    def see(self, anomalous: bool, record: LogRecord, seconds: float) -> tuple[bool, str | None]:
        """Whether an alarm starts on this line, and the id of the alarm that the line belongs to, if it does."""
        self.lines += 1
        if not anomalous:
            return False, None
        starts = begins(self.lines, last=self.last, start=self.start)
        self.last = self.lines
        if starts:
            self.start, self.number = self.lines, self.number + 1
            name = f"{self.source}\0{record.stream}\0{seconds}\0{record.line_no}\0{self.number}"
            self.alarm_id = hashlib.blake2s(name.encode(errors="replace"), digest_size=8).hexdigest()
        return starts, self.alarm_id
