"""The guard against silent regressions: a candidate is refused that falls behind the current version on canary lines.

Ordinary lines are the current version's canaries; what is known to be wrong are lines of incidents of other systems,
among them all that say a failure signature, and what people of this source called anomalous. Both versions score the
same lines in the same order, each bad line alone behind the ordinary ones.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from logmeta.calibrate import score_of
from logmeta.canaries import MOST_BAD, bad_records
from logmeta.detector import Detector
from logmeta.errors import LogmetaError, ScoreError, UsageError
from logmeta.records import LogRecord
from logmeta.signatures import signatures_of
from logmeta.window import FloatArray

MORE_ANOMALOUS: Final = 2  # ordinary lines, beyond what the candidate's own alarm level lets expect
LOST_SHARE: Final = 0.1  # of the bad lines that the current version finds, and one more
LOWER_SCORE: Final = 0.05  # of bad lines in the mean; it moves by .03 where versions of twelve systems are refreshed
LOWER_AUROC: Final = 0.05
_FOREIGN: Final = 32
_ALARM: Final = 0.5  # the calibrated score at the alarm level


class RegressionError(LogmetaError):
    """A candidate falls behind the version in use."""

    exit_code = 4
    kind = "falls_behind"


@dataclass(frozen=True, slots=True)
class Trial:
    """What a version says of the canaries: raw and calibrated scores of ordinary lines (n,) and of bad ones (m,)."""

    raw_ordinary: FloatArray
    raw_bad: FloatArray
    ordinary: FloatArray
    bad: FloatArray
    level: float

    @property
    def anomalous(self) -> int:
        """How many ordinary lines are anomalous."""
        return int(np.sum(self.ordinary >= _ALARM))

    @property
    def auroc(self) -> float:
        """How often a bad line ranks above an ordinary one."""
        above = np.sign(self.raw_bad[:, None] - self.raw_ordinary[None, :])
        return float(np.mean(above + 1) / 2)

    @property
    def is_finite(self) -> bool:
        return all(np.isfinite(x).all() for x in (self.raw_ordinary, self.raw_bad, self.ordinary, self.bad))


def check_candidate(current: Detector, candidate: Detector) -> None:
    """Raises RegressionError when the candidate falls behind, UsageError when it is of another source."""
    if (reason := falls_behind(current, candidate)) is not None:
        raise RegressionError(f"the candidate falls behind version {current.version}: {reason}; it may be forced")


def falls_behind(current: Detector, candidate: Detector) -> str | None:
    """Why a candidate must not replace the current version by itself, with counts; None when it may.

    Raises:
        UsageError: they are of two sources.
    """
    if current.source != candidate.source:
        raise UsageError(f"the versions are of two sources, {current.source!r} and {candidate.source!r}")
    ordinary, others, told = current.canaries.lines(current.memory), foreign(current), _told(current, candidate)
    bad = bad_records(ordinary[-1], lines=others, templates=told)
    try:
        before = tried(current, ordinary, bad)
    except ScoreError:
        return None  # there is nothing to fall behind
    try:
        after = _retried(before, candidate) if _scores_alike(current, candidate) else tried(candidate, ordinary, bad)
    except ScoreError as error:
        return str(error)
    return "; ".join(_reasons(before, after, len(others))) or None


def _reasons(before: Trial, after: Trial, others: int) -> Iterator[str]:
    """`others` is how many of the bad lines, the first ones, are of other systems' incidents."""
    if not after.is_finite:
        yield "it gives scores that are no numbers"
        return
    lines = len(after.ordinary)
    if after.anomalous > before.anomalous + MORE_ANOMALOUS + after.level * lines:
        yield f"of {lines} ordinary canary lines {after.anomalous} are anomalous, {before.anomalous} were before"
    yield from _lost(before.bad[:others], after.bad[:others], "lines of other systems' incidents")
    yield from _lost(before.bad[others:], after.bad[others:], "lines that people called anomalous")
    if after.auroc < before.auroc - LOWER_AUROC:
        yield f"it ranks bad lines above ordinary ones in {after.auroc:.0%} of pairs, {before.auroc:.0%} before"


def _lost(before: FloatArray, after: FloatArray, what: str) -> Iterator[str]:
    """What is lost on bad lines, by their calibrated scores (m,) under both versions."""
    was, found = int(np.sum(before >= _ALARM)), int(np.sum(after >= _ALARM))
    if found < was - 1 - int(LOST_SHARE * was):
        yield f"of {len(after)} {what} it finds {found}, {was} were found before"
    if len(after) and after.mean() < before.mean() - LOWER_SCORE:
        yield f"{what} score {after.mean():.2f} in the mean, {before.mean():.2f} before"


def foreign(detector: Detector) -> list[str]:
    """Lines of other systems' incidents: of each failure signature that alarms here, and a sample of the others."""
    lines = detector.base.foreign
    loud = [line for line in lines if signatures_of(line) & detector.signatures][: MOST_BAD - _FOREIGN]
    rest = [line for line in lines if not signatures_of(line)]
    return loud + rest[:: max(1, len(rest) // _FOREIGN)][:_FOREIGN]


def _told(current: Detector, candidate: Detector) -> list[str]:
    """Templates that people called anomalous and the candidate's labels do not call ordinary."""
    labels = [label.template for label in current.labels if label.anomalous]
    silenced = {label.template for label in candidate.labels if not label.anomalous}
    told = dict.fromkeys((*labels, *current.known_anomalies, *current.canaries.bad))
    return [template for template in told if template not in silenced][:MOST_BAD]


def tried(detector: Detector, ordinary: Sequence[LogRecord], bad: Sequence[LogRecord]) -> Trial:
    """What a version says of lines it reads in their order, and of bad ones behind them.

    Raises:
        ScoreError: a score is not finite.
    """
    session = detector.session()
    raw = [line.raw_score for line in session.score(ordinary, explain="none")]
    raw_bad = [session.copy().score([record], explain="none")[0].raw_score for record in bad]
    return _trial(detector, np.array(raw), np.array(raw_bad))


def _retried(before: Trial, candidate: Detector) -> Trial:
    return _trial(candidate, before.raw_ordinary, before.raw_bad)


def _trial(detector: Detector, raw: FloatArray, raw_bad: FloatArray) -> Trial:
    level = detector.level.level
    ordinary, bad = (score_of(detector.calibration.surprise(scores), level) for scores in (raw, raw_bad))
    return Trial(raw, raw_bad, ordinary, bad, level)


def _scores_alike(current: Detector, candidate: Detector) -> bool:
    """Whether two versions differ in calibration alone, as a refreshed one does: raw scores are the same then.

    What labels and what was absorbed lower depends on the calibration.
    """
    same = candidate.params is current.params and candidate.memory is current.memory
    lowered = any((current.labels, candidate.labels, current.absorbed, candidate.absorbed))
    return same and not lowered and candidate.smoothing == current.smoothing
