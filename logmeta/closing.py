"""The open windows of a scoring session: fed with scored lines, they give scored windows as they close."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from logmeta.calibrate import AlarmLevel, Calibration, score_of
from logmeta.explain import MOST_REASONS, SHOWN, SMALLEST_SHARE
from logmeta.grouping import COLUMNS, Line, WindowReference, Windows
from logmeta.recent import RecentWindows
from logmeta.records import ModelId, Reason, ScoredWindow
from logmeta.window import FloatArray
from logmeta.windows import Closed, Window, WindowCutter

MAX_WAITING: Final = 20_000


@dataclass(frozen=True)
class WindowScorer:
    """What a detector knows of whole windows: the support's windows, their calibration, the alarm level."""

    source: str
    window: Window
    reference: WindowReference
    calibration: Calibration
    level: AlarmLevel
    model: ModelId
    templates: Sequence[str]


class WindowVerdict(NamedTuple):
    """A closed window's raw score and p-value."""

    raw: float
    p_value: float


class OpenWindows:
    """Bounded: beyond the cutter's limits the oldest windows close early, and beyond `MAX_WAITING` closed ones that
    nobody took the oldest are dropped and counted."""

    def __init__(self, scorer: WindowScorer) -> None:
        self.dropped = 0
        self._scorer = scorer
        self._cutter = WindowCutter(scorer.window)
        self._recent = RecentWindows(scorer.reference)
        self._lines: dict[int, Line] = {}
        self._next = 0
        self._last: dict[str | None, WindowVerdict] = {}
        self._waiting: deque[ScoredWindow] = deque(maxlen=MAX_WAITING)

    @property
    def evicted(self) -> int:
        """Windows closed early because too many were open."""
        return self._cutter.evicted

    def see(self, lines: Iterable[tuple[str | None, Line]]) -> list[WindowVerdict | None]:
        """Take scored lines in order; for each the verdict of the last window closed in its stream, if any."""
        closed: list[Closed] = []
        upto, streams = [], []
        for stream, line in lines:
            self._lines[self._next] = line
            closed += self._cutter.add(self._next, stream, line.seconds)
            self._next += 1
            upto.append(len(closed))
            streams.append(stream)
        verdicts = self._score(closed)
        out, done = [], 0
        for stream, count in zip(streams, upto, strict=True):
            for window, verdict in zip(closed[done:count], verdicts[done:count], strict=True):
                self._last[window.stream] = verdict
            done = count
            out.append(self._last.get(stream))
        self._forget()
        return out

    def _forget(self) -> None:
        while len(self._last) > MAX_WAITING:
            self._last.pop(next(iter(self._last)))

    def finish(self) -> None:
        """Close what is open: the input has ended."""
        self._score(self._cutter.finish())
        self._last.clear()

    def take(self) -> list[ScoredWindow]:
        """The windows closed since the last call, in the order they closed."""
        out = list(self._waiting)
        self._waiting.clear()
        return out

    def _score(self, closed: Sequence[Closed]) -> list[WindowVerdict]:
        if not closed:
            return []
        scorer = self._scorer
        lines = [[self._lines[p] for p in window.positions] for window in closed]
        self._release(closed)
        windows = Windows.of(lines, scorer.reference.known)
        parts = self._recent.judge(windows)
        raw = parts.sum(axis=1)
        surprise, p = scorer.calibration.surprise(raw), scorer.calibration.p_values(raw)
        scores = score_of(surprise, scorer.level.level)
        told = zip(closed, lines, parts, scores.tolist(), p.tolist(), strict=True)
        for i, (window, of_window, part, score, p_value) in enumerate(told):
            self.dropped += len(self._waiting) == MAX_WAITING
            scored = self._scored(window, of_window, float(raw[i]), score, p_value)
            if scored.alarm:
                scored = replace(scored, reasons=explained(scorer, windows, i, part, of_window))
            self._waiting.append(scored)
        return [WindowVerdict(*row) for row in zip(raw.tolist(), p.tolist(), strict=True)]

    def _release(self, closed: Sequence[Closed]) -> None:
        """Forget lines that no later window can hold."""
        window = self._scorer.window
        keep = window.lines - window.step if window.kind == "sliding" else 0
        for w in closed:
            for position in w.positions[: max(0, len(w.positions) - keep)]:
                self._lines.pop(position, None)

    def _scored(self, window: Closed, lines: Sequence[Line], raw: float, score: float, p: float) -> ScoredWindow:
        scorer = self._scorer
        return ScoredWindow(
            source=scorer.source,
            stream=window.stream,
            first_line_no=lines[0].line_no,
            last_line_no=lines[-1].line_no,
            lines=len(lines),
            raw_score=raw,
            score=score,
            p_value=p,
            alarm=score >= 0.5,
            provisional=scorer.level.provisional,
            closed_by=window.closed_by,
            model=scorer.model,
        )


def explained(
    scorer: WindowScorer, windows: Windows, i: int, parts: FloatArray, lines: Sequence[Line]
) -> tuple[Reason, ...]:
    """The strongest reasons of window i, strongest first; a weight is the share of the raw score."""
    told = _Told(scorer, windows, i, lines)
    total = float(parts.sum()) or 1.0
    reasons: list[Reason] = []
    for column in np.argsort(-parts)[: 2 * MOST_REASONS].tolist():
        share = float(parts[column]) / total
        text = told.text(COLUMNS[column])
        if share >= SMALLEST_SHARE and all(text != reason.text for reason in reasons):
            reasons.append(Reason(COLUMNS[column], text, share))
    return tuple(reasons[:MOST_REASONS])


@dataclass(frozen=True)
class _Told:
    """Words for what is odd about one window."""

    scorer: WindowScorer
    windows: Windows
    i: int
    lines: Sequence[Line]

    def text(self, kind: str) -> str:
        """A sentence for a kind of evidence."""
        known: dict[str, Callable[[], str]] = {
            "line": self._loudest,
            "lines": self._loudest,
            "new": self._new,
            "missing": self._missing,
            "rare": self._rare,
            "end": lambda: self._edge("ends", 1),
            "start": lambda: self._edge("starts", 0),
            "longer": self._length,
            "shorter": self._length,
            "slower": self._duration,
            "faster": self._duration,
            "repeated": self._repeated,
            "level": lambda: "a line of high severity",
        }
        return known.get(kind, lambda: "its mix and order of lines is unlike every ordinary window")()

    def _name(self, number: int) -> str:
        texts = self.scorer.templates
        return f"'{texts[number][:SHOWN]}'" if number < self.scorer.reference.known else "a line of a new template"

    def _share(self, of: npt.NDArray[np.bool_]) -> str:
        return f"{of.mean():.0%} of ordinary windows"

    def _loudest(self) -> str:
        line = max(self.lines, key=lambda line: line.raw)
        return f"line {line.line_no} stands out: {self._name(line.template)}"

    def _new(self) -> str:
        lines = self.scorer.reference.new_lines(self.windows)[self.i]
        return f"{lines:.0f} lines of templates that no ordinary window has"

    def _missing(self) -> str:
        ordinary = self.scorer.reference.support.counts > 0
        lacking = np.where(self.windows.counts[self.i] > 0, 0.0, ordinary.mean(axis=0))
        number = int(lacking.argmax())
        return f"lacks {self._name(number)}, which {self._share(ordinary[:, number])} have"

    def _rare(self) -> str:
        ordinary = self.scorer.reference.support.counts > 0
        share = np.where(self.windows.counts[self.i] > 0, ordinary.mean(axis=0), 2.0)
        number = int(share.argmin())
        return f"holds {self._name(number)}, which {self._share(ordinary[:, number])} have"

    def _edge(self, verb: str, which: int) -> str:
        number = int(self.windows.edges[self.i, which])
        same = self.scorer.reference.support.edges[:, which] == number
        return f"{verb} with {self._name(number)}, as {self._share(same)} do"

    def _length(self) -> str:
        return f"{len(self.lines)} lines, usually {np.median(self.scorer.reference.support.shape[:, 2]):.0f}"

    def _duration(self) -> str:
        usual = np.median(self.scorer.reference.support.shape[:, 3])
        return f"took {self.windows.shape[self.i, 3]:.3g} s, usually {usual:.3g} s"

    def _repeated(self) -> str:
        most = self.scorer.reference.support.counts.max(axis=0)
        number = int(np.log((self.windows.counts[self.i] + 1) / (most + 1)).argmax())
        count = self.windows.counts[self.i, number]
        return f"{self._name(number)} {count:.0f} times, at most {most[number]:.0f} in an ordinary window"
