"""Lines that arrive one by one, scored by a fitted baseline as their windows close."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np

from logmeta.alarms import AlarmState
from logmeta.calibrate import score_of
from logmeta.evaluate.units import Batch
from logmeta.records import LogRecord, ScoredLine
from logmeta.window import IntArray
from logmeta.windows import MAX_OPEN, Closed, WindowCutter

if TYPE_CHECKING:
    from logmeta.evaluate.baselines.model import BaselineDetector

MAX_WAITING: Final = 100_000


class BaselineSession:
    """Holds lines back until the first window that ends at or after them closes; gives them back in order.

    Bounded: beyond `MAX_WAITING` lines held back, the window that the oldest waits for is closed as it stands
    (`cut_short` counts them, the lines carry the flag `window_cut`).
    """

    def __init__(self, detector: BaselineDetector) -> None:
        self.detector = detector
        self.cut_short = 0
        self._reader = detector.reader.fresh()
        self._cutter = WindowCutter(detector.window)
        self._lines = self._reader.read([])  # the lines that open or coming windows hold ...
        self._at: IntArray = np.zeros(0, dtype=np.int64)  # ... and their positions in the input
        self._waiting: deque[tuple[LogRecord, int, float]] = deque()  # with template number and seconds
        self._scores: dict[int, tuple[float, bool]] = {}
        self._next = 0
        self._alarms: dict[str | None, AlarmState] = {}

    def score(self, records: Sequence[LogRecord]) -> list[ScoredLine]:
        """Take lines in order; the results of those whose windows have closed."""
        first = self._next + len(self._waiting)
        new = self._reader.read(records)
        self._lines = _joined(self._lines, new)
        self._at = np.append(self._at, np.arange(first, first + len(records)))
        self._waiting.extend(zip(records, new.numbers.tolist(), new.seconds.tolist(), strict=True))
        closed: list[Closed] = []
        for i, record in enumerate(records):
            closed += self._cutter.add(first + i, record.stream, float(new.seconds[i]))
        self._judge(closed)
        out = self._ready()
        while len(self._waiting) > MAX_WAITING:
            self.cut_short += 1
            self._judge(self._cutter.cut_short(self._waiting[0][0].stream), cut=True)
            out += self._ready()
        self._forget()
        return out

    def finish(self) -> list[ScoredLine]:
        """The results of the lines that were still waiting when the input ended."""
        self._judge(self._cutter.finish())
        return self._ready()

    def _judge(self, closed: Sequence[Closed], *, cut: bool = False) -> None:
        """Score windows; their fresh lines take the score."""
        if not closed:
            return
        members = np.searchsorted(self._at, np.array([p for w in closed for p in w.positions], dtype=np.int64))
        indptr = np.cumsum([0, *(len(w.positions) for w in closed)])
        raw = self.detector.fitted.scores(replace(self._lines, members=members, indptr=indptr))
        for window, score in zip(closed, raw.tolist(), strict=True):
            for position in window.positions[len(window.positions) - window.fresh :]:
                self._scores[position] = (score, cut)

    def _ready(self) -> list[ScoredLine]:
        """The results of the oldest lines, up to the first that still waits."""
        done = []
        while self._next in self._scores:
            done.append((*self._waiting.popleft(), *self._scores.pop(self._next)))
            self._next += 1
        if not done:
            return []
        raw = np.array([line[3] for line in done])
        surprise = self.detector.calibration.surprise(raw)
        score, p = score_of(surprise, self.detector.level.level), self.detector.calibration.p_values(raw)
        threshold = self.detector.level.surprise
        columns = zip(done, surprise >= threshold, score.tolist(), p.tolist(), strict=True)
        return [self._line(*line, bool(odd), s, p) for line, odd, s, p in columns]

    def _line(
        self, record: LogRecord, number: int, seconds: float, raw: float, cut: bool, odd: bool, score: float, p: float
    ) -> ScoredLine:
        alarms = self._alarms.setdefault(record.stream, AlarmState(self.detector.source))
        starts, alarm_id = alarms.see(raw if odd else None, record, seconds)
        return ScoredLine(
            line_no=record.line_no,
            record_line_no=record.line_no,
            message=record.text,
            source=self.detector.source,
            stream=record.stream,
            template=self._lines.templates[number],
            new_template=number >= self._lines.known,
            raw_score=raw,
            score=score,
            p_value=p,
            alarm=starts,
            alarm_id=alarm_id,
            provisional=self.detector.provisional,
            window_score=raw,
            window_p_value=p,
            model=self.detector.model,
            flags=(*record.flags, "window_cut") if cut else record.flags,
        )

    def _forget(self) -> None:
        """Drop the lines that no window to come will hold."""
        keep = np.isin(self._at, np.fromiter(self._cutter.held(), dtype=np.int64))
        if len(self._alarms) > 2 * MAX_OPEN:
            waiting = {record.stream for record, _, _ in self._waiting}
            oldest = [name for name in self._alarms if name not in waiting][:MAX_OPEN]
            self._alarms = {name: state for name, state in self._alarms.items() if name not in set(oldest)}
        self._at, self._lines = self._at[keep], _only(self._lines, np.flatnonzero(keep))


def _only(lines: Batch, rows: IntArray) -> Batch:
    """Some of the lines, in no windows."""
    return replace(
        lines,
        texts=[lines.texts[i] for i in rows],
        numbers=lines.numbers[rows],
        seconds=lines.seconds[rows],
        levels=lines.levels[rows],
        keyword=lines.keyword[rows],
    )


def _joined(a: Batch, b: Batch) -> Batch:
    """The lines of two batches of one reader, in no windows."""
    return replace(
        a,
        texts=[*a.texts, *b.texts],
        numbers=np.concatenate([a.numbers, b.numbers]),
        seconds=np.concatenate([a.seconds, b.seconds]),
        levels=np.concatenate([a.levels, b.levels]),
        keyword=np.concatenate([a.keyword, b.keyword]),
    )
