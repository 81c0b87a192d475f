"""Versions that the scorer makes by itself: published beside scoring, when the guard finds them no worse."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from threading import Lock
from typing import TYPE_CHECKING, Final, TypeAlias

from logmeta.errors import ArtifactError, BackendError, LogmetaError
from logmeta.lineage import Why
from logmeta.registry import Registry, SupersededError
from logmeta.regression import RegressionError, check_candidate
from logmeta.serve.metrics import Metrics

if TYPE_CHECKING:
    from logmeta.detector import Detector

logger = logging.getLogger(__name__)

MAX_WAITING: Final = 100
Tell: TypeAlias = "Callable[[str, str, str, str], None]"


class Candidates:
    """One thread that tries candidates on canary lines and publishes them. Scoring finds a new version as it finds
    any other: with its source's next lines."""

    def __init__(self, registry: Registry, *, metrics: Metrics, tell: Tell) -> None:
        self._registry, self._metrics, self._tell = registry, metrics, tell
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="logmeta-candidates")
        self._lock = Lock()
        self._waiting: Counter[str] = Counter()

    def offer(self, current: Detector, candidate: Detector, *, why: Why, text: str) -> bool:
        """Publish in its turn what was made from the current version; False when too many wait."""
        return self._submit(candidate.source, partial(self._publish, current, candidate, why, text))

    def relearn(self, source: str) -> bool:
        """Ask for a new version from the source's next lines; False when too much waits."""
        return self._submit(source, lambda: self._ask_to_relearn(source))

    def is_trying(self, source: str) -> bool:
        """Whether a version of the source waits to be tried, or is being tried."""
        with self._lock:
            return self._waiting[source] > 0

    def close(self) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _submit(self, source: str, task: Callable[[], None]) -> bool:
        with self._lock:
            if self._waiting.total() >= MAX_WAITING:
                self._metrics.refreshes.labels("put_off").inc()
                return False
            self._waiting[source] += 1
        self._pool.submit(task).add_done_callback(partial(self._finish, source))
        return True

    def _ask_to_relearn(self, source: str) -> None:
        self._registry.decide(source, relearn=True)

    def _publish(self, current: Detector, candidate: Detector, why: Why, text: str) -> None:
        check_candidate(current, candidate)
        version = self._registry.publish(candidate, instead_of=current.version, why=why)
        self._metrics.refreshes.labels("published").inc()
        self._tell(candidate.source, version, text, why)

    def _finish(self, source: str, future: Future[None]) -> None:
        with self._lock:
            self._waiting[source] -= 1
            self._waiting += Counter()  # forgets sources that wait no longer
        error = None if future.cancelled() else future.exception()
        if error is None or isinstance(error, SupersededError):  # the next batch finds the version that came in between
            return
        self._metrics.refreshes.labels("refused" if isinstance(error, RegressionError) else "failed").inc()
        trace = None if isinstance(error, (ArtifactError, BackendError, RegressionError)) else error
        why = error if isinstance(error, LogmetaError) else type(error).__name__  # others' words may quote a line
        logger.error("source %r keeps its version: %s", source, why, exc_info=trace, extra={"event.action": "refresh"})
