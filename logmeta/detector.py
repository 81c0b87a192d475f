"""The facade: a base model, a detector for one source, a session that scores lines with it."""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import torch

from logmeta.alarms import AlarmState
from logmeta.calibrate import AlarmLevel, Calibration, score_of
from logmeta.config import BASE_MODEL
from logmeta.errors import InputError, ScoreError, UsageError
from logmeta.evidence import EvidenceReader, Reference
from logmeta.explain import reasons_for, sentences
from logmeta.header import split_header
from logmeta.meta.adapt import fast_weights, ranks_no_worse
from logmeta.meta.base import BaseModel, load_base
from logmeta.meta.scorer import Params, base_scores, net_scores, smooth
from logmeta.meta.support import Support, corrupted, labelled_lines, prepare
from logmeta.parse import ParsedEvent, Parser, TemplateTree
from logmeta.records import AlarmBudget, JsonValue, LogRecord, ModelId, Reason, ScoredLine
from logmeta.window import Context, Fact, FloatArray

MIN_LINES: Final = 20
BATCH: Final = 2_048
WINDOW_HALF_LIFE: Final = 10.0
_SPREAD_OVER_S: Final = 60.0


@dataclass(frozen=True)
class MetaModel:
    """The shipped, source-independent base model; `onboard` adapts it to one source."""

    base: BaseModel

    @classmethod
    def from_pretrained(cls, path: Path | str | None = None) -> MetaModel:
        """The shipped base model, or one from a folder (also named by `LOGMETA_MODEL__BASE`).

        Raises:
            ArtifactError: the folder holds no base model that this release can read.
        """
        path = path or os.environ.get(BASE_MODEL)
        return cls(_shipped() if path is None else load_base(Path(path)))

    @property
    def name(self) -> str:
        return self.base.name

    def onboard(
        self,
        lines: Iterable[str],
        *,
        source: str,
        budget: AlarmBudget | None = None,
        anomalies: Iterable[str] = (),
        stream_regex: str | None = None,
        seed: int = 0,
    ) -> Detector:
        """A detector for `source` from 20-1,000 (or more) of its ordinary lines, in their order.

        Args:
            lines: ordinary log lines; no labels are needed.
            source: the name of the log-producing system.
            budget: false alarms accepted per day.
            anomalies: lines known to be anomalous, if any; they join the inner loop's task.
            stream_regex: its first group (or whole match) names the stream a line belongs to.
            seed: the same lines and seed give the same detector.

        Raises:
            InputError: fewer than 20 records, or lines that are not text.
        """
        ordinary = [line.rstrip("\r\n") for line in lines]
        streams = stream_names(ordinary, stream_regex)
        _check_lines(ordinary, source)
        support = prepare(self.base.encoders, ordinary, streams)
        if len(support.events) < MIN_LINES:
            raise InputError(_too_few(len(support.events), source, "records"))
        known_bad = [line.rstrip("\r\n") for line in anomalies]
        return _adapted(self.base, support, known_bad, source, budget or AlarmBudget(), stream_regex, seed)


@lru_cache(maxsize=1)
def _shipped() -> BaseModel:
    return load_base()


def _too_few(found: int, source: str, what: str) -> str:
    return (
        f"onboarding {source!r} needs at least {MIN_LINES} ordinary {what}, got {found}; "
        f"50 to 200 are better, taken from different times of the day"
    )


def _check_lines(lines: Sequence[str], source: str) -> None:
    filled = [line for line in lines if line.strip()]
    if len(filled) < MIN_LINES:
        raise InputError(_too_few(len(filled), source, "lines"))
    sample = "".join(filled[:200])[:20_000]
    strange = sum(c == "\ufffd" or (c < " " and c != "\t") for c in sample)
    if strange > 0.1 * len(sample):
        raise InputError(
            f"the lines of {source!r} are not text: {strange} of {len(sample)} characters are binary or undecodable; "
            f"give a UTF-8 text log (plain or .gz)"
        )


def stream_names(lines: Sequence[str], stream_regex: str | None) -> list[str | None]:
    """The stream each line belongs to: the regex's first group or match, None where it does not match.

    Raises:
        UsageError: the expression is no regular expression.
    """
    if stream_regex is None:
        return [None] * len(lines)
    try:
        pattern = re.compile(stream_regex)
    except re.error as error:
        raise UsageError(f"--stream-regex {stream_regex!r} is no regular expression: {error}") from error
    found = (pattern.search(line) for line in lines)
    return [None if m is None else m[1] if pattern.groups else m[0] for m in found]


def _adapted(
    base: BaseModel,
    support: Support,
    anomalies: Sequence[str],
    source: str,
    budget: AlarmBudget,
    stream_regex: str | None,
    seed: int,
) -> Detector:
    wrong = corrupted(base.encoders, support, base.foreign, seed=seed)
    if anomalies:
        wrong = np.concatenate([wrong, labelled_lines(base.encoders, support, anomalies)])
    ordinary, held_out = support.split()
    bad, good = base.standardised(wrong), base.standardised(ordinary)
    params = fast_weights(base.params, bad, good)
    plain = (torch.from_numpy(base_scores(wrong)), torch.from_numpy(base_scores(ordinary)))
    trusted = ranks_no_worse(params, bad, good, plain)
    detector = Detector(
        base=base,
        source=source,
        params=params,
        trusted=trusted,
        tree=support.tree,
        templates=tuple(support.templates),
        timed=support.timed,
        context=support.context,
        reference=support.reference,
        calibration=Calibration(np.zeros(1), 1.0),
        window_calibration=Calibration(np.zeros(1), 1.0),
        budget=budget,
        lines_used=support.lines,
        span_s=_span(support.events),
        stream_regex=stream_regex,
        seed=seed,
    )
    raw = detector.raw_scores(support.x)
    window, _ = smooth(raw[:, None], raw[:1], WINDOW_HALF_LIFE)
    usual = base.tail_slope if trusted else None
    detector.calibration = Calibration.fit(raw[held_out], usual_slope=usual)
    detector.window_calibration = Calibration.fit(window[held_out, 0])
    return detector


def _span(events: Sequence[ParsedEvent]) -> float:
    seconds = np.array([event.seconds for event in events])
    known = seconds[np.isfinite(seconds)]
    return float(known.max() - known.min()) if len(known) else 0.0


@dataclass
class Detector:
    """A base model adapted to and calibrated for one source. Scoring never changes it."""

    base: BaseModel
    source: str
    params: Params
    trusted: bool
    tree: TemplateTree
    templates: tuple[str, ...]
    timed: bool
    context: Context
    reference: Reference
    calibration: Calibration
    window_calibration: Calibration
    budget: AlarmBudget
    lines_used: int
    span_s: float
    stream_regex: str | None
    seed: int
    version: str = "1"

    @cached_property
    def level(self) -> AlarmLevel:
        """The alarm level that the budget asks for at this source's rate."""
        timed = self.context.lines_per_second if self.span_s > 0 else None
        return AlarmLevel.of(self.budget, self.calibration, timed)

    @property
    def provisional(self) -> bool:
        """Whether the support is too small to promise the alarm budget."""
        return self.level.provisional

    @property
    def model(self) -> ModelId:
        return ModelId(self.base.name, self.source, self.version, self.lines_used)

    def raw_scores(self, x: FloatArray) -> FloatArray:
        """Raw scores of features (n, WIDTH), shape (n,): the adapted net, or the base score where the guard says so.

        Raises:
            ScoreError: a score is not finite.
        """
        if self.trusted:
            with torch.inference_mode():
                raw = np.asarray(net_scores(self.params, self.base.standardised(x)).numpy(), dtype=np.float32)
        else:
            raw = base_scores(x)
        if not np.isfinite(raw).all():
            raise ScoreError(f"detector {self.source!r} gave a score that is no number; onboard the source again")
        return raw

    def score(self, lines: Iterable[str]) -> Iterator[ScoredLine]:
        """Score lines lazily, one result per line, in order; the detector stays as it is."""
        session = self.session()
        numbered = enumerate((line.rstrip("\r\n") for line in lines), 1)
        while batch := list(itertools.islice(numbered, BATCH)):
            names = stream_names([line for _, line in batch], self.stream_regex)
            records = [LogRecord(number, line, stream) for (number, line), stream in zip(batch, names, strict=True)]
            yield from session.score(records)

    def explain(self, line: ScoredLine) -> str:
        """One sentence: why the line was scored as it was."""
        reasons = line.reasons or (Reason("ordinary", "nothing about this line stands out", 1.0),)
        return "; ".join(reason.text for reason in reasons)

    def session(self) -> ScoringSession:
        """An open scoring session: it holds the streams' contexts, so batches may come in pieces."""
        return ScoringSession(self)

    def summary(self) -> dict[str, JsonValue]:
        """What a person should know before trusting this detector."""
        return {
            "source": self.source,
            "base": self.base.name,
            "version": self.version,
            "lines_used": self.lines_used,
            "templates": len(self.templates),
            "calibration_lines": len(self.calibration.scores),
            "smallest_p_value": self.calibration.smallest_p,
            "alarm_budget_per_day": self.budget.per_day,
            "lines_per_day": round(self.level.lines_per_day),
            "alarm_level_p_value": self.level.level,
            "provisional": self.provisional,
            "adapted_net_trusted": self.trusted,
            "warnings": list(self.warnings()),
        }

    def warnings(self) -> Iterator[str]:
        """What falls short, each with the way out."""
        if self.provisional:
            needed = int(np.ceil(1 / self.level.level))
            yield (
                f"provisional: {len(self.calibration.scores)} calibration lines reach p >= "
                f"{self.calibration.smallest_p:.2g}, the budget of {self.budget.per_day:g} alarms a day needs "
                f"{self.level.level:.1g} (some {needed:,} lines); until then the alarm level is extrapolated"
            )
        if self.level.assumed_rate:
            yield f"the lines carry no times: {self.level.lines_per_day:,.0f} lines a day are assumed"
        elif self.span_s < _SPREAD_OVER_S:
            yield (
                f"all support lines are from {self.span_s:.0f} s: rates, routines and p-values may not hold at other "
                f"times; onboard from lines spread over a day"
            )
        if not self.trusted:
            yield "the adapted net ranked corrupted lines worse than the plain sum; scores are the plain sum's"

    def save_pretrained(self, folder: Path | str) -> None:
        """Write the detector as a folder of data (written beside, then renamed)."""
        from logmeta.artifact import save_detector  # the artifact module reads this class

        save_detector(self, Path(folder))

    @classmethod
    def from_pretrained(cls, folder: Path | str, *, base: MetaModel | None = None) -> Detector:
        """Read a folder written by `save_pretrained`; every file is verified first.

        Raises:
            ArtifactError: missing, damaged, from a later format, or made with another base model.
        """
        from logmeta.artifact import load_detector, read_manifest

        if base is None:
            read_manifest(Path(folder))  # a damaged folder is told before the base model takes its seconds to load
        return load_detector(Path(folder), (base or MetaModel.from_pretrained()).base)


@dataclass(slots=True)
class _Stream:
    """What a session keeps per stream beside its context."""

    alarm: AlarmState
    window: FloatArray | None = None
    last: _Verdict | None = None


class _Verdict(NamedTuple):
    """A record head's verdict, which the record's other lines share."""

    raw: float
    score: float
    p_value: float
    window: float
    window_p: float
    surprise: float
    typical: str | None = None
    reasons: tuple[Reason, ...] = ()


_NOTHING: Final = _Verdict(0.0, 0.0, 1.0, 0.0, 1.0, 0.0)


class ScoringSession:
    """Scores batches of one source's lines in arrival order. Bounded: streams beyond the limit are forgotten."""

    def __init__(self, detector: Detector) -> None:
        self.detector = detector
        parser = Parser(detector.tree, timed=detector.timed)
        for template in detector.templates:
            parser.number_of(template)
        self._known = len(parser.templates)
        self._reader = EvidenceReader(detector.base.encoders, parser, detector.context.copy(), detector.reference)
        self._reader.forget_streams()
        self._streams: dict[str | None, _Stream] = {}
        self._threshold = -float(np.log(detector.level.level))
        self._provisional, self._model = detector.provisional, detector.model

    @property
    def evicted_streams(self) -> int:
        """Streams forgotten because too many were open."""
        return self._reader.evicted_streams

    def score(self, records: Sequence[LogRecord], *, explain: str = "alarms") -> list[ScoredLine]:
        """One result per record, in order. `explain`: "alarms", "all" or "none"."""
        if not records:
            return []
        events = [self._event(record) for record in records]
        found = self._reader.read(events, [record.stream for record in records])
        verdicts = self._verdicts(events, records, found.features, found.head_of)
        out = []
        for i, (record, event) in enumerate(zip(records, events, strict=True)):
            stream = self._stream(record.stream)
            head = found.head_of[i]
            if head >= 0:
                stream.last = verdicts[head]
            verdict = stream.last or _NOTHING
            anomalous = head >= 0 and verdict.surprise >= self._threshold
            starts, alarm_id = stream.alarm.see(anomalous, record, event.seconds)
            if head >= 0 and (explain == "all" or (explain == "alarms" and starts)):
                verdict = self._explained(verdict, event, found.features[head], found.rows[head], found.facts[head],
                                          record)  # fmt: skip
            out.append(self._line(record, event, verdict, starts, alarm_id))
        return out

    def _event(self, record: LogRecord) -> ParsedEvent:
        text = record.text.split("\n", 1)[0] if "\n" in record.text else record.text
        event = self._reader.parser.event(text, record.line_no, record.stream)
        if record.timestamp is not None and event.seconds != event.seconds:
            return event._replace(seconds=record.timestamp)
        return event

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
        raw = detector.raw_scores(x)
        window = np.zeros_like(raw)
        members: dict[str | None, list[int]] = {}
        for i, head in enumerate(head_of):
            if head >= 0:
                members.setdefault(records[i].stream, []).append(head)
        for name, heads in members.items():
            stream = self._stream(name)
            before = raw[heads[:1]] if stream.window is None else stream.window
            part, stream.window = smooth(raw[heads][:, None], before, WINDOW_HALF_LIFE)
            window[heads] = part[:, 0]
        surprise = detector.calibration.surprise(raw)
        scores = score_of(surprise, detector.level.level)
        p, window_p = detector.calibration.p_values(raw), detector.window_calibration.p_values(window)
        columns = (raw, scores, p, window, window_p, surprise)
        return [_Verdict(*row) for row in zip(*(c.tolist() for c in columns), strict=True)]

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
        reasons = reasons_for(detector.raw_scores, x, detector.base.centre, row, words)
        return verdict._replace(typical=typical, reasons=reasons)

    def _typical(self, number: int) -> str | None:
        """The known template nearest to a new one."""
        if number < self._known:
            return None
        like = self._reader.vectors_of(range(self._known)) @ self._reader.vectors_of([number])[0]
        return self._reader.parser.templates[int(like.argmax())]

    def _line(
        self, record: LogRecord, event: ParsedEvent, verdict: _Verdict, starts: bool, alarm_id: str | None
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
        )
