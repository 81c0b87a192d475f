"""A source in use: its detector, its open streams, and what is followed beside them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from logmeta.absorption import Quarantine
from logmeta.drift import Drift, DriftMonitor
from logmeta.records import ScoredLine
from logmeta.refresh import QuietPool

if TYPE_CHECKING:
    from logmeta.detector import Detector
    from logmeta.session import ScoringSession


@dataclass(slots=True)
class OpenSource:
    """A detector in use with its open streams, how many lines it has seen and how many alarms it has raised."""

    detector: Detector
    session: ScoringSession
    drift: DriftMonitor
    lines: int = 0
    alarms: int = 0
    quiet: QuietPool = field(default_factory=QuietPool)
    refresh_at: int = 0
    streams_evicted: int = 0
    offer_from: int = 0
    quarantine: Quarantine = field(init=False)

    def __post_init__(self) -> None:
        self.quarantine = Quarantine(self.detector, self.drift)

    @classmethod
    def of(cls, detector: Detector, *, refresh_at: int) -> OpenSource:
        """A source whose streams begin now."""
        return cls(detector, detector.session(), DriftMonitor(detector), refresh_at=refresh_at)

    def use(self, detector: Detector) -> None:
        """Go on with a version that differs in its calibration, labels or what is absorbed only."""
        self.detector = detector
        self.session.recalibrate(detector)
        self.quarantine.use(detector)
        self.offer_from = 0

    def see(self, lines: Sequence[ScoredLine]) -> list[Drift]:
        """Follow a scored batch; gives what its drift turned into."""
        self.lines += len(lines)
        self.alarms += sum(line.alarm for line in lines)
        self.quiet.see(lines)
        self.drift.see(lines)
        self.quarantine.see(lines)
        return self.drift.take()

    @property
    def alarms_per_day(self) -> float:
        """Alarms raised so far, at the source's usual rate of lines."""
        return self.alarms * self.detector.level.lines_per_day / max(1, self.lines)


def is_recalibration(detector: Detector, *, of: Detector) -> bool:
    """Whether two versions of a source differ in their calibration, labels and what is absorbed only."""
    same_templates = list(detector.memory.templates) == list(of.memory.templates)
    return same_templates and all(np.array_equal(values, of.params[name]) for name, values in detector.params.items())
