"""Alarms to incidents: one starts, grows and ends, in however many streams of a source it shows.

An alarm belongs to one stream and is told once. An incident belongs to the source: anomalous lines of all its streams
join the open incident until the source has been quiet for a while.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field, replace
from typing import Final

from logmeta.records import IncidentUpdate, ScoredLine

QUIET_LINES: Final = 200
QUIET_SECONDS: Final = 60.0
LONG_QUIET_SECONDS: Final = 300.0
_GROWTH: Final = 4
_MOST_STREAMS: Final = 10
_KEPT: Final = 10_000


@dataclass(slots=True)
class _Open:
    """The incident that is going on; `seen` is how many lines of the source had come at its last anomalous one."""

    update: IncidentUpdate
    seen: int
    seconds: float
    told: int = 1


@dataclass(slots=True)
class IncidentTracker:
    """Follows one source. What happened waits in `updates` (bounded, the oldest go first) until it is taken."""

    lines: int = 0
    open: _Open | None = None
    updates: deque[IncidentUpdate] = field(default_factory=lambda: deque(maxlen=_KEPT))

    def see(self, line: ScoredLine, seconds: float) -> None:
        """A scored line in order of arrival; `seconds` is its time, NaN where unknown."""
        self.lines += 1
        if self.open is not None and self._quiet(self.open, seconds):
            self.end(line.line_no)
        if line.alarm_id is None:
            return
        if self.open is None:
            self._start(line, seconds)
        else:
            self._go_on(self.open, line, seconds)

    def end(self, line_no: int | None = None) -> None:
        """End the open incident, if any: the source is quiet, or the input has ended."""
        if self.open is not None:
            last = self.open.update
            self.updates.append(replace(last, state="end", line_no=line_no or last.last_line_no))
            self.open = None

    def take(self) -> list[IncidentUpdate]:
        """What happened since the last call."""
        taken = list(self.updates)
        self.updates.clear()
        return taken

    def _quiet(self, incident: _Open, seconds: float) -> bool:
        for_s = seconds - incident.seconds
        return for_s >= LONG_QUIET_SECONDS or (self.lines - incident.seen > QUIET_LINES and not for_s < QUIET_SECONDS)

    def _start(self, line: ScoredLine, seconds: float) -> None:
        update = IncidentUpdate(
            incident_id=line.alarm_id or "",
            source=line.source,
            state="start",
            line_no=line.line_no,
            first_line_no=line.line_no,
            last_line_no=line.line_no,
            anomalous_lines=1,
            streams=() if line.stream is None else (line.stream,),
            score=line.score,
            peak_line_no=line.line_no,
            provisional=line.provisional,
            model=line.model,
            reasons=line.reasons,
        )
        self.open = _Open(update, self.lines, seconds)
        self.updates.append(update)

    def _go_on(self, incident: _Open, line: ScoredLine, seconds: float) -> None:
        before = incident.update
        peak = line.score > before.score
        incident.update = update = replace(
            before,
            state="growth",
            line_no=line.line_no,
            last_line_no=line.line_no,
            anomalous_lines=before.anomalous_lines + 1,
            streams=_joined(before.streams, line.stream),
            score=line.score if peak else before.score,
            peak_line_no=line.line_no if peak else before.peak_line_no,
        )
        incident.seen, incident.seconds = self.lines, seconds if seconds == seconds else incident.seconds
        if update.anomalous_lines >= _GROWTH * incident.told:
            incident.told = update.anomalous_lines
            self.updates.append(update)


def _joined(streams: tuple[str, ...], stream: str | None) -> tuple[str, ...]:
    if stream is None or stream in streams or len(streams) >= _MOST_STREAMS:
        return streams
    return (*streams, stream)
