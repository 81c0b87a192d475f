"""What the scorer counts, for Prometheus. The labels of sources are bounded."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from logmeta.serve.documents import Document, Result

OTHER = "_other"
_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


class Metrics:
    """Counters of one scorer process in a registry of its own."""

    def __init__(self, *, max_source_labels: int) -> None:
        self._max_labels = max_source_labels
        self._labels: set[str] = set()
        self.registry = CollectorRegistry()
        documents = "Documents answered, by source and status."
        self.documents = Counter("logmeta_documents", documents, ["source", "status"], registry=self.registry)
        self.skipped = self._counter("skipped", "Documents without a verdict.", "reason")
        self.alarms = self._counter("alarms", "Alarms raised.", "source")
        self.onboardings = self._counter("onboardings", "Detectors made, by outcome.", "outcome")
        self.refreshes = self._counter("refreshes", "Calibrations renewed from quiet lines, or refused.", "outcome")
        self.evictions = self._counter("evictions", "Things dropped because a bound was reached.", "kind")
        self.rejected = self._counter("rejected_requests", "Requests refused as a whole.", "reason")
        self.flags = self._counter("flags", "Documents taken with something wrong in them.", "flag")
        self.failures = self._counter("scoring_failures", "Batches a detector failed on.", "type")
        self.batch_seconds = Histogram(
            "logmeta_batch_seconds", "Time to score one batch.", registry=self.registry, buckets=_BUCKETS
        )
        self.alarms_per_day = Gauge(
            "logmeta_alarms_per_day",
            "The alarm budget asked for, and what was achieved at the source's usual rate of lines.",
            ["source", "of"],
            registry=self.registry,
        )
        self.waiting = self._gauge("queue_documents", "Documents that wait for the worker.")
        self.sessions = self._gauge("open_sources", "Detectors loaded with open streams.")
        self.registry_up = self._gauge("registry_up", "Whether the shared registry answered last time.")
        self.registry_changes = Counter(
            "logmeta_registry_changes", "Sources taken over from the shared registry.", registry=self.registry
        )
        self.learning = self._gauge("learning_sources", "Sources whose first lines are being collected.")

    def alarm_rate(self, source: str, *, asked: float, achieved: float) -> None:
        """Alarms a day: the budget, and what a source's open detector has raised so far."""
        label = self.source_label(source)
        self.alarms_per_day.labels(label, "asked").set(asked)
        self.alarms_per_day.labels(label, "achieved").set(achieved)

    def count(self, item: Document | Result, result: Result) -> None:
        """One answered item; one that was no document counts under no source."""
        source, flags = (item.source, item.flags) if isinstance(item, Document) else ("", ())
        for flag in flags:
            self.flags.labels(flag).inc()
        label, status = self.source_label(source), str(result.get("status", "error"))
        self.documents.labels(label, status).inc()
        if status == "skipped":
            self.skipped.labels(str(result["reason"])).inc()
        if result.get("alarm"):
            self.alarms.labels(label).inc()

    def source_label(self, source: str) -> str:
        """The source itself for the first sources met, one shared label for all later ones."""
        if source not in self._labels and len(self._labels) < self._max_labels:
            self._labels.add(source)
        return source if source in self._labels else OTHER

    def render(self) -> bytes:
        return generate_latest(self.registry)

    def _counter(self, name: str, words: str, label: str) -> Counter:
        return Counter(f"logmeta_{name}", words, [label], registry=self.registry)

    def _gauge(self, name: str, words: str) -> Gauge:
        return Gauge(f"logmeta_{name}", words, registry=self.registry)
