"""What a raw score means: p-values from held-out normal lines, an alarm level from a budget, a score from 0 to 1."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from logmeta.errors import CalibrationError
from logmeta.records import AlarmBudget
from logmeta.window import FloatArray

TAIL_LEVELS: Final = tuple(10 ** (-i / 2) for i in range(1, 10))  # p-values at which usual tails are known
_TAIL_SHARE: Final = 0.15
_SLOPE_FLOOR: Final = 0.05
_MARGIN: Final = 3.0
_USUAL_WEIGHT: Final = 10.0  # as many own lines beyond a level weigh as much as what is usual
_ENOUGH: Final = 10
_LINKED: Final = 0.8
_LEAST_STEP: Final = 0.25
DEFAULT_LINES_PER_DAY: Final = 100_000.0
ASKED_SHARES: Final = (0.1, 0.05, 0.01)


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


def achieved_shares(scores: FloatArray) -> dict[float, float]:
    """What p-values are worth over time: asked share to the share of the later half of some lines that lies below it.

    Args:
        scores: raw scores of held-out normal lines in their order, shape (m,); the earlier half calibrates.

    Returns:
        A share for each of ASKED_SHARES that half the lines can promise.
    """
    half = len(scores) // 2
    if half == 0:
        return {}
    p = p_values(scores[half:], scores[:half])
    return {asked: float(np.mean(p <= asked)) for asked in ASKED_SHARES if (half + 1) * asked >= 1}


def _check(calibration: FloatArray) -> None:
    finite = int(np.isfinite(calibration).sum())
    if finite == 0 or finite < calibration.size:
        raise CalibrationError(total=calibration.size, finite=finite)


@dataclass(frozen=True, slots=True)
class Calibration:
    """Sorted raw scores of held-out normal lines (m,), and a curve from raw scores to surprise in nats.

    The curve goes through `knots` (k,), increasing, at `nats` (k,), and on as its last piece does. Its highest part is
    extrapolated: `p_values` alone is a guarantee.
    """

    scores: FloatArray
    knots: FloatArray
    nats: FloatArray

    @classmethod
    def fit(cls, scores: FloatArray, *, usual_tail: FloatArray | None = None) -> Calibration:
        """Calibrate on raw scores of held-out normal lines, shape (m,).

        A few lines tell little of their tail. Where it is known which raw scores other systems' lines exceed at each of
        TAIL_LEVELS (`usual_tail`), the tail is that, moved towards these lines' own as far as they have a say: down to
        the level that ten of them lie beyond, they alone tell.
        """
        _check(scores)
        ordered = np.sort(scores.astype(np.float64))
        knots, nats = _empirical(ordered)
        if usual_tail is None:
            return cls(ordered, np.append(knots, knots[-1] + _slope(ordered)), np.append(nats, nats[-1] + 1))
        told = int(np.sum(len(ordered) * np.array(TAIL_LEVELS[:-2]) >= _ENOUGH))
        tail, levels = _moved(usual_tail, ordered)[told:], -np.log(TAIL_LEVELS[told:])
        body = (nats < levels[0]) & (knots < tail[0])
        return cls(ordered, np.concatenate([knots[body], tail]), np.concatenate([nats[body], levels]))

    @property
    def smallest_p(self) -> float:
        """The smallest p-value these lines can carry."""
        return 1 / (1 + len(self.scores))

    def p_values(self, scores: FloatArray) -> FloatArray:
        """Conformal p-values, shape (n,), each in [smallest_p, 1]."""
        return p_values(scores, self.scores)

    def surprise(self, scores: FloatArray) -> FloatArray:
        """-log p, strictly increasing in the raw score, extrapolated beyond the calibration scores; shape (n,)."""
        inside = np.interp(scores, self.knots, self.nats)
        beyond = np.maximum(scores - self.knots[-1], 0) * self._rise
        below = np.minimum(scores - self.knots[0], 0) * self._rise
        return np.asarray(inside + beyond + self.nats[0] * (1 / (1 - below) - 1))

    def raw_at(self, surprise: float) -> float:
        """The raw score that is worth so much surprise: the inverse of `surprise` from the lowest knot on."""
        return float(np.interp(surprise, self.nats, self.knots) + max(surprise - self.nats[-1], 0) / self._rise)

    @property
    def _rise(self) -> float:
        """Nats per unit of raw score beyond the knots: as on the last piece."""
        return float((self.nats[-1] - self.nats[-2]) / (self.knots[-1] - self.knots[-2]))


def _empirical(ordered: FloatArray) -> tuple[FloatArray, FloatArray]:
    knots, counts = np.unique(ordered.round(9), return_counts=True)  # nearer ones have no slope between them
    at_least = counts[::-1].cumsum()[::-1]
    return knots, -np.log(at_least / (len(ordered) + 1))


def _slope(ordered: FloatArray) -> float:
    """An exponential tail's: mean excess of the highest 15 % of scores (m,), and a margin for the lines not seen."""
    start = ordered[int((1 - _TAIL_SHARE) * (len(ordered) - 1))]
    excess = ordered[ordered >= start] - start
    spread = float(np.quantile(ordered, 0.9) - np.quantile(ordered, 0.1))
    return max(float(excess.mean()), _SLOPE_FLOOR * spread, 1e-6) * (1 + _MARGIN / math.sqrt(len(ordered)))


def tail_of(scores: FloatArray) -> FloatArray:
    """The raw scores that a share of TAIL_LEVELS of the scores (m,) exceed, shape (levels,)."""
    return np.asarray(np.quantile(scores, 1 - np.array(TAIL_LEVELS)))


def _moved(usual: FloatArray, ordered: FloatArray) -> FloatArray:
    """The usual tail, level by level moved towards the own one, as far as m own lines tell; what they tell of one level
    says something of the next.

    Efron, Morris. Stein's estimation rule and its competitors: an empirical Bayes approach. JASA 1973.
    """
    away, own, found = 0.0, tail_of(ordered), []
    for level, there, here in zip(TAIL_LEVELS, usual, own, strict=True):
        seen = len(ordered) * level
        trust = 1.0 if seen >= _ENOUGH else seen / (seen + _USUAL_WEIGHT)
        away = trust * (here - there) + (1 - trust) * _LINKED * away
        found.append(there + away)
    steps = np.maximum(np.diff(found), _LEAST_STEP * np.diff(usual))
    return np.asarray(found[0] + np.concatenate([[0.0], np.cumsum(steps)]))


@dataclass(frozen=True, slots=True)
class AlarmLevel:
    """The p-value below which a line alarms, and whether the calibration can promise it.

    `lines_per_day` is the source's own rate where its lines carry times, else an assumption (`assumed_rate`).
    """

    level: float
    lines_per_day: float
    assumed_rate: bool
    provisional: bool

    @property
    def surprise(self) -> float:
        """The level in nats: -log of its p-value."""
        return -math.log(self.level)

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
