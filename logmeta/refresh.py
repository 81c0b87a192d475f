"""Rolling, guarded refresh: later quiet lines take the support's place in the calibration of a detector.

Two hundred lines calibrate roughly; thousands of later ones do it better, and a source changes. Nothing but the
calibration is touched: a refreshed detector is a version of its own, which can be rolled back. Lines of an alarm, or
near one, take no part, and the guard refuses a pool that is nothing like what calibrated before. Whoever writes lines
that hardly do not alarm could still raise the level a little with every refresh: it may lie a step above the one of
onboarding at most, ever.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

import numpy as np

from logmeta.calibrate import Calibration, achieved_shares
from logmeta.records import ScoredLine
from logmeta.told import REPEAT
from logmeta.window import FloatArray

if TYPE_CHECKING:
    from logmeta.detector import Detector

KEPT: Final = 5_000
FEWEST: Final = 1_000
NEAR: Final = 50
_ASKED: Final = 0.1
MOST_RISE: Final = 0.5  # raw-score units; without an attack the level falls on all systems that we have
_MOST_BEYOND: Final = 0.3  # of the pool, where a tenth was asked: more is a change that a person should see


@dataclass(slots=True)
class QuietPool:
    """Raw scores of a source's latest lines that neither alarm nor lie within NEAR lines of one that does; bounded."""

    scores: deque[float] = field(default_factory=lambda: deque(maxlen=KEPT))
    fresh: int = 0
    _waiting: deque[float] = field(default_factory=deque)
    _loud: int = 0

    def see(self, lines: Iterable[ScoredLine]) -> None:
        """Scored lines in order of arrival; continuations are part of their record."""
        for line in lines:
            if REPEAT in line.flags:
                continue  # no more than itself: else a drip of such lines would keep all others out
            if line.alarm_id is not None:
                self._waiting.clear()
                self._loud = NEAR
            elif self._loud:
                self._loud -= 1
            elif line.line_no == line.record_line_no:
                self._wait(line.raw_score)

    def _wait(self, score: float) -> None:
        self._waiting.append(score)
        if len(self._waiting) > NEAR:
            self.scores.append(self._waiting.popleft())
            self.fresh += 1


def recalibrated(detector: Detector, pool: QuietPool) -> Detector | None:
    """The detector calibrated on the latest quiet lines alone, however unlike earlier ones; None where they are few, or
    would raise the alarm level too far."""
    scores = np.array(pool.scores, dtype=np.float64)[-FEWEST:]
    return None if len(scores) < FEWEST else _on(detector, scores)


def refreshed(detector: Detector, pool: QuietPool) -> Detector | None:
    """The detector calibrated on the pool; None where that is too small, unlike what calibrated before, or would raise
    the alarm level too far."""
    scores = np.array(pool.scores, dtype=np.float64)
    if len(scores) < max(FEWEST, len(detector.calibration.scores)):
        return None
    if np.mean(detector.calibration.p_values(scores) <= _ASKED) > _MOST_BEYOND:
        return None
    return _on(detector, scores)


def _on(detector: Detector, scores: FloatArray) -> Detector | None:
    calibration, first = Calibration.fit(scores, usual_tail=detector.base.usual_tail), detector.first_calibration
    level = detector.level.surprise
    if calibration.raw_at(level) > first.raw_at(level) + MOST_RISE:
        return None
    return replace(detector, calibration=calibration, onboarded=first, achieved=achieved_shares(scores))
