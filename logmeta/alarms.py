"""Anomalous lines to alarms: neighbouring ones in a stream are one alarm, told once."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final

GAP_LINES: Final = 50
LONGEST_LINES: Final = 1_000


@dataclass(slots=True)
class AlarmState:
    """The open alarm of a stream, if any. Lines are counted per stream."""

    lines: int = 0
    last: int = -(10**9)
    start: int = 0
    number: int = 0
    alarm_id: str = ""

    def see(self, anomalous: bool, name: str) -> tuple[bool, str | None]:
        """Whether an alarm starts on this line, and the id of the alarm that the line belongs to, if it does."""
        self.lines += 1
        if not anomalous:
            return False, None
        starts = self.lines - self.last > GAP_LINES or self.lines - self.start > LONGEST_LINES
        self.last = self.lines
        if starts:
            self.start, self.number = self.lines, self.number + 1
            self.alarm_id = hashlib.blake2s(f"{name}\0{self.number}".encode(), digest_size=8).hexdigest()
        return starts, self.alarm_id
