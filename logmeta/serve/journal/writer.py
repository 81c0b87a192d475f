"""The journal's own thread: scoring hands it batches and never waits; what it cannot take or write is counted."""

from __future__ import annotations

import logging
import sqlite3
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Condition, Thread
from typing import TYPE_CHECKING, Final

import orjson

from logmeta.drift import Drift
from logmeta.records import ScoredLine
from logmeta.serve.journal.book import Batch, Book, Event
from logmeta.serve.journal.store import Bounds, Store
from logmeta.serve.metrics import Metrics

if TYPE_CHECKING:
    from logmeta.serve.opened import OpenSource

logger = logging.getLogger(__name__)

MAX_WAITING_BYTES: Final = 64 * 2**20
_WRITE_EVERY_S: Final = 1.0
_TELL_EVERY_S: Final = 60.0
_EVENT_BYTES: Final = 5_000
QUEUE_FULL, NOT_WRITTEN = "queue_full", "not_written"


class Journal:
    """Follows what is scored and notes what happens, from any thread. It never raises and never waits."""

    def __init__(
        self, path: Path, *, metrics: Metrics, bounds: Bounds | None = None, max_bytes: int = MAX_WAITING_BYTES,
        clock: Callable[[], float] = time.time,
    ) -> None:  # fmt: skip
        self.path = path
        self._metrics, self._clock, self._max_bytes = metrics, clock, max_bytes
        self._book, self._store = Book(), Store(path, bounds or Bounds())
        self._waiting: deque[Batch | Event] = deque()
        self._bytes = 0
        self._wake = Condition()
        self._ends = False
        self._told = -_TELL_EVERY_S
        self._thread = Thread(target=self._run, name="logmeta-journal", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def follow(self, opened: OpenSource, lines: Sequence[ScoredLine], changes: Sequence[Drift]) -> None:
        """Take a scored batch; called by the scoring thread."""
        batch = Batch(opened.detector.source, lines, changes, self._clock())
        self._put(batch, batch.size)

    def note(self, event: Event) -> None:
        """Take an event."""
        self._put(event, _EVENT_BYTES)

    def close(self) -> None:
        """Write what waits, and end."""
        with self._wake:
            self._ends = True
            self._wake.notify()
        if self._thread.is_alive():
            self._thread.join()

    def _put(self, item: Batch | Event, size: int) -> None:
        with self._wake:
            if self._bytes + size > self._max_bytes and self._waiting:
                self._metrics.journal_lost.labels(QUEUE_FULL).inc()
                return
            self._waiting.append(item)
            self._bytes += size

    def _run(self) -> None:
        ends = False
        self._write()  # makes the file, so that it can be read
        while not ends:
            with self._wake:
                ends = self._ends or self._wake.wait_for(lambda: self._ends, _WRITE_EVERY_S)
            for item in self._taken():
                self._book.take(item)
            self._write()
        self._store.close()

    def _taken(self) -> Sequence[Batch | Event]:
        with self._wake:
            taken, self._waiting, self._bytes = self._waiting, deque(), 0
        return taken

    def _write(self) -> None:
        """Write the page. Whatever is wrong with the file, or with what a line holds, ends here."""
        page = self._book.page()
        try:
            self._store.write(page)
        except (sqlite3.Error, OSError, UnicodeError, orjson.JSONEncodeError) as error:
            self._metrics.journal_lost.labels(NOT_WRITTEN).inc(page.items)
            self._tell("the journal %s is not written, scoring goes on: %s", self.path, error)
        if self._store.moved_aside is not None:
            logger.warning("the journal could not be read: a new one is begun, the old is %s", self._store.moved_aside)
            self._store.moved_aside = None

    def _tell(self, words: str, *about: object) -> None:
        """Once a minute: what is wrong now is wrong every second."""
        if time.monotonic() - self._told >= _TELL_EVERY_S:
            self._told = time.monotonic()
            logger.error(words, *about, extra={"event.action": "journal"})
