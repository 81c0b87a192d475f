"""What waits to be sent: bounded, the most severe first, and a tally of what was not let in."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import chain, islice
from threading import Lock
from typing import Final

from logmeta.serve.delivery.notice import SEVERITIES, Notice, more_notice
from logmeta.serve.delivery.pace import Pace
from logmeta.serve.delivery.repeats import Repeats
from logmeta.serve.delivery.settings import WebhookSettings

KEPT: Final = (0.25, 0.25, 0.1, 0.0)  # of the messages a minute for what is more severe: no flood hides a large alarm
SUMMARY_S: Final = 60.0
MOST_SOURCES: Final = 10_000
TRY_ANOTHER: Final = 5
Count = Callable[[str, int], None]


@dataclass(slots=True)
class Entry:
    """A message that waits. `passed`: how often it failed while others got through (`taken` by its last try)."""

    notice: Notice
    taken: int | None = None
    passed: int = 0


@dataclass(slots=True)
class _Over:
    """What was not sent by itself: how many, of which sources, how severe, why, and since when."""

    since: float
    count: int = 0
    rank: int = 0
    sources: set[str] = field(default_factory=set)
    why: OrderedDict[str, int] = field(default_factory=OrderedDict)

    def add(self, notice: Notice, why: str) -> None:
        self.count, self.rank = self.count + notice.count, max(self.rank, notice.rank)
        if len(self.sources) < MOST_SOURCES:
            self.sources.add(notice.source)
        self.why[why] = self.why.get(why, 0) + notice.count

    def notice(self, console: str | None) -> Notice:
        why = ", ".join(f"{count} {reason}" for reason, count in self.why.items())
        return more_notice(self.count, len(self.sources), SEVERITIES[self.rank], why=why, console=console)


class Waiting:
    """Messages between the thread that scores and the one that sends. Nothing here waits or raises.

    A message is refused room when it was told already, when it is like one sent lately, or when there were too many in
    the last minute. When `max_waiting` wait, the oldest of the least severe makes room. What is not sent by itself is
    told by one message a minute at most.
    """

    def __init__(self, settings: WebhookSettings, count: Count, *, now: float) -> None:
        self._settings, self._count = settings, count
        self._lock = Lock()
        self._queues: tuple[OrderedDict[int, Entry], ...] = tuple(OrderedDict() for _ in SEVERITIES)
        self._number = 0
        self._least = SEVERITIES.index(settings.min_severity)
        self._repeats = Repeats(window_s=settings.repeat_s, max_alike=settings.max_alike, max_told=settings.max_told)
        self._admitted = Pace(settings.per_minute - 1, now=now)  # one is for what is over
        self._sent = Pace(settings.per_minute, now=now)
        self._over: _Over | None = None

    def __len__(self) -> int:
        return sum(len(queue) for queue in self._queues)

    @property
    def state(self) -> tuple[int, int]:
        """Another one whenever other messages wait: how many have come, and how many are left."""
        return self._number, len(self)

    def all(self) -> list[Notice]:
        """What waits, in the order of its arrival."""
        with self._lock:
            return [entry.notice for _, entry in sorted(chain.from_iterable(queue.items() for queue in self._queues))]

    def take_up(self, notices: Iterable[Notice], now: float) -> None:
        """Messages that waited when the scorer ended: they were let in then."""
        with self._lock:
            for notice in notices:
                if notice.kind != "more" and not (self._repeats.is_told(notice) or notice.repeats):
                    self._repeats.is_alike(notice, now)
                self._put(notice, now)

    def add(self, notice: Notice, now: float) -> None:
        """Take a message, or count why not."""
        if notice.rank < self._least:
            return
        with self._lock:
            if self._repeats.is_told(notice):
                self._count("duplicate", 1)
            elif self._repeats.is_alike(notice, now):
                self._count("repeated", 1)
            else:
                self._admit(notice, now)

    def due(self, now: float, *, failures: int = 0) -> Entry | None:
        """What to send now, if anything: the first that waits, after so many failures in a row.

        Every fifth time it is the second, for a receiver that does not take the first. The tally is made when its
        minute is over and the receiver takes messages, so that an outage of any length makes one.
        """
        with self._lock:
            for notice in self._repeats.ended(now):
                self._admit(notice, now)
            if self._is_over(now) and not (failures and len(self)):
                self._put(self._over_notice(), now)
            if not len(self) or not self._sent.take(now):
                return None
            first = list(islice((entry for queue in reversed(self._queues) for entry in queue.values()), 2))
            return first[-1 if failures % TRY_ANOTHER == TRY_ANOTHER - 1 else 0]

    def done(self, entry: Entry) -> None:
        """It was sent, or is given up; one that had to make room meanwhile is gone already."""
        with self._lock:
            queue = self._queues[entry.notice.rank]
            for number in [number for number, waiting in queue.items() if waiting is entry]:
                del queue[number]

    def end(self, now: float) -> None:
        """Nothing comes any more: what is counted for later is told now."""
        with self._lock:
            for notice in self._repeats.ended(float("inf")):
                self._tally(notice, now, "repeated")
            if self._over is not None:
                self._put(self._over_notice(), now)

    def _is_over(self, now: float) -> bool:
        return self._over is not None and now - self._over.since >= SUMMARY_S

    def _over_notice(self) -> Notice:
        assert self._over is not None
        notice, self._over = self._over.notice(self._settings.console), None
        return notice

    def _admit(self, notice: Notice, now: float) -> None:
        if self._admitted.take(now, keep=KEPT[notice.rank]):
            self._put(notice, now)
        else:
            self._count("rate_limited", notice.count)
            self._tally(notice, now, "rate limited")

    def _put(self, notice: Notice, now: float) -> None:
        self._number += 1
        self._queues[notice.rank][self._number] = Entry(notice)
        if len(self) > self._settings.max_waiting:
            _, entry = next(queue for queue in self._queues if queue).popitem(last=False)
            self._count("dropped", entry.notice.count)
            self._tally(entry.notice, now, "dropped while the webhook took none")

    def _tally(self, notice: Notice, now: float, why: str) -> None:
        self._over = self._over or _Over(since=now)
        self._over.add(notice, why)
