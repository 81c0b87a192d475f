"""The facade: a base model, a detector for one source, a session that scores lines with it."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Final

import numpy as np

from logmeta.alarms import LINES_PER_ALARM
from logmeta.calibrate import AlarmLevel, Calibration
from logmeta.canaries import Canaries
from logmeta.closing import WindowScorer
from logmeta.config import BASE_MODEL
from logmeta.errors import InputError, ScoreError, UsageError
from logmeta.evidence import EvidenceReader, Memory
from logmeta.explain import KNOWN, SIGNATURE
from logmeta.feedback import Absorbed, Label, features_of, labelled, lowered, without
from logmeta.grouping import WindowReference
from logmeta.meta.base import BaseModel, load_base
from logmeta.meta.features import WIDTH
from logmeta.meta.few_shot import FewShot
from logmeta.meta.likeness import likeness
from logmeta.meta.scorer import SMOOTHING, Params, net_scores
from logmeta.records import (
    AlarmBudget,
    JsonValue,
    LogRecord,
    ModelId,
    Reason,
    ScoredLine,
    ScoredWindow,
    as_records,
)
from logmeta.session import ScoringSession
from logmeta.signatures import RAISE, signatures_of
from logmeta.streams import in_streams
from logmeta.summary import summary_of, warnings_of
from logmeta.window import FloatArray
from logmeta.windows import Window

BATCH: Final = 2_048


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
        lines: Iterable[str | LogRecord],
        *,
        source: str,
        budget: AlarmBudget | None = None,
        anomalies: Iterable[str] = (),
        stream_regex: str | None = None,
        window: Window | str = "line",
        seed: int = 0,
        privacy: bool = True,
    ) -> Detector:
        """A detector for `source` from 20-1,000 (or more) of its ordinary lines, in their order.

        Args:
            lines: ordinary log lines; no labels are needed. Records may name each line's stream and time.
            source: the name of the log-producing system.
            budget: false alarms accepted per day.
            anomalies: lines known to be anomalous, if any; they join the inner loop's task.
            stream_regex: its first group (or whole match) names the stream a line belongs to.
            window: `line`, `sliding:LINES:STEP`, `tumbling:LINES` or `session:IDLE_SECONDS`: what is scored as a
                whole beside each line (see `Detector.score_windows`).
            seed: the same lines and seed give the same detector.
            privacy: name personal data and secrets before anything is learned or kept (`logmeta.privacy`).

        Raises:
            InputError: fewer than 20 records, fewer than 5 complete windows, or lines that are not text.
        """
        from logmeta.onboarding import Asked, onboard  # builds a detector, so it reads this module

        chosen = Window.parse(window) if isinstance(window, str) else window
        asked = Asked(source, budget or AlarmBudget(), stream_regex, chosen, seed, privacy)
        known_bad = [line.rstrip("\r\n") for line in anomalies]
        return onboard(self.base, in_streams(list(as_records(lines)), stream_regex), known_bad, asked)


def _looked_up(values: Mapping[str, float], templates: Sequence[str]) -> FloatArray:
    return np.array([values.get(template, 0.0) for template in templates], dtype=np.float32)


@lru_cache(maxsize=1)
def _shipped() -> BaseModel:
    return load_base()


@dataclass
class Detector:
    """A base model adapted to and calibrated for one source. Scoring never changes it.

    `support` (n, WIDTH) are features of ordinary lines, which labelled ones are held against; a detector of an earlier
    release has none of them. `onboarded` is the calibration of onboarding where a later one has taken its place.
    """

    base: BaseModel
    source: str
    params: Params
    trusted: bool
    memory: Memory
    calibration: Calibration
    window_calibration: Calibration
    budget: AlarmBudget
    lines_used: int
    span_s: float
    stream_regex: str | None
    seed: int
    version: str = "1"
    window: Window = field(default_factory=Window)
    windows: WindowReference | None = None
    known_anomalies: tuple[str, ...] = ()
    signatures: frozenset[str] = frozenset()
    achieved: Mapping[float, float] = field(default_factory=dict)
    smoothing: float = SMOOTHING
    labels: tuple[Label, ...] = ()
    absorbed: tuple[Absorbed, ...] = ()
    canaries: Canaries = field(default_factory=Canaries)
    support: FloatArray = field(default_factory=lambda: np.zeros((0, WIDTH), np.float16))
    onboarded: Calibration | None = None

    @cached_property
    def level(self) -> AlarmLevel:
        """The alarm level that the budget asks for at this source's rate."""
        timed = self.memory.context.lines_per_second if self.span_s > 0 else None
        return AlarmLevel.of(self.budget, self.calibration, timed, lines_per_alarm=LINES_PER_ALARM)

    @cached_property
    def window_scorer(self) -> WindowScorer | None:
        """What scores whole windows; None where the window is a single line."""
        if self.windows is None:
            return None
        per_second = self.memory.context.lines_per_second * len(self.windows.support) / self.lines_used
        level = AlarmLevel.of(self.budget, self.window_calibration, per_second if self.span_s > 0 else None)
        return WindowScorer(
            self.source, self.window, self.windows, self.window_calibration, level, self.model, self.memory.templates
        )

    @property
    def alarm_at(self) -> float:
        """The raw score at which lines are anomalous."""
        return self.calibration.raw_at(self.level.surprise)

    @property
    def first_calibration(self) -> Calibration:
        """The calibration of onboarding."""
        return self.onboarded or self.calibration

    @property
    def provisional(self) -> bool:
        """Whether the support is too small to promise the alarm budget."""
        return self.level.provisional

    @property
    def model(self) -> ModelId:
        return ModelId(self.base.name, self.source, self.version, self.lines_used)

    def own_scores(self, x: FloatArray) -> FloatArray:
        """What lines score by their features (n, WIDTH), shape (n,): before their stream's recent lines join in.

        Raises:
            ScoreError: a score is not finite.
        """
        raw = net_scores(self.params, self.base.standardised(x))
        if not np.isfinite(raw).all():
            raise ScoreError(f"detector {self.source!r} gave a score that is no number; onboard the source again")
        return raw

    def added(self, templates: Sequence[str]) -> dict[str, FloatArray]:
        """What the words of lines add to their raw scores by themselves, by kind of reason, each of shape (n,).

        A failure signature that is unusual in this source, and resemblance to known anomalies.
        """
        broken = [RAISE if signatures_of(template) & self.signatures else 0.0 for template in templates]
        return {SIGNATURE: np.array(broken, dtype=np.float32), KNOWN: self._likeness(templates)}

    def all_added(self, templates: Sequence[str], x: FloatArray, own: FloatArray) -> FloatArray:
        """What lines' words, and their features (n, WIDTH) in the light of labels, add to raw scores, shape (n,)."""
        different = list(dict.fromkeys(templates))
        more = dict(zip(different, np.sum(list(self.added(different).values()), axis=0).tolist(), strict=True))
        return _looked_up(more, templates) + self.taught(x, own)

    def taught(self, x: FloatArray, own: FloatArray) -> FloatArray:
        """What labelled lines add to raw scores by features (n, WIDTH), shape (n,): see `logmeta.meta.few_shot`.

        `own` are what the lines score by themselves.
        """
        if self.few_shot is None:
            return np.zeros(len(x), dtype=np.float32)
        return self.few_shot.added(self.base.standardised(x), own)

    @cached_property
    def few_shot(self) -> FewShot | None:
        """The inner loop on labelled lines; None without any whose features are known."""
        anomalous, ordinary = features_of(self.labels, anomalous=True), features_of(self.labels, anomalous=False)
        if not (len(anomalous) and len(self.support)):
            return None
        ordinary, standardised = np.concatenate([self.support, ordinary]), self.base.standardised
        return FewShot.of(self.params, standardised(anomalous), standardised(ordinary), self.base.inner)

    @property
    def lowered_by_template(self) -> Mapping[str, float]:
        """By how much lines of templates are lowered that people called ordinary, or that were absorbed."""
        return self._lowered(self.labels)

    def lowered(self, templates: Sequence[str]) -> tuple[FloatArray, FloatArray] | None:
        """By how much lines of these templates are lowered, shape (n,), and how much of that was absorbed, so that
        the lines behind them gain by it, too; None where no template ever is."""
        less = self.lowered_by_template
        if not less:
            return None
        absorbed = self._lowered(())
        return _looked_up(less, templates), _looked_up(absorbed, templates)

    def _lowered(self, labels: tuple[Label, ...]) -> Mapping[str, float]:
        if not (labels or self.absorbed):
            return {}
        return lowered(labels, self.absorbed, self.alarm_at)

    def learn(self, lines: Iterable[str | LogRecord], *, including_alarms: bool = False) -> None:
        """Take later ordinary lines into memory, all or none: what a session that scored them knows, the next begins
        with. What they say and how often becomes ordinary; the calibration and `lines_used` stay as they are.

        Raises:
            InputError: a line is anomalous, and not told to learn alarms too.
        """
        session, records, templates = self.session(), as_records(lines), list[str]()
        while batch := list(itertools.islice(records, BATCH)):
            scored = session.score(in_streams(batch, self.stream_regex))
            odd = next((line for line in scored if line.alarm_id is not None), None)
            if odd is not None and not including_alarms:
                raise InputError(
                    f"line {odd.line_no} alarms ({self.explain(odd)}) and would be ordinary from then on, so nothing "
                    f"was learned; leave it out, or learn including_alarms=True"
                )
            templates += [line.template for line in scored if line.line_no == line.record_line_no]
        self.memory = session.learned(templates)
        for name in ("level", "window_scorer"):  # they are computed once, from the memory as it was
            self.__dict__.pop(name, None)

    def feedback(self, line: ScoredLine, *, anomalous: bool, by: str | None = None) -> Label:
        """Take a person's word on a scored line; undo it with `undo_feedback`.

        "Not an anomaly" lowers lines of the same template by what its labelled lines score beyond the alarm level;
        "was an anomaly" raises lines whose templates resemble it more than anything the support holds, and joins an
        inner loop whose gains are added. A label that contradicts earlier ones of its template withdraws them.

        Args:
            line: as `score` gave it, of this source.
            anomalous: whether it was an anomaly.
            by: who says so.

        Raises:
            UsageError: the line is of another source, or there are 1,000 labels already.
        """
        if line.source != self.source:
            raise UsageError(f"the line is of source {line.source!r}, this detector is of {self.source!r}")
        raw = self.without_labels(line.template, line.raw_score)
        at = datetime.now(UTC).isoformat(timespec="seconds")
        label = Label(line.template, anomalous, raw, by, at, line.features)
        self._label(labelled(self.labels, label))
        return label

    def without_labels(self, template: str, raw_score: float) -> float:
        """What a line of this template would have scored without any label, and nothing absorbed."""
        return raw_score + self.lowered_by_template.get(template, 0.0)

    def undo_feedback(self, number: int) -> Label:
        """Withdraw the label of that number, counted from 1 as in `labels`. Raises UsageError when there is none."""
        rest = without(self.labels, number)
        gone = self.labels[number - 1]
        self._label(rest)
        return gone

    def _label(self, labels: tuple[Label, ...]) -> None:
        self.labels = labels
        self.__dict__.pop("few_shot", None)  # computed once, from the labels as they were

    def _likeness(self, templates: Sequence[str]) -> FloatArray:
        known = (*self.known_anomalies, *(label.template for label in self.labels if label.anomalous))
        if not (known and templates):
            return np.zeros(len(templates), dtype=np.float32)
        vectors, ordinary = self.base.encoders.text.vectors, self.memory.reference.candidates.vectors
        return likeness(vectors(templates), vectors(list(dict.fromkeys(known))), ordinary)

    def score(self, lines: Iterable[str | LogRecord]) -> Iterator[ScoredLine]:
        """Score lines lazily, one result per line, in order; the detector stays as it is."""
        session = self.session()
        records = as_records(lines)
        while batch := list(itertools.islice(records, BATCH)):
            yield from session.score(in_streams(batch, self.stream_regex))

    def score_windows(self, lines: Iterable[str | LogRecord]) -> Iterator[ScoredWindow]:
        """Score whole windows, each as it closes: full, its stream idle, or at the end of the input.

        Raises:
            UsageError: the detector was onboarded without a window.
        """
        if self.windows is None:
            raise UsageError(f"detector {self.source!r} has no windows; onboard it with --window, `session` for one")
        session = self.session()
        records = as_records(lines)
        while batch := list(itertools.islice(records, BATCH)):
            session.score(in_streams(batch, self.stream_regex), explain="none")
            yield from session.closed_windows()
        yield from session.finish()

    def explain(self, line: ScoredLine) -> str:
        """One sentence: why the line was scored as it was."""
        reasons = line.reasons or (Reason("ordinary", "nothing about this line stands out", 1.0),)
        return "; ".join(reason.text for reason in reasons)

    def reader(self) -> EvidenceReader:
        """A reader of later lines: it begins with a copy of the detector's memory and no stream open."""
        return self.memory.reader(self.base.encoders)

    def session(self) -> ScoringSession:
        """An open scoring session: it holds the streams' contexts, so batches may come in pieces."""
        return ScoringSession(self)

    def summary(self) -> dict[str, JsonValue]:
        """What a person should know before trusting this detector."""
        return summary_of(self)

    def warnings(self) -> Iterator[str]:
        """What falls short, each with the way out."""
        return warnings_of(self)

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
