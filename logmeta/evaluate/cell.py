"""One draw of one set under one condition: every method is shown the same support and judged on the same units.

What was read once serves every cell that shows the same lines: conditions that differ in labels alone, and base
models that differ in their scorer alone.
"""

from __future__ import annotations

import time
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Final

import numpy as np

from logmeta.calibrate import AlarmLevel, Calibration
from logmeta.datasets.draws import Draw, records
from logmeta.datasets.labelled import LabelledSet
from logmeta.detector import Detector
from logmeta.evaluate.ablations import ABLATIONS, Lesson, shipped
from logmeta.evaluate.baselines import (
    BASELINES,
    Fitted,
    SupportWindows,
    Vectors,
    fit_windows,
    read_support,
    why_not,
)
from logmeta.evaluate.bases import MAIN
from logmeta.evaluate.judging import Figures, LineJudge, session_figures
from logmeta.evaluate.leaks import check_draw, check_frozen
from logmeta.evaluate.ours import Reading, line_verdicts, read, window_verdicts
from logmeta.evaluate.results import OURS, Condition, Granularity, Kind
from logmeta.evaluate.units import Batch
from logmeta.evaluate.verdicts import Verdicts, alarm_starts
from logmeta.evidence import Encoders
from logmeta.meta.base import BaseModel
from logmeta.meta.support import Support, known_anomalies, prepare
from logmeta.onboarding import Asked, calibrated, wrong_lines
from logmeta.records import AlarmBudget, LogRecord
from logmeta.window import FloatArray, IntArray
from logmeta.windows import Window

WHOLE_SESSIONS: Final = Window.parse("session:1e9")


@dataclass(frozen=True)
class Outcome:
    """What one method reached in one cell."""

    method: str
    kind: Kind
    granularity: Granularity
    figures: Figures
    fit_s: float
    score_s: float


@dataclass(frozen=True)
class Sight:
    """What our detector sees of a draw through one base model's encoders, and the seconds that took."""

    encoders: Encoders
    support: Support
    test: Reading
    control: Reading | None
    prepare_s: float
    read_s: float


@dataclass(frozen=True)
class Shown:
    """The lines of a draw, read once per reader: the support, what is judged, and control runs where there are some.

    `window` is what the baselines' windows are; ours scores lines in their context, or whole sessions.
    """

    support: list[LogRecord]
    test: list[LogRecord]
    control: list[LogRecord]
    window: Window
    keyword: str | None
    sights: list[Sight] = field(default_factory=list)

    @staticmethod
    def of(draw: Draw, condition: Condition) -> Shown:
        data = draw.data
        window = WHOLE_SESSIONS if data.unit == "session" else Window.parse(condition.window)
        return Shown(draw.support_records(), records(data.test), records(data.control), window, data.keyword)

    @cached_property
    def read(self) -> tuple[SupportWindows, Batch]:
        """Support (without labelled anomalies) and test part as baselines read them, right behind each other."""
        windows = read_support(self.support, self.window, keyword=self.keyword)
        return windows, windows.reader.read(self.test)

    def through(self, base: BaseModel) -> Sight:
        """The lines as our detector reads them with a base model's encoders; its scorer does not matter."""
        for sight in self.sights:
            if _alike(sight.encoders, base.encoders):
                return sight
        self.sights.append(self._look(base))
        return self.sights[-1]

    def _look(self, base: BaseModel) -> Sight:
        started = time.process_time()
        support = prepare(base.encoders, self.support)
        prepare_s = time.process_time() - started
        asked = Asked("any", AlarmBudget(), None, Window(), 0)
        unknown = known_anomalies(base.encoders, support, ())
        detector = calibrated(base, support, unknown, base.params, asked, trusted=True, usual_tail=None)
        test = read(detector, self.test)
        control = read(detector, self.control) if self.control else None
        return Sight(base.encoders, support, test, control, prepare_s, time.process_time() - started - prepare_s)


@dataclass(frozen=True)
class Cell:
    """A draw under a condition; `full` is the set before any of its anomalies were set aside.

    `given` is what was shown already, where a cell before this one showed the same lines.
    """

    full: LabelledSet
    draw: Draw
    condition: Condition
    seed: int
    given: Shown | None = None

    def run(self, methods: Sequence[str], bases: dict[str, BaseModel]) -> Iterator[Outcome]:
        """Outcomes of the methods, ours and ablations by the base models that they need.

        Raises:
            LeakError: something judged on was known beforehand.
        """
        check_draw(self.draw)
        for variant, base in bases.items():
            wanted = [m for m in methods if (m == OURS and variant == MAIN) or _variant(m) == variant]
            if wanted:
                yield from self._ours(wanted, base)
        vectors = bases[MAIN].encoders.text.vectors
        for method in methods:
            if method in BASELINES and why_not(method, labelled=bool(self.draw.anomalies)) is None:
                yield from self._baseline(method, vectors)

    @property
    def data(self) -> LabelledSet:
        return self.draw.data

    @property
    def _sessions(self) -> bool:
        return self.data.unit == "session"

    @cached_property
    def shown(self) -> Shown:
        """The draw's lines."""
        return self.given or Shown.of(self.draw, self.condition)

    @property
    def batch(self) -> Batch:
        """The test part as baselines read it."""
        return self.shown.read[1]

    @cached_property
    def windows(self) -> SupportWindows:
        """The support as baselines read it; labelled anomalies are read behind the test part, by the same reader."""
        windows, _ = self.shown.read
        anomalies = self.draw.anomaly_records()
        return replace(windows, anomalies=windows.reader.read(anomalies)) if anomalies else windows

    @cached_property
    def contents(self) -> IntArray:
        """A number for what makes units equal: a line's template, a session's template counts."""
        if not self._sessions:
            return self.batch.numbers
        codes: dict[Hashable, int] = {}
        counted = (_counted(self.batch.window(w)) for w in range(len(self.batch)))
        return np.array([codes.setdefault(content, len(codes)) for content in counted], dtype=np.int64)

    @cached_property
    def streams(self) -> list[str | None]:
        """Names of the test sessions, in the order of the batch's windows."""
        return [self.shown.test[int(self.batch.members[start])].stream for start in self.batch.indptr[:-1]]

    @cached_property
    def judge(self) -> LineJudge:
        kept = set(self.data.incidents)
        return LineJudge(
            self.data, self.batch.seconds, self.contents, [incident in kept for incident in self.full.incidents]
        )

    def _ours(self, methods: Sequence[str], base: BaseModel) -> Iterator[Outcome]:
        sight = self.shown.through(base)
        before = sight.support.memory.tree.snapshot()
        started = time.process_time()
        lesson = self._lesson(base, sight.support)
        first = shipped(lesson)
        fit_s = sight.prepare_s + time.process_time() - started
        for method in methods:
            started = time.process_time()
            onboard = shipped if method == OURS else ABLATIONS[method].onboard
            detector = first if onboard is shipped else onboard(lesson)
            figures = self._of_detector(detector, sight)
            score_s = sight.read_s + time.process_time() - started
            kind: Kind = "ours" if method == OURS else "ablation"
            for granularity, found in figures.items():
                yield Outcome(method, kind, granularity, found, fit_s, score_s)
        check_frozen(sight.support.memory.tree, before, len(self.shown.support), self.data.name)

    def _lesson(self, base: BaseModel, support: Support) -> Lesson:
        window = WHOLE_SESSIONS if self._sessions else Window()
        anomalies = [record.text for record in self.draw.anomaly_records()]
        known = known_anomalies(base.encoders, support, anomalies)
        wrong = wrong_lines(base, support, known, seed=self.seed)
        return Lesson(base, support, wrong, known, Asked(self.data.name, AlarmBudget(), None, window, self.seed))

    def _of_detector(self, detector: Detector, sight: Sight) -> Mapping[Granularity, Figures]:
        if not self._sessions:
            return self.judge.figures(line_verdicts(detector, sight.test))
        streams, verdicts = window_verdicts(detector, sight.test)
        beside = window_verdicts(detector, sight.control)[1] if sight.control else None
        place = {stream: i for i, stream in enumerate(streams)}
        ordered = verdicts.take(np.array([place[stream] for stream in self.streams]))
        return {"session": session_figures(self.data, (self.streams, ordered), beside, self.contents)}

    def _baseline(self, name: str, vectors: Vectors) -> Iterator[Outcome]:
        started = time.process_time()
        fitted = fit_windows(name, self.windows, vectors=vectors, seed=self.seed)
        fit_s = time.process_time() - started
        raw = fitted.scores(self.batch)
        score_s = time.process_time() - started - fit_s
        for granularity, figures in self._of_baseline(fitted, raw).items():
            yield Outcome(name, BASELINES[name].kind, granularity, figures, fit_s, score_s)

    def _of_baseline(self, fitted: Fitted, raw: FloatArray) -> Mapping[Granularity, Figures]:
        calibration = Calibration.fit(fitted.calibration if len(fitted.calibration) else np.zeros(1))
        found = Verdicts.of(raw, calibration, self._level(calibration))
        if not self._sessions:
            at_line = found.take(self.batch.unit_of_line)
            streams = [record.stream for record in self.shown.test]
            starts = alarm_starts(at_line.alarm, at_line.raw, self.batch.seconds, streams)
            return self.judge.figures(replace(at_line, alarm=starts))
        beside = self._control_of(fitted, calibration) if self.shown.control else None
        return {"session": session_figures(self.data, (self.streams, found), beside, self.contents)}

    def _control_of(self, fitted: Fitted, calibration: Calibration) -> Verdicts:
        raw = fitted.scores(self.windows.reader.read(self.shown.control))
        return Verdicts.of(raw, calibration, self._level(calibration))

    def _level(self, calibration: Calibration) -> float:
        """The level that the product's alarm budget means at this source's rate, for baselines too."""
        seconds = self.windows.ordinary.seconds
        span = float(np.nanmax(seconds) - np.nanmin(seconds)) if np.isfinite(seconds).any() else 0.0
        rate = len(self.windows.ordinary) / span if span > 0 else None
        return AlarmLevel.of(AlarmBudget(), calibration, rate).level


def _alike(one: Encoders, other: Encoders) -> bool:
    """Whether two base models see the same in a line: equal severity head, sequence model and text vectors."""
    if one is other:
        return True
    probe = [encoders.text.vectors(["connection to <*> refused", "started"]) for encoders in (one, other)]
    pauses = np.ones((1, 2), dtype=np.float32)
    read = [e.sequence.network(vectors=v[None], pauses=pauses) for e, v in zip((one, other), probe, strict=True)]
    return (
        np.array_equal(probe[0], probe[1])
        and np.array_equal(one.severity, other.severity)
        and all(np.array_equal(a, b) for a, b in zip(*read, strict=True))
        and one.sequence.trust == other.sequence.trust
    )


def _counted(numbers: IntArray) -> Hashable:
    return tuple(zip(*(column.tolist() for column in np.unique(numbers, return_counts=True)), strict=True))


def _variant(method: str) -> str | None:
    return ABLATIONS[method].variant if method in ABLATIONS else None
