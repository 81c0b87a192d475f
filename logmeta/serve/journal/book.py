"""What scored batches become before they are written: alarms with the lines round them, counts per five minutes.

Nothing here touches a file. What is kept per stream is bounded: its last ten lines and its latest alarm.
"""

from __future__ import annotations

import time
from collections import OrderedDict, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple

from logmeta.drift import Drift
from logmeta.privacy import redacted
from logmeta.records import JsonValue, ScoredLine

BUCKET_S: Final = 300
CONTEXT_LINES: Final = 10
MAX_STREAMS: Final = 5_000
MAX_TEXT_CHARS: Final = 2_000
_CONTEXT_CHARS: Final = 500  # of a line beside an alarm: 5,000 streams of ten such lines wait in memory


def stored_text(text: str) -> str:
    """A text as the journal keeps it, personal data and secrets masked; every text of a line passes through here."""
    return redacted(text[:MAX_TEXT_CHARS])


def stored_template(template: str) -> str:
    """A template as the journal keeps it: as the detector has it, so that a word on it finds its lines."""
    return template[:MAX_TEXT_CHARS]


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to a source: `kind` for machines, `text` for people, `at` in epoch seconds."""

    kind: str
    source: str
    text: str
    by: str | None = None
    details: Mapping[str, JsonValue] = field(default_factory=dict)
    at: float = field(default_factory=time.time)

    @classmethod
    def of_drift(cls, source: str, drift: Drift, at: float) -> Event:
        details: dict[str, JsonValue] = {**drift.to_dict(), "evidence": [stored_text(text) for text in drift.evidence]}
        details["settled_templates"] = [stored_template(template) for template in drift.settled[:CONTEXT_LINES]]
        return cls("drift", source, f"{drift.kind}: {'; '.join(drift.evidence)}", details=details, at=at)


@dataclass(frozen=True, slots=True)
class Batch:
    """Lines of one source scored together, and what its drift turned into; `at` is the scorer's clock then."""

    source: str
    lines: Sequence[ScoredLine]
    changes: Sequence[Drift]
    at: float

    @property
    def size(self) -> int:
        """Roughly the bytes it holds while it waits."""
        return sum(len(line.message) for line in self.lines) + 500 * len(self.lines)


class Seen(NamedTuple):
    """A line near an alarm."""

    line_no: int
    message: str
    score: float
    at: float


@dataclass(slots=True, eq=False)
class Alarm:
    """An alarm as it grows: its first line, the lines round that, how many anomalous lines it has by now."""

    line: ScoredLine
    at: float
    before: tuple[Seen, ...]
    after: list[Seen] = field(default_factory=list)
    lines: int = 1
    top_score: float = 0.0
    row: int | None = None

    def follow(self, line: ScoredLine, seen: Seen) -> bool:
        """Take a later line of its stream; whether that changed the alarm."""
        joins, near = line.alarm_id == self.line.alarm_id, len(self.after) < CONTEXT_LINES
        if joins:
            self.join(line)
        if near:
            self.after.append(seen)
        return joins or near

    def join(self, line: ScoredLine) -> None:
        """Take another anomalous line of this alarm."""
        self.lines, self.top_score = self.lines + 1, max(self.top_score, line.score)


@dataclass(slots=True)
class Bucket:
    """Counts of five minutes of a source."""

    lines: int = 0
    anomalous: int = 0
    alarms: int = 0
    unseen: int = 0
    top_score: float = 0.0

    def add(self, lines: Sequence[ScoredLine]) -> None:
        self.lines += len(lines)
        self.anomalous += sum(line.alarm_id is not None for line in lines)
        self.alarms += sum(line.alarm for line in lines)
        self.unseen += sum(line.new_template for line in lines)
        self.top_score = max([self.top_score, *(line.score for line in lines)])


@dataclass(slots=True)
class Page:
    """What is to be written: alarms that are new or have changed, counts to add, when sources were last seen."""

    alarms: dict[int, Alarm] = field(default_factory=dict)
    buckets: dict[tuple[str, int], Bucket] = field(default_factory=dict)
    last_seen: dict[str, float] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    items: int = 0


@dataclass(slots=True)
class _Recent:
    """What is remembered of a stream."""

    before: deque[Seen] = field(default_factory=lambda: deque(maxlen=CONTEXT_LINES))
    alarm: Alarm | None = None

    @property
    def is_near_alarm(self) -> bool:
        return self.alarm is not None and len(self.alarm.after) < CONTEXT_LINES

    def follow(self, line: ScoredLine, at: float) -> Alarm | None:
        """Take the next line; the alarm that it begins or changes."""
        seen, changed = _seen(line, at), None
        if line.alarm:
            kept = replace(line, message=line.message[:MAX_TEXT_CHARS])
            changed = self.alarm = Alarm(kept, at, tuple(self.before), top_score=line.score)
        elif self.alarm is not None and self.alarm.follow(line, seen):
            changed = self.alarm
        self.before.append(seen)
        return changed


class Book:
    """Turns batches and events into pages; streams and alarms unused for longest are forgotten beyond `max_streams`."""

    def __init__(self, *, max_streams: int = MAX_STREAMS) -> None:
        self._max_streams = max_streams
        self._streams: OrderedDict[tuple[str, str | None], _Recent] = OrderedDict()
        self._alarms: OrderedDict[str, Alarm] = OrderedDict()
        self._page = Page()

    def take(self, item: Batch | Event) -> None:
        """The next item, in the order in which they happened."""
        self._page.items += 1
        if isinstance(item, Event):
            self._page.events.append(item)
            return
        self._page.last_seen[item.source] = item.at
        bucket = (item.source, int(item.at // BUCKET_S) * BUCKET_S)
        self._page.buckets.setdefault(bucket, Bucket()).add(item.lines)
        self._page.events += [Event.of_drift(item.source, change, item.at) for change in item.changes]
        changed = [alarm for lines in _by_stream(item.lines) for alarm in self._follow(lines, item)]
        for alarm in sorted(changed, key=lambda alarm: alarm.line.line_no):
            self._page.alarms[id(alarm)] = alarm

    def page(self) -> Page:
        """What was taken since the last page."""
        page, self._page = self._page, Page()
        return page

    def _follow(self, lines: Sequence[ScoredLine], batch: Batch) -> list[Alarm]:
        """Take the lines of one stream; the alarms that began or changed. Of most batches only the last lines count."""
        recent, changed = self._recent(batch.source, lines[0].stream), dict[int, Alarm]()
        if not recent.is_near_alarm and all(line.alarm_id is None for line in lines):
            recent.before.extend(_seen(line, batch.at) for line in lines[-CONTEXT_LINES:])
            return []
        for line in lines:
            alarm = recent.follow(line, batch.at)
            for one in (alarm, self._joined(line, recent.alarm)):
                if one is not None:
                    changed[id(one)] = one
        return list(changed.values())

    def _joined(self, line: ScoredLine, latest: Alarm | None) -> Alarm | None:
        """The alarm that a line belongs to where that is not its stream's latest: it repeats an earlier one."""
        if line.alarm_id is None:
            return None
        if latest is not None and latest.line.alarm_id == line.alarm_id:
            self._alarms[line.alarm_id] = latest
            self._alarms.move_to_end(line.alarm_id)
            if len(self._alarms) > self._max_streams:
                self._alarms.popitem(last=False)
            return None
        earlier = self._alarms.get(line.alarm_id)
        if earlier is not None:
            earlier.join(line)
        return earlier

    def _recent(self, source: str, stream: str | None) -> _Recent:
        found = self._streams.get((source, stream))
        if found is None:
            found = self._streams[source, stream] = _Recent()
            if len(self._streams) > self._max_streams:
                self._streams.popitem(last=False)
        self._streams.move_to_end((source, stream))
        return found


def _by_stream(lines: Sequence[ScoredLine]) -> Iterable[Sequence[ScoredLine]]:
    found: dict[str | None, list[ScoredLine]] = {}
    for line in lines:
        found.setdefault(line.stream, []).append(line)
    return found.values()


def _seen(line: ScoredLine, at: float) -> Seen:
    return Seen(line.line_no, line.message[:_CONTEXT_CHARS], line.score, at)
