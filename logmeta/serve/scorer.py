"""What the routes share: settings, counters, sources, and the worker in front of them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeAlias

from logmeta.elastic.registry import SharedRegistry
from logmeta.errors import LogmetaError
from logmeta.serve.batching import Job, Lane, Worker
from logmeta.serve.delivery.deliverer import Deliverer
from logmeta.serve.delivery.kept import Kept
from logmeta.serve.documents import Document, Result, error_item
from logmeta.serve.journal.reader import JournalReader
from logmeta.serve.journal.writer import Journal
from logmeta.serve.metrics import Metrics
from logmeta.serve.mirror import Mirror
from logmeta.serve.settings import ServeSettings
from logmeta.serve.sources import Sources

logger = logging.getLogger(__name__)

Items: TypeAlias = "Sequence[Document | Result]"


class Scorer:
    """One scorer process behind its routes. It is `loaded` when it can score, and `ready` until it is told to end."""

    def __init__(self, settings: ServeSettings) -> None:
        self.settings = settings
        self.metrics = Metrics(max_source_labels=settings.max_source_labels)
        self.sources = Sources(settings=settings, metrics=self.metrics)
        self.journal = Journal(settings.detectors / f"journal-{settings.name}.sqlite", metrics=self.metrics)
        self.history = JournalReader(self.journal.path)
        self.sources.followers.append(self.journal.follow)
        self.sources.listeners.append(self.journal.note)
        self.mirror = self._mirror()
        self.deliverer = self._deliverer()
        self.worker = Worker(
            self._score_batch,
            self.metrics.queue.observe,
            max_documents=settings.max_waiting_documents,
            max_bytes=settings.max_waiting_bytes,
            max_batch=settings.max_batch_documents,
        )
        self.metrics.waiting.set_function(lambda: self.worker.waiting_documents)
        self.metrics.max_waiting.set(settings.max_waiting_documents)
        self.metrics.waiting_bytes.set_function(lambda: self.worker.waiting_bytes)
        self._loader = ThreadPoolExecutor(max_workers=1, thread_name_prefix="logmeta-load")
        self.loading: Future[None] | None = None
        self.is_ending = False
        self.reading_bytes = self.cut_off = 0

    def _mirror(self) -> Mirror | None:
        registry = self.sources.registry
        if not isinstance(registry, SharedRegistry):
            return None
        return Mirror(registry, every_s=self.settings.shared_every_s, metrics=self.metrics)

    def _deliverer(self) -> Deliverer | None:
        if self.settings.webhook is None:
            return None
        kept = Kept(self.settings.detectors / f"webhook-{self.settings.name}.json")
        deliverer = Deliverer(self.settings.webhook, self.metrics, kept=kept)
        self.sources.followers.append(deliverer.follow)
        return deliverer

    @property
    def loaded(self) -> bool:
        return self.loading is not None and self.loading.done() and _error(self.loading) is None

    @property
    def state(self) -> str:
        """`ready`, or why not: `loading` or `ending`."""
        return "ending" if self.is_ending else "ready" if self.loaded else "loading"

    def start(self, *, on_failure: Callable[[], None]) -> None:
        """Load models beside the event loop, so that `/healthz` answers at once."""
        self.journal.start()
        if self.deliverer is not None:
            self.deliverer.start()
        self.loading = self._loader.submit(self._load)
        self.loading.add_done_callback(lambda loading: on_failure() if _error(loading) else None)

    def close(self) -> None:
        if self.mirror is not None:
            self.mirror.close()
        self._loader.shutdown(wait=True, cancel_futures=True)
        self.worker.close()
        self.sources.close()
        self.journal.close()
        if self.deliverer is not None:
            self.deliverer.close()

    async def results(self, items: Items, *, explain: str) -> list[Result]:
        """One result per item, in order. Raises QueueFullError when the documents cannot wait here."""
        places = _by_lane(items)
        jobs = [Job(lane, [d for _, d in placed], explain) for lane, placed in places.items()]
        self.worker.submit(jobs)
        scored = await asyncio.gather(*(asyncio.wrap_future(job.done) for job in jobs), return_exceptions=True)
        results = [item if isinstance(item, dict) else {} for item in items]
        for placed, outcome in zip(places.values(), scored, strict=True):
            for (place, _), result in zip(placed, self._results_of(outcome, len(placed)), strict=True):
                results[place] = result
        return results

    def _load(self) -> None:
        if self.mirror is not None:
            self.mirror.start()
        self.sources.load_base()
        self.sources.warm()

    def _results_of(self, outcome: list[Result] | BaseException, size: int) -> list[Result]:
        """The results of a lane; a detector that failed costs its own documents a verdict and nobody else's."""
        if isinstance(outcome, list):
            return outcome
        kind = outcome.kind if isinstance(outcome, LogmetaError) else "internal"
        action = {"event.action": "score"}
        logger.error("a batch of %d documents failed", size, exc_info=outcome, extra=action)
        self.metrics.failures.labels(kind).inc()
        return [error_item(kind, str(outcome) or type(outcome).__name__) for _ in range(size)]

    def _score_batch(self, lane: Lane, documents: Sequence[Document], explain: str) -> list[Result]:
        self.metrics.batch_documents.observe(len(documents))
        with self.metrics.score.time():
            return self.sources.score(lane, documents, explain)


def _by_lane(items: Items) -> dict[Lane, list[tuple[int, Document]]]:
    lanes: dict[Lane, list[tuple[int, Document]]] = {}
    for place, item in enumerate(items):
        if isinstance(item, Document):
            lanes.setdefault((item.source, item.detector_version), []).append((place, item))
    return lanes


def _error(loading: Future[None]) -> BaseException | None:
    """Why nothing was loaded, if so."""
    return asyncio.CancelledError() if loading.cancelled() else loading.exception()
