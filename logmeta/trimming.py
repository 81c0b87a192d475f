"""Which of the support's sessions are left out: a few that say something worse than the source does otherwise.

Some of them may have failed and nobody saw (5 % are allowed for). What hardly another session says and sounds worse
than what most of them say is held for such a failure; a source that talks like that anyway keeps all its sessions.

Huber, Ronchetti. Robust Statistics. 2009 (trimming).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import compress
from typing import Final, NamedTuple

import numpy as np

from logmeta.evidence import Encoders
from logmeta.grouping import Line, Reasons, spared_of
from logmeta.header import LEVELS
from logmeta.signatures import signatures_of
from logmeta.window import BoolArray, FloatArray

SEVERE: Final = 0.64  # of the templates that the training systems log at info or below, 5 % sound worse; decision 22
_COMMON: Final = 0.95  # of the templates that many sessions hold sound no worse than what is usual here
_ERROR: Final = LEVELS["error"]


class Trimmed(NamedTuple):
    """The sessions that stay, those that are left out, and for each of these the templates that are the reason."""

    stay: Sequence[Sequence[Line]]
    left_out: Sequence[Sequence[Line]]
    reasons: Reasons


def trimmed(windows: Sequence[Sequence[Line]], severity: FloatArray) -> Trimmed:
    """Sort some sessions.

    `severity` (templates,) says how bad templates sound (see `severities`); a line logged at error or above sounds as
    bad as can be. Where more sessions than `SPARED` would be left out, all stay: so many are no exception.
    """
    few = spared_of(len(windows))
    said = [np.unique([line.template for line in window]) for window in windows]
    times = np.bincount(np.concatenate(said), minlength=len(severity))
    worse = _worse(_loud(windows, severity), times > few) & (times <= few)
    reasons = [tuple(numbers[worse[numbers]].tolist()) for numbers in said]
    if sum(map(bool, reasons)) > few:
        return Trimmed(windows, [], ())
    stay = [window for window, reason in zip(windows, reasons, strict=True) if not reason]
    return Trimmed(stay, list(compress(windows, reasons)), tuple(filter(None, reasons)))


def _worse(severity: FloatArray, usual: BoolArray) -> BoolArray:
    """Which templates sound worse than the usual ones."""
    most = np.quantile(severity[usual], _COMMON) if usual.any() else 1.0
    return np.asarray(severity > max(SEVERE, float(most)))


def _loud(windows: Sequence[Sequence[Line]], severity: FloatArray) -> FloatArray:
    """How bad templates sound, by their words or their level."""
    out = severity.copy()
    out[[line.template for window in windows for line in window if line.level >= _ERROR]] = 1.0
    return out


def severities(templates: Sequence[str], encoders: Encoders) -> FloatArray:
    """How bad templates sound in any system, 0-1, shape (n,); 1 with a failure signature."""
    signed = np.fromiter((bool(signatures_of(template)) for template in templates), dtype=bool)
    return np.where(signed, 1.0, encoders.severities(encoders.text.vectors(templates)))
