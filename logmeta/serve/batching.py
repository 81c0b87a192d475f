"""A bounded line of waiting documents in front of one worker thread.

Documents of one lane (a source and pinned version) are scored in the order in which they came. While the
worker is busy, later requests of a lane join into one batch.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from threading import Lock
from typing import TypeAlias

from logmeta.serve.documents import Document, Result

Lane: TypeAlias = "tuple[str, str | None]"
Score: TypeAlias = "Callable[[Lane, Sequence[Document], str], list[Result]]"
Waited: TypeAlias = "Callable[[float], None]"


class QueueFullError(Exception):
    """The documents cannot wait here now; the caller may try again in a second."""


@dataclass(slots=True)
class Job:
    """The documents of one request and lane, and the promise of their results in order."""

    lane: Lane
    documents: Sequence[Document]
    explain: str
    done: Future[list[Result]] = field(default_factory=Future)
    since: float = field(default_factory=time.perf_counter)

    @property
    def size(self) -> int:
        return sum(document.size for document in self.documents)


class Worker:
    """One thread that scores; `submit` never waits. `waited` is told the seconds each job stood in the queue."""

    def __init__(self, score: Score, waited: Waited, *, max_documents: int, max_bytes: int, max_batch: int) -> None:
        self._score, self._waited = score, waited
        self._max_documents, self._max_bytes, self._max_batch = max_documents, max_bytes, max_batch
        self._lanes: dict[Lane, deque[Job]] = {}
        self._lock = Lock()
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="logmeta-score")
        self.waiting_documents = 0
        self.waiting_bytes = 0

    def submit(self, jobs: Sequence[Job]) -> None:
        """Queue the jobs of one request, all or none.

        Raises:
            QueueFullError: they do not fit beside what already waits.
        """
        with self._lock:
            self._reserve(sum(len(job.documents) for job in jobs), sum(job.size for job in jobs))
            for job in jobs:
                self._lanes.setdefault(job.lane, deque()).append(job)
        for job in jobs:
            batch: list[Job] = []
            task = self._pool.submit(self._score_waiting, job.lane, batch)
            task.add_done_callback(partial(self._settle, batch))

    def close(self) -> None:
        """Stop after the batch in work; what still waits is cancelled."""
        self._pool.shutdown(wait=True, cancel_futures=True)
        for job in (job for jobs in self._lanes.values() for job in jobs):
            job.done.cancel()

    def _reserve(self, documents: int, size: int) -> None:
        over = self.waiting_documents + documents > self._max_documents or self.waiting_bytes + size > self._max_bytes
        if over and self.waiting_documents:
            raise QueueFullError
        self.waiting_documents += documents
        self.waiting_bytes += size

    def _score_waiting(self, lane: Lane, batch: list[Job]) -> list[Result]:
        batch += self._take(lane)
        if not batch:
            return []  # an earlier batch took the job this call was meant for
        now = time.perf_counter()
        for job in batch:
            self._waited(now - job.since)
        return self._score(lane, [document for job in batch for document in job.documents], batch[0].explain)

    def _take(self, lane: Lane) -> list[Job]:
        """The lane's first jobs that want the same explanation, up to the batch bound (always at least one)."""
        taken: list[Job] = []
        size = 0
        with self._lock:
            jobs = self._lanes.get(lane, deque())
            while jobs and (not taken or self._joins(taken[0], size, jobs[0])):
                size += len(jobs[0].documents)
                taken.append(jobs.popleft())
            if not jobs:
                self._lanes.pop(lane, None)
        return taken

    def _joins(self, first: Job, size: int, job: Job) -> bool:
        return job.explain == first.explain and size + len(job.documents) <= self._max_batch

    def _settle(self, batch: Sequence[Job], task: Future[list[Result]]) -> None:
        """Hand each job its share of the results, or the error."""
        with self._lock:
            self.waiting_documents -= sum(len(job.documents) for job in batch)
            self.waiting_bytes -= sum(job.size for job in batch)
        error = None if task.cancelled() else task.exception()
        results = iter([] if task.cancelled() or error else task.result())
        for job in batch:
            if error:
                job.done.set_exception(error)
            else:
                job.done.set_result([next(results) for _ in job.documents])
