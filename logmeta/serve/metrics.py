"""What the scorer counts, for Prometheus. The labels of sources are bounded. docs/metrics.md explains each."""

from __future__ import annotations

import math
from collections import Counter as Tally
from collections.abc import Sequence
from typing import Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)

from logmeta.serve.documents import Document, Result

OTHER: Final = "_other"
STAGES: Final = ("parse", "queue", "score", "serialise")
DELIVERIES: Final = ("delivered", "failed", "refused", "duplicate", "repeated", "rate_limited", "dropped")
DRIFTS: Final = ("none", "gradual", "deploy", "incident")
_SECONDS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_SIZES: Final = (1, 4, 16, 64, 128, 256, 512, 1024, 2048, 4096)

disable_created_metrics()  # type: ignore[no-untyped-call]  # it has no types; the series would double


class Metrics:
    """Counters of one scorer process in a registry of its own."""

    def __init__(self, *, max_source_labels: int) -> None:
        self._max_labels = max_source_labels
        self._labels: set[str] = set()
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.documents = self._counter("documents", "Documents answered, by source and status.", "source", "status")
        self.skipped = self._counter("skipped", "Documents without a verdict.", "reason")
        self.alarms = self._counter("alarms", "Alarms raised.", "source")
        self.onboardings = self._counter("onboardings", "Detectors made, by outcome.", "outcome")
        self.refreshes = self._counter("refreshes", "Versions made by the scorer itself, or refused.", "outcome")
        for outcome in ("published", "refused"):
            self.refreshes.labels(outcome)
        self.shadow_lines = self._counter("shadow_lines", "Lines a shadow scored, or that came too fast.", "outcome")
        self.shadows = self._gauge("shadows", "Versions that are tried beside those in use.")
        self.drift_changes = self._counter("drift_changes", "What a source turned into.", "source", "kind")
        self.evictions = self._counter("evictions", "Things dropped because a bound was reached.", "kind")
        self.journal_lost = self._counter("journal_lost", "Batches and events not in the journal.", "reason")
        self.rejected = self._counter("rejected_requests", "Requests refused as a whole.", "reason")
        self.flags = self._counter("flags", "Documents taken with something wrong in them.", "flag")
        self.failures = self._counter("scoring_failures", "Batches a detector failed on.", "type")
        self.last_seen = Gauge(
            "logmeta_source_last_seen_timestamp_seconds",
            "When documents of a source came last.",
            ["source"],
            registry=self.registry,
        )
        self.alarms_per_day = Gauge(
            "logmeta_alarms_per_day",
            "The alarm budget asked for, and what was achieved at the source's usual rate of lines.",
            ["source", "of"],
            registry=self.registry,
        )
        self._add_timings()
        self._add_deliveries()
        self.waiting = self._gauge("queue_documents", "Documents that wait for the worker.")
        self.waiting_bytes = self._gauge("queue_bytes", "Bytes of the documents that wait for the worker.")
        self.max_waiting = self._gauge("queue_max_documents", "How many documents may wait for the worker.")
        self.sessions = self._gauge("open_sources", "Detectors loaded with open streams.")
        self.registry_up = self._gauge("registry_up", "Whether the shared registry answered last time; NaN without.")
        self.registry_up.set(math.nan)
        self.registry_changes = Counter(
            "logmeta_registry_changes", "Sources taken over from the shared registry.", registry=self.registry
        )
        self.learning = self._gauge("learning_sources", "Sources whose first lines are being collected.")
        self.connections = self._gauge("connections", "Open connections.")

    def _add_timings(self) -> None:
        stages = self._histogram("stage_seconds", "Time of one request or batch in a stage.", _SECONDS, "stage")
        self.parse, self.queue, self.score, self.serialise = (stages.labels(stage) for stage in STAGES)
        self.request_seconds = self._histogram(
            "request_seconds", "Time from a request's head to its answer.", _SECONDS, "route"
        )
        self.request_documents = self._histogram("request_documents", "Documents in a request.", _SIZES)
        self.batch_documents = self._histogram("batch_documents", "Documents scored together.", _SIZES)

    def _add_deliveries(self) -> None:
        self.webhook_deliveries = self._counter("webhook_deliveries", "Messages for the webhook.", "outcome")
        for outcome in DELIVERIES:
            self.webhook_deliveries.labels(outcome)
        self.webhook_waiting = self._gauge("webhook_waiting", "Messages that wait for the webhook.")
        self.webhook_last_success = self._gauge(
            "webhook_last_success_timestamp_seconds", "When the webhook took a message last; 0 before the first."
        )

    def alarm_rate(self, source: str, *, asked: float, achieved: float) -> None:
        """Alarms a day: the budget, and what a source's open detector has raised so far; rates of many have no sum."""
        if (label := self.source_label(source)) == OTHER:
            return
        self.alarms_per_day.labels(label, "asked").set(asked)
        self.alarms_per_day.labels(label, "achieved").set(achieved)

    def drifted(self, source: str, kind: str) -> None:
        """A source's drift is of another kind now."""
        self.drift_changes.labels(self.source_label(source), kind).inc()

    def count(self, items: Sequence[Document | Result], results: Sequence[Result]) -> None:
        """The items of an answered request; one that was no document counts under no source."""
        sources = [item.source if isinstance(item, Document) else "" for item in items]
        statuses = Tally((s, str(r.get("status", "error"))) for s, r in zip(sources, results, strict=True))
        for (source, status), count in statuses.items():
            self.documents.labels(self.source_label(source), status).inc(count)
        self._see(set(sources) - {""})
        for source in [s for s, result in zip(sources, results, strict=True) if result.get("alarm")]:
            self.alarms.labels(self.source_label(source)).inc()
        for reason in [result["reason"] for result in results if result.get("status") == "skipped"]:
            self.skipped.labels(str(reason)).inc()
        for flag in [flag for item in items if isinstance(item, Document) for flag in item.flags]:
            self.flags.labels(flag).inc()
        self.request_documents.observe(len(items))

    def source_label(self, source: str) -> str:
        """The source itself for the first sources met, one shared label for all later ones."""
        if source not in self._labels and len(self._labels) < self._max_labels:
            self._labels.add(source)
            self._begin(source)
        return source if source in self._labels else OTHER

    def _begin(self, source: str) -> None:
        """Counters that alerts look at begin at 0: Prometheus sees no increase in a series whose first value is 1."""
        self.alarms.labels(source)
        for kind in DRIFTS:
            self.drift_changes.labels(source, kind)

    def _see(self, sources: set[str]) -> None:
        for label in {self.source_label(source) for source in sources} - {OTHER}:
            self.last_seen.labels(label).set_to_current_time()

    def render(self) -> bytes:
        return generate_latest(self.registry)

    def _counter(self, name: str, words: str, *labels: str) -> Counter:
        return Counter(f"logmeta_{name}", words, labels, registry=self.registry)

    def _gauge(self, name: str, words: str) -> Gauge:
        return Gauge(f"logmeta_{name}", words, registry=self.registry)

    def _histogram(self, name: str, words: str, buckets: Sequence[float], *labels: str) -> Histogram:
        return Histogram(f"logmeta_{name}", words, labels, registry=self.registry, buckets=buckets)
