"""logmeta: log anomaly detection that onboards a new source from a handful of ordinary lines.

from logmeta import AlarmBudget, MetaModel
detector = MetaModel.from_pretrained().onboard(open("normal.log"), source="payments")
alarms = [line for line in detector.score(open("today.log")) if line.alarm]
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from logmeta.errors import LogmetaError
from logmeta.records import AlarmBudget, LogRecord, Reason, ScoredLine

if TYPE_CHECKING:
    from logmeta.detector import Detector, MetaModel, ScoringSession

__all__ = [
    "AlarmBudget",
    "Detector",
    "LogRecord",
    "LogmetaError",
    "MetaModel",
    "Reason",
    "ScoredLine",
    "ScoringSession",
]


def __getattr__(name: str) -> object:
    """Import what needs torch only when it is used, so that `import logmeta` stays quick."""
    if name in ("Detector", "MetaModel", "ScoringSession"):
        import logmeta.detector as detector

        return getattr(detector, name)
    raise AttributeError(f"module 'logmeta' has no attribute {name!r}")
