"""The facade: a base model, a detector for one source, a session that scores lines with it."""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Final

import numpy as np
import torch

from logmeta.calibrate import AlarmLevel, Calibration
from logmeta.config import BASE_MODEL
from logmeta.errors import InputError, ScoreError, UsageError
from logmeta.evidence import Reference
from logmeta.meta.adapt import fast_weights, ranks_no_worse
from logmeta.meta.base import BaseModel, load_base
from logmeta.meta.scorer import Params, base_scores, net_scores, smooth
from logmeta.meta.support import Support, corrupted, labelled_lines, prepare
from logmeta.parse import ParsedEvent, TemplateTree
from logmeta.records import AlarmBudget, JsonValue, LogRecord, ModelId, Reason, ScoredLine
from logmeta.session import WINDOW_HALF_LIFE, ScoringSession
from logmeta.window import Context, FloatArray

MIN_LINES: Final = 20
BATCH: Final = 2_048
_SPREAD_OVER_S: Final = 60.0


@dataclass(frozen=True)
class MetaModel:
    """The shipped, source-independent base model; `onboard` adapts it to one source."""

    base: BaseModel

    @classmethod
    def from_pretrained(cls, path: Path | str | None = None) -> MetaModel:
        """The shipped base model, or one from a folder (also named by `LOGMETA_MODEL__BASE`).

        Raises:
            ArtifactError: the folder holds no base model that this release can read.
        """
        path = path or os.environ.get(BASE_MODEL)
        return cls(_shipped() if path is None else load_base(Path(path)))

    @property
    def name(self) -> str:
        return self.base.name

    def onboard(
        self,
        lines: Iterable[str],
        *,
        source: str,
        budget: AlarmBudget | None = None,
        anomalies: Iterable[str] = (),
        stream_regex: str | None = None,
        seed: int = 0,
    ) -> Detector:
        """A detector for `source` from 20-1,000 (or more) of its ordinary lines, in their order.

        Args:
            lines: ordinary log lines; no labels are needed.
            source: the name of the log-producing system.
            budget: false alarms accepted per day.
            anomalies: lines known to be anomalous, if any; they join the inner loop's task.
            stream_regex: its first group (or whole match) names the stream a line belongs to.
            seed: the same lines and seed give the same detector.

        Raises:
            InputError: fewer than 20 records, or lines that are not text.
        """
        ordinary = [line.rstrip("\r\n") for line in lines]
        streams = stream_names(ordinary, stream_regex)
        _check_lines(ordinary, source)
        support = prepare(self.base.encoders, ordinary, streams)
        if len(support.events) < MIN_LINES:
            raise InputError(_too_few(len(support.events), source, "records"))
        known_bad = [line.rstrip("\r\n") for line in anomalies]
        return _adapted(self.base, support, known_bad, source, budget or AlarmBudget(), stream_regex, seed)


@lru_cache(maxsize=1)
def _shipped() -> BaseModel:
    return load_base()


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


def stream_names(lines: Sequence[str], stream_regex: str | None) -> list[str | None]:
    """The stream each line belongs to: the regex's first group or match, None where it does not match.

    Raises:
        UsageError: the expression is no regular expression.
    """
    if stream_regex is None:
        return [None] * len(lines)
    try:
        pattern = re.compile(stream_regex)
    except re.error as error:
        raise UsageError(f"--stream-regex {stream_regex!r} is no regular expression: {error}") from error
    found = (pattern.search(line) for line in lines)
    return [None if m is None else m[1] if pattern.groups else m[0] for m in found]


def _adapted(
    base: BaseModel,
    support: Support,
    anomalies: Sequence[str],
    source: str,
    budget: AlarmBudget,
    stream_regex: str | None,
    seed: int,
) -> Detector:
    wrong = corrupted(base.encoders, support, base.foreign, seed=seed)
    if anomalies:
        wrong = np.concatenate([wrong, labelled_lines(base.encoders, support, anomalies)])
    ordinary, held_out = support.split()
    bad, good = base.standardised(wrong), base.standardised(ordinary)
    params = fast_weights(base.params, bad, good)
    plain = (torch.from_numpy(base_scores(wrong)), torch.from_numpy(base_scores(ordinary)))
    trusted = ranks_no_worse(params, bad, good, plain)
    detector = Detector(
        base=base,
        source=source,
        params=params,
        trusted=trusted,
        tree=support.tree,
        templates=tuple(support.templates),
        timed=support.timed,
        context=support.context,
        reference=support.reference,
        calibration=Calibration(np.zeros(1), 1.0),
        window_calibration=Calibration(np.zeros(1), 1.0),
        budget=budget,
        lines_used=support.lines,
        span_s=_span(support.events),
        stream_regex=stream_regex,
        seed=seed,
    )
    raw = detector.raw_scores(support.x)
    window, _ = smooth(raw[:, None], raw[:1], WINDOW_HALF_LIFE)
    usual = base.tail_slope if trusted else None
    detector.calibration = Calibration.fit(raw[held_out], usual_slope=usual)
    detector.window_calibration = Calibration.fit(window[held_out, 0])
    return detector


def _span(events: Sequence[ParsedEvent]) -> float:
    seconds = np.array([event.seconds for event in events])
    known = seconds[np.isfinite(seconds)]
    return float(known.max() - known.min()) if len(known) else 0.0


@dataclass
class Detector:
    """A base model adapted to and calibrated for one source. Scoring never changes it."""

    base: BaseModel
    source: str
    params: Params
    trusted: bool
    tree: TemplateTree
    templates: tuple[str, ...]
    timed: bool
    context: Context
    reference: Reference
    calibration: Calibration
    window_calibration: Calibration
    budget: AlarmBudget
    lines_used: int
    span_s: float
    stream_regex: str | None
    seed: int
    version: str = "1"

    @cached_property
    def level(self) -> AlarmLevel:
        """The alarm level that the budget asks for at this source's rate."""
        timed = self.context.lines_per_second if self.span_s > 0 else None
        return AlarmLevel.of(self.budget, self.calibration, timed)

    @property
    def provisional(self) -> bool:
        """Whether the support is too small to promise the alarm budget."""
        return self.level.provisional

    @property
    def model(self) -> ModelId:
        return ModelId(self.base.name, self.source, self.version, self.lines_used)

    def raw_scores(self, x: FloatArray) -> FloatArray:
        """Raw scores of features (n, WIDTH), shape (n,): the adapted net, or the base score where the guard says so.

        Raises:
            ScoreError: a score is not finite.
        """
        if self.trusted:
            with torch.inference_mode():
                raw = np.asarray(net_scores(self.params, self.base.standardised(x)).numpy(), dtype=np.float32)
        else:
            raw = base_scores(x)
        if not np.isfinite(raw).all():
            raise ScoreError(f"detector {self.source!r} gave a score that is no number; onboard the source again")
        return raw

    def score(self, lines: Iterable[str]) -> Iterator[ScoredLine]:
        """Score lines lazily, one result per line, in order; the detector stays as it is."""
        session = self.session()
        numbered = enumerate((line.rstrip("\r\n") for line in lines), 1)
        while batch := list(itertools.islice(numbered, BATCH)):
            names = stream_names([line for _, line in batch], self.stream_regex)
            records = [LogRecord(number, line, stream) for (number, line), stream in zip(batch, names, strict=True)]
            yield from session.score(records)

    def explain(self, line: ScoredLine) -> str:
        """One sentence: why the line was scored as it was."""
        reasons = line.reasons or (Reason("ordinary", "nothing about this line stands out", 1.0),)
        return "; ".join(reason.text for reason in reasons)

    def session(self) -> ScoringSession:
        """An open scoring session: it holds the streams' contexts, so batches may come in pieces."""
        return ScoringSession(self)

    def summary(self) -> dict[str, JsonValue]:
        """What a person should know before trusting this detector."""
        return {
            "source": self.source,
            "base": self.base.name,
            "version": self.version,
            "lines_used": self.lines_used,
            "templates": len(self.templates),
            "calibration_lines": len(self.calibration.scores),
            "smallest_p_value": self.calibration.smallest_p,
            "alarm_budget_per_day": self.budget.per_day,
            "lines_per_day": round(self.level.lines_per_day),
            "alarm_level_p_value": self.level.level,
            "provisional": self.provisional,
            "adapted_net_trusted": self.trusted,
            "warnings": list(self.warnings()),
        }

    def warnings(self) -> Iterator[str]:
        """What falls short, each with the way out."""
        if self.provisional:
            needed = int(np.ceil(1 / self.level.level))
            yield (
                f"provisional: {len(self.calibration.scores)} calibration lines reach p >= "
                f"{self.calibration.smallest_p:.2g}, the budget of {self.budget.per_day:g} alarms a day needs "
                f"{self.level.level:.1g} (some {needed:,} lines); until then the alarm level is extrapolated"
            )
        if self.level.assumed_rate:
            yield f"the lines carry no times: {self.level.lines_per_day:,.0f} lines a day are assumed"
        elif self.span_s < _SPREAD_OVER_S:
            yield (
                f"all support lines are from {self.span_s:.0f} s: rates, routines and p-values may not hold at other "
                f"times; onboard from lines spread over a day"
            )
        if not self.trusted:
            yield "the adapted net ranked corrupted lines worse than the plain sum; scores are the plain sum's"

    def save_pretrained(self, folder: Path | str) -> None:
        """Write the detector as a folder of data (written beside, then renamed)."""
        from logmeta.artifact import save_detector  # the artifact module reads this class

        save_detector(self, Path(folder))

    @classmethod
    def from_pretrained(cls, folder: Path | str, *, base: MetaModel | None = None) -> Detector:
        """Read a folder written by `save_pretrained`; every file is verified first.

        Raises:
            ArtifactError: missing, damaged, from a later format, or made with another base model.
        """
        from logmeta.artifact import load_detector

        return load_detector(Path(folder), base)
