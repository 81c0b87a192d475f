"""What travels through logmeta: a line read, a line parsed, a line scored."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Final, TypeAlias

_SURROGATE: Final = re.compile("[\ud800-\udfff]")
JsonValue: TypeAlias = "str | int | float | bool | list[JsonValue] | dict[str, JsonValue] | None"


@dataclass(frozen=True, slots=True)
class LogRecord:
    """One input line, and the record it belongs to.

    A stack trace or a DETAIL line belongs to the record whose first line is `record_line_no`.
    `timestamp` is in epoch seconds when the caller knows better than the line (an event's @timestamp).
    """

    line_no: int
    text: str
    stream: str | None = None
    timestamp: float | None = None
    flags: tuple[str, ...] = ()


def as_records(lines: Iterable[str | LogRecord]) -> Iterator[LogRecord]:
    """Lines as records, numbered in their order; records keep their stream and time."""
    for i, line in enumerate(lines, 1):
        record = LogRecord(i, line.rstrip("\r\n")) if isinstance(line, str) else replace(line, line_no=i)
        yield record if record.text.isascii() else _encodable(record)


def _encodable(record: LogRecord) -> LogRecord:
    """Half of a surrogate pair (undecodable bytes read with `surrogateescape`) is no character: U+FFFD, flagged."""
    if not _SURROGATE.search(record.text):
        return record
    return replace(record, text=_SURROGATE.sub("\ufffd", record.text), flags=(*record.flags, "invalid_utf8"))


@lru_cache(maxsize=65536)
def template_id(template: str) -> str:
    """Hash of the template text, so it never depends on arrival order."""
    return hashlib.blake2s(template.encode(), digest_size=8).hexdigest()


@dataclass(frozen=True, slots=True)
class AlarmBudget:
    """How many false alarms a person accepts per day; logmeta turns it into a p-value level."""

    per_day: float = 10.0

    def __post_init__(self) -> None:
        if not self.per_day > 0:
            raise ValueError(f"an alarm budget is a positive number of alarms per day, got {self.per_day}")


@dataclass(frozen=True, slots=True)
class Reason:
    """One piece of evidence: `kind` for machines, `text` for people, `weight` its share of the score (0-1)."""

    kind: str
    text: str
    weight: float

    def to_dict(self) -> dict[str, JsonValue]:
        return {"kind": self.kind, "text": self.text, "weight": round(self.weight, 4)}


@dataclass(frozen=True, slots=True)
class ModelId:
    """Which base model, detector and version scored a line, adapted from how many lines (`shots`)."""

    base: str
    detector: str
    version: str
    shots: int

    def to_dict(self) -> dict[str, JsonValue]:
        return {"base": self.base, "detector": self.detector, "version": self.version}


def severity_of(score: float) -> str:
    """How urgent something anomalous is, by how far its score lies past the alarm level (0.5)."""
    steps = ((0.75, "critical"), (0.5, "major"), (0.25, "minor"))
    excess = max(0.0, (score - 0.5) * 2)
    return next((name for floor, name in steps if excess > floor), "warning")


@dataclass(frozen=True, slots=True)
class ScoredLine:
    """A line with its verdict. Higher `raw_score` and `score` are more anomalous.

    `features` of a record's first line (float16 as bytes) are what feedback on it learns from; they are no part of its
    JSON.
    """

    line_no: int
    record_line_no: int
    message: str
    source: str
    stream: str | None
    template: str
    new_template: bool
    raw_score: float
    score: float
    p_value: float
    alarm: bool
    alarm_id: str | None
    provisional: bool
    window_score: float
    window_p_value: float
    model: ModelId
    reasons: tuple[Reason, ...] = ()
    typical: str | None = None
    flags: tuple[str, ...] = ()
    features: bytes | None = field(default=None, compare=False, repr=False)

    @property
    def template_id(self) -> str:
        return template_id(self.template)

    @property
    def severity(self) -> str:
        """How urgent an alarm is: none, warning, minor, major or critical, by how far past the level it is."""
        return "none" if self.alarm_id is None else severity_of(self.score)

    def to_dict(self) -> dict[str, JsonValue]:
        """The JSON line of `logmeta score` (docs/schema/scored-line.schema.json)."""
        out: dict[str, JsonValue] = {
            "line_no": self.line_no,
            "record_line_no": self.record_line_no,
            "message": self.message,
            "source": self.source,
            "template_id": self.template_id,
            "template": self.template,
            "new_template": self.new_template,
            "raw_score": self.raw_score,
            "score": self.score,
            "p_value": self.p_value,
            "alarm": self.alarm,
            "provisional": self.provisional,
            "window_score": self.window_score,
            "window_p_value": self.window_p_value,
            "model": self.model.to_dict(),
        }
        if self.stream is not None:
            out["stream"] = self.stream
        if self.alarm_id is not None:
            out["alarm_id"] = self.alarm_id
        if self.reasons:
            out["reasons"] = [reason.to_dict() for reason in self.reasons]
        if self.flags:
            out["flags"] = list(self.flags)
        return out


@dataclass(frozen=True, slots=True)
class ScoredWindow:
    """A window that is complete, with its verdict: a session, or a sliding or tumbling stretch of a stream.

    `closed_by`: "full", "idle", "end" (of the input) or "evicted" (too many were open). Higher scores are more
    anomalous.
    """

    source: str
    stream: str | None
    first_line_no: int
    last_line_no: int
    lines: int
    raw_score: float
    score: float
    p_value: float
    alarm: bool
    provisional: bool
    closed_by: str
    model: ModelId
    reasons: tuple[Reason, ...] = ()

    def to_dict(self) -> dict[str, JsonValue]:
        """The JSON line of `logmeta score --per window`."""
        out: dict[str, JsonValue] = {
            "source": self.source,
            "first_line_no": self.first_line_no,
            "last_line_no": self.last_line_no,
            "lines": self.lines,
            "raw_score": self.raw_score,
            "score": self.score,
            "p_value": self.p_value,
            "alarm": self.alarm,
            "provisional": self.provisional,
            "closed_by": self.closed_by,
            "model": self.model.to_dict(),
        }
        if self.stream is not None:
            out["stream"] = self.stream
        if self.reasons:
            out["reasons"] = [reason.to_dict() for reason in self.reasons]
        return out


@dataclass(frozen=True, slots=True)
class IncidentUpdate:
    """An incident of a source as it stands when it starts, has grown fourfold, or has ended.

    `score` is the highest so far, on line `peak_line_no`; `streams` names the first ten streams it shows in; `reasons`
    are those of the line it started with. `state` is "start", "growth" or "end".
    """

    incident_id: str
    source: str
    state: str
    line_no: int
    first_line_no: int
    last_line_no: int
    anomalous_lines: int
    streams: tuple[str, ...]
    score: float
    peak_line_no: int
    provisional: bool
    model: ModelId
    reasons: tuple[Reason, ...] = ()

    def to_dict(self) -> dict[str, JsonValue]:
        """The JSON line of `logmeta score --per incident`."""
        return {
            "incident_id": self.incident_id,
            "source": self.source,
            "state": self.state,
            "line_no": self.line_no,
            "first_line_no": self.first_line_no,
            "last_line_no": self.last_line_no,
            "anomalous_lines": self.anomalous_lines,
            "streams": list(self.streams),
            "score": self.score,
            "severity": severity_of(self.score),
            "peak_line_no": self.peak_line_no,
            "provisional": self.provisional,
            "model": self.model.to_dict(),
            "reasons": [reason.to_dict() for reason in self.reasons],
        }
