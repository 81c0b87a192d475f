"""Onboarding: ordinary lines to a detector, step by step: prepare, adapt, calibrate."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from logmeta.calibrate import Calibration, achieved_shares
from logmeta.canaries import canaries_of
from logmeta.detector import Detector
from logmeta.errors import InputError
from logmeta.grouping import Line, WindowReference, Windows
from logmeta.meta.adapt import guarded
from logmeta.meta.base import BaseModel
from logmeta.meta.scorer import SMOOTHING, Params, with_recent_by_stream
from logmeta.meta.support import KnownAnomalies, Support, corrupted, known_anomalies, prepare
from logmeta.parse import ParsedEvent
from logmeta.records import AlarmBudget, LogRecord
from logmeta.signatures import unusual_signatures
from logmeta.trimming import Trimmed, severities, trimmed
from logmeta.window import FloatArray
from logmeta.windows import Window, WindowCutter

MIN_LINES: Final = 20
_ORDINARY: Final = 0.9
_MOST_KNOWN: Final = 100
_MOST_KEPT: Final = 512


@dataclass(frozen=True, slots=True)
class Asked:
    """What a person asked for when onboarding a source."""

    source: str
    budget: AlarmBudget
    stream_regex: str | None
    window: Window
    seed: int
    privacy: bool = True


def onboard(base: BaseModel, records: Sequence[LogRecord], anomalies: Sequence[str], asked: Asked) -> Detector:
    """A detector from a source's ordinary records (see `MetaModel.onboard`)."""
    _check_lines([record.text for record in records], asked.source)
    support = prepare(base.encoders, records, privacy=asked.privacy)
    if len(support.events) < MIN_LINES:
        raise InputError(_too_few(len(support.events), asked.source, "records"))
    known = known_anomalies(base.encoders, support, anomalies)
    params, trusted = adapted(base, support, wrong_lines(base, support, known, seed=asked.seed))
    return calibrated(base, support, known, params, asked, trusted=trusted, usual_tail=base.usual_tail)


def _too_few(found: int, source: str, what: str) -> str:
    return (
        f"onboarding {source!r} needs at least {MIN_LINES} ordinary {what}, got {found}; "
        f"50 to 200 are better, taken from different times of the day"
    )


def _check_lines(lines: Sequence[str], source: str) -> None:
    filled = [line for line in lines if line.strip()]
    if len(filled) < MIN_LINES:
        raise InputError(_too_few(len(filled), source, "lines"))
    sample = "".join(filled[:200])[:20_000]
    strange = sum(c == "\ufffd" or (c < " " and c != "\t") for c in sample)
    if strange > 0.1 * len(sample):
        raise InputError(
            f"the lines of {source!r} are not text: {strange} of {len(sample)} characters are binary or undecodable; "
            f"give a UTF-8 text log (plain or .gz)"
        )


def wrong_lines(base: BaseModel, support: Support, known: KnownAnomalies, *, seed: int) -> FloatArray:
    """Features of what is wrong in the inner loop's task, (m, WIDTH): corrupted support, then known anomalies."""
    return np.concatenate([corrupted(base.encoders, support, base.foreign, seed=seed), known.x])


def adapted(base: BaseModel, support: Support, wrong: FloatArray) -> tuple[Params, bool]:
    """The scorer's weights for this source, and whether the guard trusts adaptation (else the base model's own)."""
    ordinary, _ = support.split()
    return guarded(base.params, base.standardised(wrong), base.standardised(ordinary), base.inner)


def calibrated(
    base: BaseModel,
    support: Support,
    known: KnownAnomalies,
    params: Params,
    asked: Asked,
    *,
    trusted: bool,
    usual_tail: FloatArray | None,
    smoothing: float = SMOOTHING,
) -> Detector:
    """The detector, calibrated on the part of the support that adaptation did not use (see `Calibration.fit`)."""
    unfitted = Calibration.fit(np.zeros(1))
    detector = Detector(
        base=base,
        source=asked.source,
        params=params,
        trusted=trusted,
        memory=support.memory,
        calibration=unfitted,
        window_calibration=unfitted,
        budget=asked.budget,
        lines_used=support.lines,
        span_s=_span(support.events),
        stream_regex=asked.stream_regex,
        seed=asked.seed,
        window=asked.window,
        signatures=unusual_signatures(support.memory.templates),
        smoothing=smoothing,
        canaries=canaries_of(support.memory, support.events, support.streams, known.templates),
        support=_kept(support.x[support.burn_in :]),
    )
    _calibrate(detector, support, usual_tail)
    detector.known_anomalies = _overlooked(detector, known)
    return detector


def _kept(x: FloatArray) -> FloatArray:
    """At most 512 of the support's features, evenly over it: enough for what labels teach to be held against."""
    places = np.unique(np.linspace(0, len(x) - 1, _MOST_KEPT).astype(int)) if len(x) > _MOST_KEPT else slice(None)
    return np.asarray(x[places], dtype=np.float16)


def _overlooked(detector: Detector, known: KnownAnomalies) -> tuple[str, ...]:
    """Templates of the known anomalies that look ordinary to the detector: lines like those need help to stand out."""
    usual = np.quantile(detector.calibration.scores, _ORDINARY)
    low = detector.own_scores(known.x) < usual
    return tuple(dict.fromkeys(itertools.compress(known.templates, low)))[:_MOST_KNOWN]


def _calibrate(detector: Detector, support: Support, usual_tail: FloatArray | None) -> None:
    _, held_out = support.split()
    own = detector.own_scores(support.x)
    raw, lately = with_recent_by_stream(own, support.streams, weight=detector.smoothing)
    detector.calibration = Calibration.fit(raw[held_out], usual_tail=usual_tail)
    detector.achieved = achieved_shares(raw[held_out])
    if detector.window.kind == "line":
        detector.window_calibration = Calibration.fit(lately[held_out])
        return
    _calibrate_windows(detector, support, raw)


def _calibrate_windows(detector: Detector, support: Support, raw: FloatArray) -> None:
    """What windows are compared with, and what they are calibrated on: the latter holds those too that are left out.

    A session that says something worse than usual is one that failed; any other window holds whatever came then.
    """
    found = Trimmed(_support_windows(support, raw, detector.window), [], ())
    templates = support.memory.templates
    if detector.window.kind == "session":
        found = trimmed(found.stay, severities(templates, detector.base.encoders))
    reference = WindowReference.of(Windows.of(found.stay, len(templates)), found.reasons)
    others = reference.parts(Windows.of(found.left_out, len(templates))).sum(axis=1)
    detector.windows = reference
    detector.window_calibration = Calibration.fit(np.concatenate([reference.own_scores, others]))


def _support_windows(support: Support, raw: FloatArray, window: Window) -> Sequence[Sequence[Line]]:
    """The support's own lines, scored from those before them, cut into windows."""
    cutter = WindowCutter(window)
    lines = [
        Line(event.line_no, event.shape.template_index, float(score), event.shape.level, event.seconds)
        for event, score in zip(support.events, raw, strict=True)
    ]
    closed = [w for i, line in enumerate(lines) for w in cutter.add(i, support.streams[i], line.seconds)]
    complete = [w for w in [*closed, *cutter.finish()] if window.kind == "session" or len(w.positions) == window.lines]
    return [[lines[p] for p in w.positions] for w in complete]


def _span(events: Sequence[ParsedEvent]) -> float:
    seconds = np.array([event.seconds for event in events])
    known = seconds[np.isfinite(seconds)]
    return float(known.max() - known.min()) if len(known) else 0.0
