"""Sources nobody onboarded: their first lines are kept until they make a detector."""

from __future__ import annotations

import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from threading import Lock
from typing import TypeAlias

from logmeta.errors import BackendError, LogmetaError
from logmeta.registry import SupersededError
from logmeta.serve.batching import QueueFullError
from logmeta.serve.documents import Document, Result, skipped_item
from logmeta.serve.metrics import Metrics
from logmeta.serve.settings import ServeSettings

logger = logging.getLogger(__name__)

BACKEND_RETRY_S = 15.0
Onboarding: TypeAlias = "Callable[[str, Sequence[str]], Result]"


@dataclass(slots=True)
class Learning:
    """The first lines of one source. `failed_until` is set when they made no detector, `waits_until` when they did
    and it could not be published: then they are kept."""

    lines: list[str] = field(default_factory=list)
    size: int = 0
    seen_at: float = 0.0
    failed_until: float = 0.0
    waits_until: float = 0.0
    onboarding: bool = False

    def add(self, documents: Sequence[Document], settings: ServeSettings) -> bool:
        """Keep what fits; True when there are lines enough, or no room for more."""
        for document in documents:
            if self._is_full(settings):
                break
            self.lines.append(document.message)
            self.size += document.size
        return self._is_full(settings)

    def put_off(self, *, keeping: bool, settings: ServeSettings) -> None:
        """Try again later: with these lines when only the registry was down, else with fresh ones."""
        self.onboarding = False
        if keeping:
            self.waits_until = time.monotonic() + BACKEND_RETRY_S
        else:
            self.failed_until = time.monotonic() + settings.learn_retry_s
            self.lines, self.size = [], 0

    def _is_full(self, settings: ServeSettings) -> bool:
        return len(self.lines) >= settings.learn_lines or self.size >= settings.learn_bytes


class Learners:
    """All sources that learn, bounded, and the one thread that onboards."""

    def __init__(self, onboard: Onboarding, *, settings: ServeSettings, metrics: Metrics) -> None:
        self._onboard, self._settings, self._metrics = onboard, settings, metrics
        self._learning: OrderedDict[str, Learning] = OrderedDict()
        self._lock = Lock()
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="logmeta-onboard")
        self._queued = 0

    def learn(self, source: str, documents: Sequence[Document]) -> list[Result]:
        """Take the documents as first lines of their source, or say why not."""
        now = time.monotonic()
        with self._lock:
            learning = self._entry(source, now)
            if learning is None:
                return [skipped_item("too_many_sources") for _ in documents]
            if learning.failed_until > now:
                return [skipped_item("unknown_source") for _ in documents]
            wanted = not learning.onboarding and learning.waits_until <= now
            start = wanted and learning.add(documents, self._settings)
        if start:
            self._start(source, learning)
        return [{"status": "learning", "source": source} for _ in documents]

    def collected(self) -> dict[str, int]:
        """How many first lines each learning source has by now."""
        with self._lock:
            return {source: len(learning.lines) for source, learning in self._learning.items()}

    def lines_of(self, source: str) -> int | None:
        """How many a source has by now, None when it does not learn."""
        with self._lock:
            learning = self._learning.get(source)
        return None if learning is None else len(learning.lines)

    def submit(self, task: Callable[[], Result]) -> Future[Result]:
        """Run an onboarding in its turn. Raises QueueFullError when too many already wait."""
        with self._lock:
            if self._queued >= self._settings.max_onboarding:
                raise QueueFullError
            self._queued += 1
        future = self._pool.submit(task)
        future.add_done_callback(self._count)
        return future

    def close(self) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _entry(self, source: str, now: float) -> Learning | None:
        """The source's lines; room for a new source is made by forgetting one that fell silent."""
        learning = self._learning.pop(source, None)
        if learning is None and len(self._learning) >= self._settings.max_learning and not self._forget_idle(now):
            return None
        learning = learning or Learning()
        if 0 < learning.failed_until <= now:
            learning = Learning()  # another try with fresh lines
        learning.seen_at = now
        self._learning[source] = learning
        self._metrics.learning.set(len(self._learning))
        return learning

    def _forget_idle(self, now: float) -> bool:
        oldest = next(iter(self._learning))
        if now - self._learning[oldest].seen_at < self._settings.learn_retry_s:
            return False
        del self._learning[oldest]
        self._metrics.evictions.labels("learning").inc()
        return True

    def _start(self, source: str, learning: Learning) -> None:
        try:
            future = self.submit(partial(self._onboard, source, tuple(learning.lines)))
        except QueueFullError:
            return  # tried again with the source's next document
        learning.onboarding = True
        future.add_done_callback(partial(self._finish, source, learning))

    def _finish(self, source: str, learning: Learning, future: Future[Result]) -> None:
        error = None if future.cancelled() else future.exception()
        with self._lock:
            if error is None or isinstance(error, SupersededError):  # or another scorer was faster
                self._learning.pop(source, None)
                self._metrics.learning.set(len(self._learning))
                return
            learning.put_off(keeping=isinstance(error, BackendError), settings=self._settings)
        trace = None if isinstance(error, LogmetaError) else error
        why = error if isinstance(error, LogmetaError) else type(error).__name__  # others' words may quote a line
        action = {"event.action": "onboard"}
        logger.error("source %r could not be onboarded: %s", source, why, exc_info=trace, extra=action)

    def _count(self, future: Future[Result]) -> None:
        with self._lock:
            self._queued -= 1
        failed = future.cancelled() or future.exception() is not None
        self._metrics.onboardings.labels("failed" if failed else "done").inc()
