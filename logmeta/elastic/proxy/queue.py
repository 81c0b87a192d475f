"""Lines wait here for their verdicts: in the order in which they came, one request in flight, a deadline for each.

While the scorer is busy what comes in the meantime becomes the next request, so batches grow with the load.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from itertools import accumulate

from logmeta.elastic.documents import Line, SkipReason, skipped
from logmeta.elastic.proxy.breaker import Breaker
from logmeta.elastic.scorer import MAX_REQUEST_BYTES, Scorer, ScoringError
from logmeta.elastic.verdicts import Verdict

MAX_BATCH = 2048  # the most a scorer takes into one batch
LONGEST_REST_S = 5.0
REQUEST_S = 2.0


class FullError(Exception):
    """Too much waits here already."""


@dataclass(slots=True, eq=False)
class Job:
    """The lines of one bulk request. `verdicts` grows in their order; `sent` of them are on their way or back."""

    lines: Sequence[Line]
    expires_at: float
    done: asyncio.Future[None]
    verdicts: list[Verdict] = field(default_factory=list)
    sent: int = 0

    def take(self, most: int, max_bytes: int) -> Sequence[Line]:
        """The next lines to send, at least one (a line is far smaller than a request may be)."""
        if self.done.done():
            return []
        lines = self.lines[self.sent : self.sent + most]
        sizes = list(accumulate(line.size for line in lines))
        fitting = lines[: max(1, bisect_right(sizes, max_bytes))]
        self.sent += len(fitting)
        return fitting

    def give(self, verdicts: Sequence[Verdict]) -> None:
        """The next verdicts; what comes after the deadline is too late."""
        if not self.done.done():
            self.verdicts += verdicts
            if len(self.verdicts) == len(self.lines):
                self.done.set_result(None)

    def end(self, reason: SkipReason) -> None:
        """Every line that has no verdict yet is skipped."""
        self.give([skipped(reason) for _ in range(len(self.lines) - len(self.verdicts))])


@dataclass(frozen=True, slots=True)
class Share:
    """A job's part of a request."""

    job: Job
    lines: Sequence[Line]


class Queue:
    """Used on one event loop; `run` is its worker."""

    def __init__(self, scorer: Scorer, *, max_wait_s: float, max_lines: int, say: Callable[[str], None]) -> None:
        self._scorer, self._max_wait_s, self._max_lines = scorer, max_wait_s, max_lines
        self._loop = asyncio.get_running_loop()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="logmeta-ask")
        self._jobs: deque[Job] = deque()
        self._some = asyncio.Event()
        self._is_overloaded = False
        self.breaker = Breaker(clock=self._loop.time, say=say)
        self.waiting = 0
        self.requests = 0

    def submit(self, lines: Sequence[Line]) -> Job:
        """Let lines wait; their verdicts must be awaited. Raises FullError when they cannot wait here."""
        if self.waiting and self.waiting + len(lines) > self._max_lines:
            raise FullError
        job = Job(lines, self._loop.time() + self._max_wait_s, self._loop.create_future())
        self.waiting += len(lines)
        self._jobs.append(job)
        self._some.set()
        return job

    async def verdicts(self, job: Job) -> list[Verdict]:
        """One per line of the job, within the longest wait."""
        expiry = self._loop.call_at(job.expires_at, self._expire, job)
        try:
            if job.lines:
                await job.done
        finally:  # a caller that goes away cancels the promise, and what is left of its lines is not sent
            expiry.cancel()
            self.waiting -= len(job.lines)
        return job.verdicts

    async def run(self) -> None:
        """Ask the scorer for what waits, for ever."""
        while True:
            await self._some.wait()
            shares = self._take()
            if shares:
                await self._ask(shares)
            else:
                self._some.clear()

    def close(self) -> None:
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _expire(self, job: Job) -> None:
        job.end(SkipReason.OVERLOADED if self._is_overloaded else SkipReason.DEADLINE)

    def _take(self) -> list[Share]:
        """The next lines in order, as many as go into one request."""
        shares: list[Share] = []
        room, size = MAX_BATCH, 0
        while self._jobs and room > 0 and size < MAX_REQUEST_BYTES:
            job = self._jobs[0]
            lines = job.take(room, MAX_REQUEST_BYTES - size)
            if lines:
                shares.append(Share(job, lines))
                room -= len(lines)
                size += sum(line.size for line in lines)
            if job.done.done() or job.sent == len(job.lines):
                self._jobs.popleft()
        return shares

    async def _ask(self, shares: Sequence[Share]) -> None:
        if not self.breaker.admits():
            self._skip(shares, SkipReason.CIRCUIT_OPEN)
            return
        lines = [line for share in shares for line in share.lines]
        ask = partial(self._scorer.score, lines, within_s=min(REQUEST_S, self._max_wait_s))
        self.requests += 1
        try:
            verdicts = iter(await self._loop.run_in_executor(self._thread, ask))
        except ScoringError as error:
            await self._failed(shares, error)
            return
        self.breaker.answered()
        self._is_overloaded = False
        for share in shares:
            share.job.give([next(verdicts) for _ in share.lines])

    async def _failed(self, shares: Sequence[Share], error: ScoringError) -> None:
        if error.retry_after_s is None:
            self._is_overloaded = False
            self.breaker.failed(error)
            self._skip(shares, error.reason)
            return
        self.breaker.answered()  # a scorer that asks for rest is alive
        self._is_overloaded = True
        await self._rest(shares, min(error.retry_after_s, LONGEST_REST_S))

    async def _rest(self, shares: Sequence[Share], rest_s: float) -> None:
        """The same lines again, in order, after the rest; those that cannot wait so long are skipped now."""
        for share in reversed(shares):
            share.job.sent -= len(share.lines)
            if self._jobs and self._jobs[0] is share.job:
                continue
            self._jobs.appendleft(share.job)
        for job in self._jobs:
            if job.expires_at < self._loop.time() + rest_s:
                job.end(SkipReason.OVERLOADED)
        await asyncio.sleep(rest_s)

    def _skip(self, shares: Sequence[Share], reason: SkipReason) -> None:
        for share in shares:
            share.job.give([skipped(reason) for _ in share.lines])
