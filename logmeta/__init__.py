"""logmeta: log anomaly detection that onboards a new source from a handful of ordinary lines.

from logmeta import AlarmBudget, MetaModel
detector = MetaModel.from_pretrained().onboard(open("normal.log"), source="payments")
alarms = [line for line in detector.score(open("today.log")) if line.alarm]
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from logmeta.errors import LogmetaError
from logmeta.records import AlarmBudget, LogRecord, Reason, ScoredLine

if TYPE_CHECKING:
    from logmeta.detector import Detector, MetaModel
    from logmeta.session import ScoringSession

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


_HOMES = {"Detector": "logmeta.detector", "MetaModel": "logmeta.detector", "ScoringSession": "logmeta.session"}


def __getattr__(name: str) -> object:
    """Import what needs torch only when it is used, so that `import logmeta` stays quick."""
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'logmeta' has no attribute {name!r}")
