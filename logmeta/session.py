"""An open scoring session: a detector's context goes on here, stream by stream; the detector stays as it is."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from logmeta.alarms import AlarmState
from logmeta.calibrate import score_of
from logmeta.chances import LONG
from logmeta.closing import OpenWindows
from logmeta.evidence import Memory
from logmeta.explain import KNOWN, reasons_for, sentences
from logmeta.grouping import Line
from logmeta.header import split_header
from logmeta.incidents import IncidentTracker
from logmeta.meta.scorer import with_recent
from logmeta.parse import ParsedEvent
from logmeta.records import IncidentUpdate, LogRecord, Reason, ScoredLine, ScoredWindow
from logmeta.told import REPEAT, Told
from logmeta.window import Fact, FloatArray

if TYPE_CHECKING:
    from logmeta.detector import Detector


@dataclass(slots=True)
class _Stream:
    """What a session keeps per stream beside its context."""

    alarm: AlarmState
    window: FloatArray | None = None
    lowered: FloatArray | None = None
    last: _Verdict | None = None


class _Verdict(NamedTuple):
    """A record head's verdict, which the record's other lines share."""

    raw: float
    score: float
    p_value: float
    window: float
    window_p: float
    surprise: float
    alone: bool = False
    typical: str | None = None
    reasons: tuple[Reason, ...] = ()


# What was counted before a deploy weighs like so many lines, as many as a source is onboarded from; it is faded once in
# LONG lines, as what is counted behind it is the new normal's. Set with figures of drift.md and month.md in view.
_BEFORE_DEPLOY: Final = 200.0
_NOTHING: Final = _Verdict(0.0, 0.0, 1.0, 0.0, 1.0, 0.0)


class ScoringSession:
    """Scores batches of one source's lines in arrival order. Bounded: streams beyond the limit are forgotten."""

    def __init__(self, detector: Detector) -> None:
        self._reader = detector.reader()
        self._known = len(self._reader.parser.templates)
        self._streams: dict[str | None, _Stream] = {}
        self._incidents, self._told = IncidentTracker(), Told()
        self.detector, self._next_fade = detector, 0.0
        self.recalibrate(detector)
        self._windows = None if detector.window_scorer is None else OpenWindows(detector.window_scorer)

    def learned(self, templates: Sequence[str]) -> Memory:
        """The detector's memory behind the lines scored here, whose templates these are; the session is over."""
        numbers = [self._reader.parser.number_of(template) for template in templates]
        return self._reader.learned(self.detector.memory, numbers)

    def copy(self) -> ScoringSession:
        """A session of its own that goes on from here; what is frozen is shared."""
        detector, context = self.detector, self._reader.context
        memory = detector.memory
        frozen = (
            detector,
            detector.base.encoders,
            memory.reference,
            memory.tree,
            self._reader.parser.words,
            detector.window_scorer,
            detector.windows,
        )
        known = {id(part): part for part in (*frozen, self._model)} | {id(context): context.copy()}
        return deepcopy(self, known)

    def recalibrate(self, detector: Detector) -> None:
        """Go on with a version of the detector that differs in its calibration, labels or what is absorbed only.

        What is absorbed brings new habits with it: how often its lines come, and behind which. The context learns them
        sooner when it holds less to the old ones, once a deploy.
        """
        if set(detector.absorbed) - set(self.detector.absorbed):
            self._fade()
        self.detector = detector
        self._threshold, self._alarm_at = detector.level.surprise, detector.alarm_at
        self._provisional, self._model = detector.provisional, detector.model

    def _fade(self) -> None:
        context = self._reader.context
        if context.lines >= self._next_fade:
            context.fade(_BEFORE_DEPLOY)
            self._next_fade = context.lines + LONG

    @property
    def evicted_streams(self) -> int:
        """Streams forgotten because too many were open."""
        return self._reader.evicted_streams

    def score(self, records: Sequence[LogRecord], *, explain: str = "alarms") -> list[ScoredLine]:
        """One result per record, in order. `explain`: "alarms", "all" or "none"."""
        if not records:
            return []
        self._reader.settle()
        events = [self._reader.parser.read(record) for record in records]
        found = self._reader.read(events, [record.stream for record in records])
        verdicts = self._verdicts(events, records, found.features, found.head_of)
        if self._windows is not None:
            verdicts = self._with_windows(self._windows, verdicts, events, records, found.head_of)
        out, ordinary, features = [], self.detector.lowered_by_template, found.features.astype(np.float16)
        for i, (record, event) in enumerate(zip(records, events, strict=True)):
            stream = self._stream(record.stream)
            head = found.head_of[i]
            if head >= 0:
                stream.last = verdicts[head]
            verdict = stream.last or _NOTHING
            anomalous = head >= 0 and verdict.surprise >= self._threshold
            starts, alarm_id = stream.alarm.see(verdict.raw if anomalous else None, record, event.seconds)
            if head >= 0 and (explain == "all" or (explain == "alarms" and starts)):
                verdict = self._explained(verdict, event, found.features[head], found.rows[head], found.facts[head],
                                          record)  # fmt: skip
            line = self._line(record, event, verdict, starts, alarm_id, features[head].tobytes() if head >= 0 else None)
            self._incidents.see(line, event.seconds)
            out.append(self._repeated(line, event, verdict, ordinary) if head >= 0 else line)
        return out

    def _repeated(
        self, line: ScoredLine, event: ParsedEvent, verdict: _Verdict, ordinary: Collection[str]
    ) -> ScoredLine:
        """The line, as one of an earlier alarm where only being repeated made it ordinary (see `logmeta.told`).

        `ordinary` are templates that are called so, or absorbed.
        """
        self._told.lines += 1
        if event.shape.template_index < self._known:
            return line
        if line.template in ordinary:
            self._told.forget(line.template)
        elif line.alarm_id is not None and verdict.alone:
            self._told.remember(line.template, line.alarm_id)
        elif line.alarm_id is None and (alarm_id := self._told.again(line.template)) is not None:
            return replace(line, alarm_id=alarm_id, flags=(*line.flags, REPEAT))
        return line

    def _with_windows(
        self,
        windows: OpenWindows,
        verdicts: list[_Verdict],
        events: Sequence[ParsedEvent],
        records: Sequence[LogRecord],
        head_of: Sequence[int],
    ) -> list[_Verdict]:
        """Verdicts of record heads, each with that of the last window that closed in its stream."""
        heads = [i for i, head in enumerate(head_of) if head >= 0]
        lines = (
            (records[i].stream, Line(e.line_no, e.shape.template_index, v.raw, e.shape.level, e.seconds))
            for i, e, v in ((i, events[i], verdicts[head_of[i]]) for i in heads)
        )
        last = windows.see(lines)
        out = list(verdicts)
        for i, window in zip(heads, last, strict=True):
            raw, p = window or (0.0, 1.0)
            out[head_of[i]] = verdicts[head_of[i]]._replace(window=raw, window_p=p)
        return out

    def incident_updates(self) -> list[IncidentUpdate]:
        """Incidents of the source that started, grew fourfold or ended since the last call (the newest 10,000)."""
        return self._incidents.take()

    def closed_windows(self) -> list[ScoredWindow]:
        """Whole windows that closed since the last call (none where the detector's window is a single line)."""
        return [] if self._windows is None else self._windows.take()

    def finish(self) -> list[ScoredWindow]:
        """The input has ended, and with it the open incident: close open windows, and give those not yet taken."""
        self._incidents.end()
        if self._windows is not None:
            self._windows.finish()
        return self.closed_windows()

    def _stream(self, name: str | None) -> _Stream:
        stream = self._streams.get(name)
        if stream is None:
            if len(self._streams) >= 2 * len(self._reader.streams) + 16:
                self._streams = {k: v for k, v in self._streams.items() if k in self._reader.streams}
            stream = self._streams[name] = _Stream(AlarmState(self.detector.source))
        return stream

    def _verdicts(
        self, events: Sequence[ParsedEvent], records: Sequence[LogRecord], x: FloatArray, head_of: Sequence[int]
    ) -> list[_Verdict]:
        detector = self.detector
        if not len(x):
            return []
        templates = [event.shape.template for event, head in zip(events, head_of, strict=True) if head >= 0]
        own = detector.own_scores(x)
        raw, window = np.empty_like(own), np.empty_like(own)
        members: dict[str | None, list[int]] = {}
        for i, head in enumerate(head_of):
            if head >= 0:
                members.setdefault(records[i].stream, []).append(head)
        less = detector.lowered(templates)
        for name, heads in members.items():
            stream = self._stream(name)
            raw[heads], window[heads] = with_recent(own[heads], weight=detector.smoothing, before=stream.window)
            stream.window = window[heads[-1:]]
            if less is not None:
                by, lately = self._lowered(stream, *(of[heads] for of in less))
                raw[heads] -= by
                window[heads] -= lately
        added = detector.all_added(templates, x, own)
        raw += added
        surprise = detector.calibration.surprise(raw)
        scores = score_of(surprise, detector.level.level)
        p, window_p = detector.calibration.p_values(raw), detector.window_calibration.p_values(window)
        alone = own + added >= np.minimum(window, self._alarm_at)
        columns = (raw, scores, p, window, window_p, surprise, alone)
        return [_Verdict(*row) for row in zip(*(c.tolist() for c in columns), strict=True)]

    def _lowered(self, stream: _Stream, own: FloatArray, absorbed: FloatArray) -> tuple[FloatArray, FloatArray]:
        """By how much a stream's lines are lowered, and their recent ones: those had a share in their scores."""
        before = np.zeros(1, np.float32) if stream.lowered is None else stream.lowered
        mixed, lately = with_recent(absorbed, weight=self.detector.smoothing, before=before)
        stream.lowered = lately[-1:]
        return np.maximum(own, mixed), lately

    def _explained(
        self,
        verdict: _Verdict,
        event: ParsedEvent,
        x: FloatArray,
        row: FloatArray,
        facts: dict[str, Fact] | None,
        record: LogRecord,
    ) -> _Verdict:
        shape = event.shape
        typical = self._typical(shape.template_index)
        overdue = facts.get("missing") if facts else None
        missing = self._reader.parser.templates[int(overdue[0])] if overdue else ""
        message = record.text[split_header(record.text).end :]
        words = sentences(shape.template, message, shape.level_word, facts, missing, typical)
        detector = self.detector
        added = {kind: float(more[0]) for kind, more in detector.added([shape.template]).items()}
        added[KNOWN] += float(detector.taught(x[None], detector.own_scores(x[None]))[0])
        reasons = reasons_for(detector.own_scores, x, detector.base.centre, row, words, added)
        return verdict._replace(typical=typical, reasons=reasons)

    def _typical(self, number: int) -> str | None:
        """The known template nearest to a new one."""
        if number < self._known:
            return None
        like = self._reader.vectors_of(range(self._known)) @ self._reader.vectors_of([number])[0]
        return self._reader.parser.templates[int(like.argmax())]

    def _line(
        self,
        record: LogRecord,
        event: ParsedEvent,
        verdict: _Verdict,
        starts: bool,
        alarm_id: str | None,
        features: bytes | None,
    ) -> ScoredLine:
        detector = self.detector
        return ScoredLine(
            line_no=record.line_no,
            record_line_no=event.record_line_no,
            message=record.text,
            source=detector.source,
            stream=record.stream,
            template=event.shape.template,
            new_template=event.shape.template_index >= self._known,
            raw_score=verdict.raw,
            score=verdict.score,
            p_value=verdict.p_value,
            alarm=starts,
            alarm_id=alarm_id,
            provisional=self._provisional,
            window_score=verdict.window,
            window_p_value=verdict.window_p,
            model=self._model,
            reasons=verdict.reasons,
            typical=verdict.typical,
            flags=record.flags if event.is_head else (*record.flags, "continuation"),
            features=features,
        )
