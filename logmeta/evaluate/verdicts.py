"""What any method says of some units: lines, or whole windows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from logmeta.alarms import Course
from logmeta.calibrate import Calibration, score_of
from logmeta.window import BoolArray, FloatArray, IntArray

ASKED: Final = 0.01  # the false-alarm rate asked for where a threshold is set on normal units alone


@dataclass(frozen=True)
class Verdicts:
    """Per unit, each of shape (n,): raw and calibrated scores, p-values, -log p with its tail extrapolated, and
    whether an alarm of the product's own starts there."""

    raw: FloatArray
    score: FloatArray
    p_value: FloatArray
    nats: FloatArray
    alarm: BoolArray

    @classmethod
    def of(cls, raw: FloatArray, calibration: Calibration, level: float) -> Verdicts:
        """Verdicts from raw scores; every unit past the level is an alarm."""
        nats = calibration.surprise(raw)
        score = score_of(nats, level)
        return cls(raw, score, calibration.p_values(raw), nats, nats >= -np.log(level))

    def take(self, which: IntArray) -> Verdicts:
        """Verdicts of some units, in the order given."""
        return Verdicts(self.raw[which], self.score[which], self.p_value[which], self.nats[which], self.alarm[which])

    @property
    def flagged(self) -> BoolArray:
        """Units beyond the threshold at which 1 % of normal units are expected; no label is used."""
        return np.asarray(self.nats >= -np.log(ASKED))


def alarm_starts(
    anomalous: BoolArray, raw: FloatArray, seconds: FloatArray, streams: Sequence[str | None]
) -> BoolArray:
    """The lines on which alarms start, told apart as the product tells its own (`logmeta.alarms`)."""
    starts = np.zeros(len(anomalous), dtype=bool)
    names = {name: i for i, name in enumerate(dict.fromkeys(streams))}
    codes = np.array([names[name] for name in streams], dtype=np.int64)
    for code in names.values():
        of_stream = np.flatnonzero(codes == code) if len(names) > 1 else np.arange(len(anomalous))
        course = Course()
        for at in np.flatnonzero(anomalous[of_stream]).tolist():
            line = of_stream[at]
            starts[line] = course.begins_alarm(at, float(raw[line]), float(seconds[line]))
    return starts
