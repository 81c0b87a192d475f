"""Verdicts and labels to the figures of one draw: per line, per tumbling window of lines, per session."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from logmeta.datasets.labelled import ANOMALOUS, NORMAL, LabelledSet
from logmeta.evaluate import metrics
from logmeta.evaluate.incidents import Found, IncidentJudge
from logmeta.evaluate.results import BUDGETS, Granularity
from logmeta.evaluate.verdicts import Verdicts
from logmeta.window import FloatArray, IntArray

UNKNOWN: Final = -1
WINDOW_LINES: Final = 20


@dataclass(frozen=True)
class Figures:
    """The figures of one method under one draw; see `Row` for the names."""

    metrics: dict[str, float | None]
    incidents: dict[str, str] = field(default_factory=dict)
    curves: dict[str, list[float]] = field(default_factory=dict)


@dataclass(frozen=True)
class LineJudge:
    """Judges line verdicts of a set's test part. `seconds` and `contents` (a line's template) are per test line."""

    data: LabelledSet
    seconds: FloatArray
    contents: IntArray
    judged_incidents: Sequence[bool]

    def figures(self, verdicts: Verdicts) -> dict[Granularity, Figures]:
        """Per line, and per tumbling window of 20 lines (scored by its oddest line)."""
        labels = _labels(self.data)
        at_line = unit_figures(labels, verdicts, self.contents)
        found, strings = self._incidents(verdicts) if self.data.incidents else ({}, {})
        lines = Figures(at_line.metrics | found, strings, at_line.curves)
        return {"line": lines, "window": unit_figures(*_windows(labels, verdicts))}

    def _incidents(self, verdicts: Verdicts) -> tuple[dict[str, float | None], dict[str, str]]:
        judge = IncidentJudge(self.data.incidents, self.data.excluded, len(self.data.test))
        found = {f"{budget:g}": judge.at(verdicts.raw, budget) for budget in BUDGETS}
        found["own"] = judge.own(verdicts.alarm)
        figures: dict[str, float | None] = {}
        for name, what in found.items():
            figures |= {f"{key}@{name}": value for key, value in self._told(what).items()}
        return figures, {name: self._string(what) for name, what in found.items()}

    def _told(self, what: Found) -> dict[str, float | None]:
        free = sum(hit and i.keyword_free for hit, i in zip(what.hit, self.data.incidents, strict=True))
        delays = [delay for delay in what.delay if delay is not None]
        waits = [self._wait(delay, n) for n, delay in enumerate(what.delay) if delay is not None]
        known = [wait for wait in waits if np.isfinite(wait)]
        return {
            "found": float(what.count),
            "keyword_free": float(free),
            "far_per_1k": what.far_per_1k,
            "chance": what.chance,
            "delay_lines": float(np.median(delays)) if delays else None,
            "delay_s": float(np.median(known)) if known else None,
        }

    def _wait(self, delay: int, n: int) -> float:
        incident = self.data.incidents[n]
        start = (incident.symptom or incident.first) - 1
        return float(self.seconds[start + delay] - self.seconds[start])

    def _string(self, what: Found) -> str:
        """One character per incident of the whole set: those set aside in this draw are "-"."""
        hits = iter(what.hit)
        return "".join(("1" if next(hits) else "0") if judged else "-" for judged in self.judged_incidents)


def _labels(data: LabelledSet) -> IntArray:
    return np.array([UNKNOWN if line.label is None else line.label for line in data.test], dtype=np.int64)


def _windows(labels: IntArray, verdicts: Verdicts) -> tuple[IntArray, Verdicts, IntArray]:
    """Tumbling windows: anomalous if a line is, normal if all lines are; a window takes its oddest line's verdict."""
    starts = np.arange(0, len(labels), WINDOW_LINES)
    wrong = np.maximum.reduceat((labels == ANOMALOUS).astype(int), starts) > 0
    fine = np.minimum.reduceat((labels == NORMAL).astype(int), starts) > 0
    of_window = np.where(wrong, ANOMALOUS, np.where(fine, NORMAL, UNKNOWN))

    def most(x: FloatArray) -> FloatArray:
        return np.asarray(np.maximum.reduceat(x, starts))

    rare = np.minimum.reduceat(verdicts.p_value, starts)
    alarm = np.maximum.reduceat(verdicts.alarm.astype(int), starts) > 0
    highest = Verdicts(most(verdicts.raw), most(verdicts.score), np.asarray(rare), most(verdicts.nats), alarm)
    return of_window, highest, np.arange(len(starts))


def session_figures(
    data: LabelledSet,
    test: tuple[Sequence[str | None], Verdicts],
    control: Verdicts | None,
    contents: IntArray,
) -> Figures:
    """Figures per session, from verdicts beside the sessions' names; AUROC against the control sessions too."""
    streams, verdicts = test
    by_name = {line.stream: line.label for line in data.test}
    labels = np.array([UNKNOWN if by_name[s] is None else by_name[s] for s in streams], dtype=np.int64)
    found = unit_figures(labels, verdicts, contents)
    if control is None or not len(control.raw):
        return found
    wrong = verdicts.raw[labels == ANOMALOUS]
    against = np.concatenate([np.ones(len(wrong), dtype=np.int64), np.zeros(len(control.raw), dtype=np.int64)])
    auroc = metrics.ranking(against, np.concatenate([wrong, control.raw]))["auroc"]
    return Figures(found.metrics | {"auroc_control": auroc}, found.incidents, found.curves)


def unit_figures(labels: IntArray, verdicts: Verdicts, contents: IntArray) -> Figures:
    """Ranking, threshold and calibration figures of the units whose label is known."""
    judged = labels != UNKNOWN
    y, raw = labels[judged], verdicts.raw[judged]
    normal_p = verdicts.p_value[labels == NORMAL]
    figures = metrics.ranking(y, raw) | metrics.at_threshold(y, verdicts.flagged[judged])
    figures |= metrics.calibration(normal_p)
    figures["brier"] = metrics.brier(y, verdicts.score[judged]) if len(y) else None
    figures["ap_distinct"] = metrics.distinct(y, raw, contents[judged]) if len(y) else None
    figures["positives"] = float((y == ANOMALOUS).sum())
    figures["prevalence"] = float((y == ANOMALOUS).mean()) if len(y) else None
    return Figures(figures, curves=_curves(y, raw, normal_p))


def _curves(y: IntArray, raw: FloatArray, normal_p: FloatArray) -> dict[str, list[float]]:
    curves = metrics.precision_recall(y, raw)
    if len(normal_p):
        curves |= {"p_levels": list(metrics.LEVELS), "p_realised": metrics.realised(normal_p).tolist()}
    return curves
