"""Keeps the folder of a shared registry up to date beside the scoring, and says when it cannot."""

from __future__ import annotations

import logging
from threading import Event, Thread

from logmeta.elastic.registry import SharedRegistry
from logmeta.errors import BackendError
from logmeta.serve.metrics import Metrics

logger = logging.getLogger(__name__)


class Mirror:
    """One thread that calls `sync` now and then. Elasticsearch may be down: scoring goes on with what is here."""

    def __init__(self, registry: SharedRegistry, *, every_s: float, metrics: Metrics) -> None:
        self._registry, self._every_s, self._metrics = registry, every_s, metrics
        self._stop = Event()
        self._is_up = True
        self._thread = Thread(target=self._run, name="logmeta-mirror", daemon=True)

    def start(self) -> None:
        """Bring the folder up to date once, then again and again in a thread."""
        self.sync()
        self._thread.start()

    def sync(self) -> None:
        try:
            changed = self._registry.sync()
        except BackendError as error:
            self._told(error)
            return
        self._metrics.registry_changes.inc(changed)
        self._told(None)

    def close(self) -> None:
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(self._every_s):
            self.sync()

    def _told(self, error: BackendError | None) -> None:
        """Set the gauge; log what is news."""
        is_up = error is None
        self._metrics.registry_up.set(is_up)
        if error is not None and self._is_up:
            logger.error("the shared registry cannot be read; scoring goes on with the detectors here: %s", error)
        elif is_up and not self._is_up:
            logger.warning("the shared registry answers again")
        self._is_up = is_up
