"""What the worker thread knows: the base model, the detectors in use with their open streams, and late lines."""

from __future__ import annotations

import logging
import math
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

from logmeta.drift import Drift
from logmeta.elastic.ecs import verdict
from logmeta.elastic.registry import SharedRegistry
from logmeta.errors import ArtifactError
from logmeta.lineage import Why
from logmeta.records import AlarmBudget, LogRecord, ScoredLine
from logmeta.refresh import refreshed
from logmeta.registry import ANY, Registry, Standing
from logmeta.serve.batching import Lane
from logmeta.serve.candidates import Candidates
from logmeta.serve.documents import Document, Result, skipped_item
from logmeta.serve.journal.book import Event
from logmeta.serve.lastused import LastUsed
from logmeta.serve.learning import Learners
from logmeta.serve.memory import MemoryBound
from logmeta.serve.metrics import Metrics
from logmeta.serve.opened import OpenSource, is_recalibration
from logmeta.serve.responses import Responses
from logmeta.serve.settings import ServeSettings
from logmeta.serve.shadows import Shadows

if TYPE_CHECKING:
    from logmeta.detector import Detector, MetaModel

logger = logging.getLogger(__name__)

BROKEN_RETRY_S = 30.0
LOOK_AT_MEMORY_S = 1.0
SHARE_EVICTED = 0.1
Follower: TypeAlias = "Callable[[OpenSource, Sequence[ScoredLine], Sequence[Drift]], None]"


@dataclass(frozen=True, slots=True)
class OnboardRequest:
    """What `POST /v1/detectors` asks for."""

    source: str
    lines: Sequence[str]
    anomalies: Sequence[str] = ()
    budget_per_day: float | None = None
    stream_regex: str | None = None
    seed: int = 0
    privacy: bool | None = None  # as the scorer is set


class Sources:
    """Scores documents of any source. `score` runs in the worker thread only."""

    def __init__(self, *, settings: ServeSettings, metrics: Metrics) -> None:
        self._settings, self._metrics = settings, metrics
        self.registry = registry_of(settings)
        self.learners = Learners(self._onboard_lines, settings=settings, metrics=metrics)
        self.candidates = Candidates(self.registry, metrics=metrics, tell=self.tell_published)
        self._responses = Responses(self.candidates, default=settings.respond)
        self.shadows = Shadows(self.registry, self.detector, metrics=metrics)
        self._base: MetaModel | None = None
        self._open: OrderedDict[tuple[str, str], OpenSource] = OrderedDict()
        self._broken: dict[tuple[str, str], float] = {}
        self._latest: OrderedDict[tuple[str, str | None], float] = OrderedDict()
        self._last_used = LastUsed(settings.detectors / f"last-used-{settings.name}.json")
        self._memory = MemoryBound(settings.max_memory_mib * 2**20)
        self._looked = 0.0
        self.listeners: list[Callable[[Event], None]] = []  # told of publications, in whichever thread they happen
        self.followers: list[Follower] = []  # told of every scored batch in the worker thread; they must not wait

    def load_base(self) -> None:
        """Read the base model; nothing is scored before."""
        from logmeta.detector import MetaModel  # imported here, off the event loop

        self._base = MetaModel.from_pretrained(self._settings.base)

    def warm(self) -> None:
        """Open the sources that were used last, so that their first lines wait for no detector; before any scoring."""
        known = self._last_used.read() or self.registry.sources()
        for source in known[-min(self._settings.warm, self._settings.max_open) :] if self._settings.warm else []:
            version = self.registry.current(source)
            if version is None:
                continue
            try:
                detector = self._opened(source, version).detector
            except ArtifactError as error:
                self._unusable(source, version, [], error)
                continue
            detector.session().score([LogRecord(1, "")])  # encodes the templates, which every session shares

    def close(self) -> None:
        """Remember which sources were in use; nothing is scored any more."""
        self._last_used.keep(self._in_use, at_once=True)
        self.learners.close()
        self.candidates.close()
        self.shadows.close()

    @property
    def _in_use(self) -> list[str]:
        """The open sources, the latest last; one with a pinned version beside its current one stands there once."""
        return list(dict.fromkeys(source for source, _ in reversed(self._open)))[::-1]

    @property
    def base(self) -> MetaModel:
        if self._base is None:
            raise AssertionError("the base model is loaded before anything is scored")
        return self._base

    def score(self, lane: Lane, documents: Sequence[Document], explain: str) -> list[Result]:
        """One result per document, in order; documents of one lane, in the order in which they came."""
        source, pin = lane
        standing = self.registry.standing(source)
        if standing.disabled:
            return [skipped_item("disabled") for _ in documents]
        version = self.registry.resolve(source, pin)
        if version is None:
            return self._without_detector(source, pin, standing, documents)
        if standing.relearn and pin is None:
            self.learners.learn(source, documents)
        if self._broken.get((source, version), 0.0) > time.monotonic():
            return [skipped_item("detector_unusable") for _ in documents]
        try:
            opened = self._opened(source, version)
        except ArtifactError as error:
            return self._unusable(source, version, documents, error)
        return self._verdicts(opened, documents, explain, standing=Standing(pinned=True) if pin else standing)

    def onboard(self, request: OnboardRequest) -> Future[Result]:
        """Make and publish a detector in the onboarding thread. Raises QueueFullError when too many wait."""
        return self.learners.submit(partial(self._onboard, request))

    def detector(self, source: str, version: str | None = None) -> Detector:
        """A version of a source's detector (default: the current one), for any thread; read when it is not open.

        Raises:
            UsageError: there is none.
            ArtifactError: it is damaged.
        """
        version = version or self.registry.current(source)
        opened = self._open.get((source, version or ""))
        return opened.detector if opened else self.registry.load(source, version, base=self.base)

    def describe(self, source: str) -> Result:
        """A source's versions and what its current detector says of itself. Raises UsageError or ArtifactError."""
        detector = self.registry.load(source, base=self.base)
        lineage = [info.to_dict() for info in self.registry.lineage(source)]
        return {**self.entry(source), "summary": detector.summary(), "lineage": list(lineage)}

    def entry(self, source: str) -> Result:
        """A source's place in the list of detectors."""
        current = self.registry.current(source)
        opened = self._open.get((source, current or ""))
        return {
            "source": source,
            "current": current,
            "versions": list(self.registry.versions(source)),
            "standing": self.registry.standing(source).to_dict(),
            "learning_lines": self.learners.lines_of(source),
            "open": opened is not None,
            "alarms_per_day": opened.alarms_per_day if opened else None,
            "drift": opened.drift.latest.to_dict() if opened else None,
            "summary": opened.detector.summary() if opened else None,
            "shadow": self.shadows.of(source),
            "trying": self.candidates.is_trying(source),
        }

    def entries(self) -> list[Result]:
        """All of `known` as `entry` shows them."""
        return [self.entry(source) for source in self.known()]

    def known(self) -> list[str]:
        """Every source that has a detector, a decision or first lines here."""
        return sorted({*self.registry.sources(), *self.learners.collected()})

    def _without_detector(
        self, source: str, pin: str | None, standing: Standing, documents: Sequence[Document]
    ) -> list[Result]:
        if pin is not None:
            return [skipped_item("unknown_version") for _ in documents]
        if standing.waiting is not None:
            return [skipped_item("awaiting_approval") for _ in documents]
        if self._settings.onboarding == "off":
            return [skipped_item("unknown_source") for _ in documents]
        if self.learners.lines_of(source) is None and self.registry.count() >= self._settings.max_sources:
            return [skipped_item("too_many_sources") for _ in documents]
        return self.learners.learn(source, documents)

    def _opened(self, source: str, version: str) -> OpenSource:
        opened = self._open.get((source, version))
        if opened is None:
            detector = self.registry.load(source, version, base=self.base)
            opened = self._recalibrated(detector) or self._fresh(detector)
            self._open[source, version] = opened
            self._last_used.keep(self._in_use)
        self._open.move_to_end((source, version))
        self._evict(len(self._open) - self._settings.max_open, "session")
        self._keep_within_memory()
        self._metrics.sessions.set(len(self._open))
        return opened

    def _fresh(self, detector: Detector) -> OpenSource:
        return OpenSource.of(detector, refresh_at=self._settings.refresh_lines)

    def _recalibrated(self, detector: Detector) -> OpenSource | None:
        """The open source of a version that differs from this one in its calibration only: its streams go on."""
        for key, opened in self._open.items():
            if key[0] == detector.source and is_recalibration(detector, of=opened.detector):
                opened.use(detector)
                return self._open.pop(key)
        return None

    def _wants_refresh(self, opened: OpenSource) -> bool:
        return self._settings.refresh_lines > 0 and opened.quiet.fresh >= opened.refresh_at

    def _keep_within_memory(self) -> None:
        """Close a tenth of the sources, those unused for longest, while the process is too large."""
        now = time.monotonic()
        if now - self._looked < LOOK_AT_MEMORY_S:
            return
        self._looked = now
        if self._memory.is_reached():
            self._evict(min(len(self._open) - 1, math.ceil(SHARE_EVICTED * len(self._open))), "memory")

    def _evict(self, count: int, kind: str) -> None:
        for _ in range(count):
            self._open.popitem(last=False)
            self._metrics.evictions.labels(kind).inc()

    def _unusable(self, source: str, version: str, documents: Sequence[Document], error: ArtifactError) -> list[Result]:
        logger.error("source %r cannot be scored: %s", source, error, extra={"event.action": "detector-unusable"})
        now = time.monotonic()
        self._broken = {key: until for key, until in self._broken.items() if until > now}
        self._broken[source, version] = now + BROKEN_RETRY_S
        return [skipped_item("detector_unusable") for _ in documents]

    def _verdicts(
        self, opened: OpenSource, documents: Sequence[Document], explain: str, *, standing: Standing
    ) -> list[Result]:
        start = time.perf_counter()
        records = [document.to_record(opened.lines + i) for i, document in enumerate(documents, 1)]
        lines = opened.session.score(records, explain=explain)
        changes = opened.see(lines)
        self._tell(opened, lines, changes)
        self.shadows.follow(opened, standing.shadow, records, lines)
        self._keep_right(opened, standing, changes)
        self._take_what_waits(opened)
        asked = opened.detector.budget.per_day
        self._metrics.alarm_rate(opened.detector.source, asked=asked, achieved=opened.alarms_per_day)
        took_ms = 1000 * (time.perf_counter() - start) / max(1, len(documents))
        return [
            verdict(line, took_ms=took_ms, status="late" if self._is_late(document) else "scored")
            for document, line in zip(documents, lines, strict=True)
        ]

    def _keep_right(self, opened: OpenSource, standing: Standing, changes: Sequence[Drift]) -> None:
        """Offer versions that time asks for; scoring goes on with the present one until one is published."""
        if self._wants_refresh(opened) and not standing.pinned:
            self._refresh(opened)
        self._responses.respond(opened, standing, changes)

    def _tell(self, opened: OpenSource, lines: Sequence[ScoredLine], changes: Sequence[Drift]) -> None:
        for change in changes:
            self._metrics.drifted(opened.detector.source, change.kind)
            told = (opened.detector.source, change.kind, "; ".join(change.evidence))
            logger.info("source %r, drift: %s: %s", *told, extra={"event.action": "drift"})
        for follower in self.followers:
            follower(opened, lines, changes)

    def _take_what_waits(self, opened: OpenSource) -> None:
        """Nobody reads windows or incidents here: left in the session they would grow to ten thousand a source."""
        opened.session.closed_windows()
        opened.session.incident_updates()
        evicted = opened.session.evicted_streams
        self._metrics.evictions.labels("stream").inc(evicted - opened.streams_evicted)
        opened.streams_evicted = evicted

    def _refresh(self, opened: OpenSource) -> None:
        """Offer the detector calibrated on its source's quiet lines, each time there are twice as many of them."""
        opened.refresh_at = 2 * opened.quiet.fresh
        found = refreshed(opened.detector, opened.quiet)
        if found is None:
            self._metrics.refreshes.labels("refused").inc()
            return
        text = f"calibrated anew on {len(opened.quiet.scores)} quiet lines"
        self.candidates.offer(opened.detector, found, why="refreshed", text=text)

    def _is_late(self, document: Document) -> bool:
        """Whether a line came long after a later line of its stream; such lines are scored, and told apart."""
        if document.timestamp is None:
            return False
        key = (document.source, document.stream)
        latest = self._latest.pop(key, document.timestamp)
        self._latest[key] = max(latest, document.timestamp)
        if len(self._latest) > self._settings.max_late_streams:
            self._latest.popitem(last=False)
            self._metrics.evictions.labels("late_stream").inc()
        return latest - document.timestamp > self._settings.late_after_s

    def _onboard_lines(self, source: str, lines: Sequence[str]) -> Result:
        """What a learning source's first lines make; another scorer may have been faster."""
        waiting = self._settings.onboarding == "approve"
        return self._onboard(OnboardRequest(source, lines), instead_of=self.registry.current(source), waiting=waiting)

    def _onboard(self, request: OnboardRequest, *, instead_of: str | None = ANY, waiting: bool = False) -> Result:
        budget = AlarmBudget(per_day=request.budget_per_day) if request.budget_per_day else None
        detector = self.base.onboard(
            request.lines,
            source=request.source,
            budget=budget,
            anomalies=request.anomalies,
            stream_regex=request.stream_regex,
            seed=request.seed,
            privacy=self._settings.privacy if request.privacy is None else request.privacy,
        )
        why: Why = "onboarded" if self.registry.current(request.source) is None else "relearned"
        version = self.registry.publish(detector, instead_of=instead_of, waiting=waiting, why=why)
        made = f"{why} from {detector.lines_used} lines{', waits for approval' if waiting else ''}"
        self.tell_published(request.source, version, made, why)
        return {"source": request.source, "version": version, "summary": detector.summary()}

    def tell_published(self, source: str, version: str, text: str, why: str) -> None:
        """Tell listeners of a version; `why` is as in its lineage."""
        event = Event("published", source, f"version {version}: {text}", details={"version": version, "why": why})
        for listener in self.listeners:
            listener(event)


def registry_of(settings: ServeSettings) -> Registry:
    """The folder, or the folder as the mirror of a shared registry."""
    if settings.shared is None:
        return Registry(settings.detectors, keep=settings.keep_versions)
    return SharedRegistry(settings.detectors, settings.shared, index=settings.shared_index, keep=settings.keep_versions)
