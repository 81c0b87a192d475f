"""What a report tells, gathered from the journals of all scorers of a folder and from its registry."""

from __future__ import annotations

import difflib
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeAlias

import orjson

from logmeta.artifact import MANIFEST
from logmeta.errors import ArtifactError, UsageError
from logmeta.lineage import VersionInfo
from logmeta.registry import Registry
from logmeta.serve.journal.reader import JournalReader, Slice
from logmeta.serve.labels import words_on
from logmeta.serve.report.span import Span, moment

MAX_TEMPLATES: Final = 2_000
MAX_EVENTS: Final = 5_000
PAGE: Final = 1_000
SEVERITIES: Final = ("critical", "major", "minor", "warning")
UNTOLD: Final = "unexplained"  # the request that brought the line asked for no reasons
Row: TypeAlias = "Mapping[str, Any]"


@dataclass(slots=True)
class Kind:
    """The alarms of one template: how many, when, how severe at worst, and the latest of them."""

    template: str
    template_id: str
    latest: Row
    first: str
    reason: str
    count: int = 0
    is_new: bool = False
    severities: Counter[str] = field(default_factory=Counter)

    @property
    def worst(self) -> str:
        return next(severity for severity in SEVERITIES if self.severities[severity])


@dataclass(slots=True)
class Alarms:
    """Alarms counted in every way that a report shows; of templates the first 2,000 met are told apart."""

    by_day: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    by_reason: Counter[str] = field(default_factory=Counter)
    kinds: dict[str, Kind] = field(default_factory=dict)
    total: int = 0
    told_apart: int = 0

    def add(self, alarm: Row) -> None:
        self.total += 1
        self.by_day[alarm["at"][:10]][alarm["severity"]] += 1
        reason = alarm["reasons"][0]["kind"] if alarm["reasons"] else UNTOLD
        self.by_reason[reason] += 1
        kind = self.kinds.get(alarm["template_id"])
        if kind is None and len(self.kinds) < MAX_TEMPLATES:
            kind = Kind(alarm["template"], alarm["template_id"], alarm, alarm["at"], reason)
            self.kinds[alarm["template_id"]] = kind
        if kind is not None:
            self._count(kind, alarm)

    def _count(self, kind: Kind, alarm: Row) -> None:
        self.told_apart += 1
        kind.count += 1
        kind.severities[alarm["severity"]] += 1
        kind.is_new = kind.is_new or alarm["new_template"]
        kind.first = min(kind.first, alarm["at"])
        if alarm["at"] > kind.latest["at"]:
            kind.latest = alarm


@dataclass(frozen=True, slots=True)
class Step:
    """A stretch of the timeline: what was scored in it."""

    at: str
    lines: int
    anomalous: int
    unseen: int
    top_score: float


@dataclass(frozen=True, slots=True)
class Facts:
    """What happened to a source. `labels` are words on templates by their id.

    `events` and the versions `made` come oldest first.
    """

    source: str
    span: Span
    journals: int
    alarms: Alarms
    steps: Sequence[Step]
    step_s: int
    events: Sequence[Row]
    made: Sequence[VersionInfo]
    labels: Mapping[str, str]
    current: str | None
    versions: int
    budget: float | None

    @property
    def lines(self) -> int:
        return sum(step.lines for step in self.steps)

    @property
    def unseen(self) -> int:
        return sum(step.unseen for step in self.steps)

    @property
    def anomalous(self) -> int:
        return sum(step.anomalous for step in self.steps)

    @property
    def alarms_per_day(self) -> float:
        """Over the time from the first line of the span: a source of three days is not judged by seven."""
        began = min((moment(step.at) for step in self.steps), default=self.span.since)
        days = (self.span.until - max(began, self.span.since)).total_seconds() / 86_400
        return self.alarms.total / max(1.0, days)

    def events_of(self, *kinds: str) -> list[Row]:
        return [event for event in self.events if event["kind"] in kinds]


def gather(detectors: Path, source: str, span: Span, *, others: Sequence[Path] = ()) -> Facts:
    """Everything that a report tells of a source, from the journals in its folder and in `others`, files or folders.

    Raises:
        UsageError: there is no journal in a folder, or nothing is known of the source.
        BackendError: a journal cannot be read.
    """
    paths = dict.fromkeys(path.resolve() for folder in (detectors, *others) for path in _journals(folder))
    readers, registry = [JournalReader(path) for path in paths], Registry(detectors)
    _check_known(source, readers, registry)
    alarms = Alarms()
    for reader in readers:
        for alarm in _alarms(reader, source, span):
            alarms.add(alarm)
    steps, step_s = _steps(readers, source, span)
    events = sorted((e for reader in readers for e in _events(reader, source, span)), key=lambda event: event["at"])
    return Facts(
        source=source,
        span=span,
        journals=len(readers),
        alarms=alarms,
        steps=steps,
        step_s=step_s,
        events=events,
        made=[made for made in registry.lineage(source) if made.made_at and span.holds(made.made_at)],
        labels=words_on(registry, source),
        current=registry.current(source),
        versions=len(registry.versions(source)),
        budget=_budget(registry, source),
    )


def _journals(place: Path) -> list[Path]:
    found = [place] if place.is_file() else sorted(place.glob("journal-*.sqlite"))
    if not found:
        raise UsageError(f"no journal in {place}; give the folder that `logmeta serve --detectors` has, once it ran")
    return found


def _check_known(source: str, readers: Sequence[JournalReader], registry: Registry) -> None:
    known = {*registry.sources(), *(name for reader in readers for name in reader.last_seen())}
    if source in known:
        return
    close = difflib.get_close_matches(source, known, n=1, cutoff=0.4)
    way = f"did you mean {close[0]!r}?" if close else f"known are {', '.join(sorted(known)[:10]) or 'none'}"
    raise UsageError(f"nothing is known of source {source[:100]!r} in this folder; {way}")


def _alarms(reader: JournalReader, source: str, span: Span) -> Iterator[Row]:
    """Those in the span. Rows are in order of arrival; a clock that went back puts older times between newer ones."""
    before: int | None = None
    while True:
        page, older, _ = reader.alarms(Slice(source, before=before, limit=PAGE))
        found = [alarm for alarm in page if span.holds(str(alarm["at"]))]
        yield from found
        if older is None or not found:
            return
        before = int(older)


def _events(reader: JournalReader, source: str, span: Span) -> Iterator[Row]:
    page, _ = reader.events(Slice(source, limit=MAX_EVENTS))
    yield from (event for event in page if span.holds(str(event["at"])))


def _steps(readers: Sequence[JournalReader], source: str, span: Span) -> tuple[list[Step], int]:
    """The timelines of all scorers as one."""
    found: dict[str, Step] = {}
    step_s = 0
    for reader in readers:
        timeline: Row = reader.timeline(source, span.hours)
        step_s = timeline["step_s"]
        for bucket in timeline["buckets"]:
            step = Step(**{name: bucket[name] for name in ("at", "lines", "anomalous", "unseen", "top_score")})
            found[step.at] = _sum(found[step.at], step) if step.at in found else step
    return [found[at] for at in sorted(found)], step_s


def _sum(one: Step, other: Step) -> Step:
    lines, anomalous = one.lines + other.lines, one.anomalous + other.anomalous
    return Step(one.at, lines, anomalous, one.unseen + other.unseen, max(one.top_score, other.top_score))


def _budget(registry: Registry, source: str) -> float | None:
    """False alarms a day that the current version was made for, without reading the rest of it."""
    try:
        manifest = orjson.loads((registry.path(source) / MANIFEST).read_bytes())
        return float(manifest["alarm_budget_per_day"])
    except (UsageError, ArtifactError, OSError, orjson.JSONDecodeError, KeyError, TypeError, ValueError):
        return None  # no version yet, or one that cannot be read: the report says so
