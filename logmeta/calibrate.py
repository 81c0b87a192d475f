"""What a raw score means: p-values from held-out normal lines, an alarm level from a budget, a score from 0 to 1."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from logmeta.errors import CalibrationError
from logmeta.records import AlarmBudget
from logmeta.window import FloatArray

_TAIL_SHARE: Final = 0.15
_SLOPE_FLOOR: Final = 0.05
_OWN: Final = 0.25
_MARGIN: Final = 1.0
DEFAULT_LINES_PER_DAY: Final = 100_000.0


def p_values(scores: FloatArray, calibration: FloatArray) -> FloatArray:
    """Chance that a normal line looks at least this odd (split conformal p-value).

    Args:
        scores: raw scores, shape (n,). Higher is more anomalous.
        calibration: raw scores of held-out normal lines, shape (m,), m >= 1.

    Returns:
        Shape (n,), each in [1 / (m + 1), 1]. Fewer calibration lines, coarser promises.

    Raises:
        CalibrationError: calibration is empty or holds a non-finite score.

    Vovk, Gammerman, Shafer. Algorithmic Learning in a Random World. 2005.
    """
    _check(calibration)
    at_least_as_odd = calibration.size - np.searchsorted(np.sort(calibration), scores, side="left")
    return np.asarray((1 + at_least_as_odd) / (1 + calibration.size))


def _check(calibration: FloatArray) -> None:
    finite = int(np.isfinite(calibration).sum())
    if finite == 0 or finite < calibration.size:
        raise CalibrationError(total=calibration.size, finite=finite)


def tail_slope(scores: FloatArray) -> float:
    """Mean excess of the highest 15 % of scores (m,) over the lowest of them, in raw-score units, above 0."""
    ordered = np.sort(scores.astype(np.float64))
    start = ordered[int((1 - _TAIL_SHARE) * (len(ordered) - 1))]
    excess = ordered[ordered >= start] - start
    spread = float(np.quantile(ordered, 0.9) - np.quantile(ordered, 0.1))
    return max(float(excess.mean()), _SLOPE_FLOOR * spread, 1e-6)


@dataclass(frozen=True, slots=True)
class Calibration:
    """Sorted raw scores of held-out normal lines (m,) and the exponential tail fitted to the highest of them.

    `slope` is the tail's mean excess, in raw-score units: beyond the highest calibration score, every `slope`
    makes a line e times less likely. Such p-values are extrapolated; `p_values` alone is a guarantee.
    """

    scores: FloatArray
    slope: float

    @classmethod
    def fit(cls, scores: FloatArray, *, usual_slope: float | None = None) -> Calibration:
        """Calibrate on raw scores of held-out normal lines, shape (m,).

        A few lines tell little of their tail: three quarters of the slope are `usual_slope`, what other systems'
        tails had in meta-training, where that is known, and a margin of 1 / sqrt(m) is added for the lines not seen.
        """
        _check(scores)
        ordered, own = np.sort(scores.astype(np.float64)), tail_slope(scores)
        slope = own if usual_slope is None else _OWN * own + (1 - _OWN) * usual_slope
        return cls(ordered, slope * (1 + _MARGIN / math.sqrt(len(ordered))))

    @property
    def smallest_p(self) -> float:
        """The smallest p-value these lines can carry."""
        return 1 / (1 + len(self.scores))

    def p_values(self, scores: FloatArray) -> FloatArray:
        """Conformal p-values, shape (n,), each in [smallest_p, 1]."""
        return p_values(scores, self.scores)

    def surprise(self, scores: FloatArray) -> FloatArray:
        """-log p, strictly increasing in the raw score, extrapolated beyond the calibration scores; shape (n,)."""
        knots, nats = self._curve()
        inside = np.interp(scores, knots, nats)
        beyond = np.maximum(scores - knots[-1], 0) / self.slope
        below = np.minimum(scores - knots[0], 0)
        return np.asarray(inside + beyond + nats[0] * (1 / (1 - below / self.slope) - 1))

    def _curve(self) -> tuple[FloatArray, FloatArray]:
        knots, counts = np.unique(self.scores, return_counts=True)
        at_least = counts[::-1].cumsum()[::-1]
        return knots, -np.log(at_least / (len(self.scores) + 1))


@dataclass(frozen=True, slots=True)
class AlarmLevel:
    """The p-value below which a line alarms, and whether the calibration can promise it.

    `lines_per_day` is the source's own rate where its lines carry times, else an assumption (`assumed_rate`).
    """

    level: float
    lines_per_day: float
    assumed_rate: bool
    provisional: bool

    @classmethod
    def of(
        cls,
        budget: AlarmBudget,
        calibration: Calibration,
        lines_per_second: float | None,
        *,
        lines_per_alarm: float = 1.0,
    ) -> AlarmLevel:
        """Turn an alarm budget into a level: `per_day` alarms among the lines of a day.

        Neighbouring anomalous lines are one alarm: where an ordinary stretch that looks odd holds `lines_per_alarm` of
        them, so many times more lines may lie below the level (the inverse of the extremal index: Leadbetter. Extremes
        and local dependence in stationary sequences. 1983).
        """
        rate = (lines_per_second or 0) * 86_400
        lines = rate or DEFAULT_LINES_PER_DAY
        level = min(0.05, lines_per_alarm * budget.per_day / lines)
        return cls(level, lines, rate == 0, calibration.smallest_p > level)


def score_of(surprise: FloatArray, level: float) -> FloatArray:
    """Surprise (-log p) to a score in (0, 1), strictly increasing; 0.5 stands at the alarm level."""
    ratio = np.maximum(surprise, 0) / -math.log(level)
    return np.asarray(ratio / (1 + ratio))
