"""Shadows: versions that score a source's lines beside the one in use, so that a person sees what would change.

The version in use answers; a shadow's verdicts are only counted. It runs in a thread of its own behind a bounded queue,
so its slowness costs the shadow lines and nobody else anything, and whatever it fails on ends the shadow alone.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from threading import Lock
from typing import TYPE_CHECKING, Final

from logmeta.errors import ArtifactError, LogmetaError, UsageError
from logmeta.records import LogRecord, ScoredLine
from logmeta.registry import Registry
from logmeta.serve.documents import Result
from logmeta.serve.metrics import Metrics
from logmeta.serve.opened import OpenSource, is_recalibration

if TYPE_CHECKING:
    from logmeta.detector import Detector
    from logmeta.session import ScoringSession

logger = logging.getLogger(__name__)

MOST: Final = 10
MAX_WAITING_LINES: Final = 20_000
MAX_WAITING_CHARS: Final = 32 * 2**20
KEPT: Final = 50


@dataclass(slots=True)
class Shadow:
    """A version that is tried, and what came of it. `failed` says why it ended; `dropped` lines came too fast."""

    version: str
    session: ScoringSession | None = None
    lines: int = 0
    alarms_current: int = 0
    alarms_candidate: int = 0
    changed: int = 0
    dropped: int = 0
    failed: str | None = None
    latest: deque[Result] = field(default_factory=lambda: deque(maxlen=KEPT))

    def count(self, current: Sequence[ScoredLine], candidate: Sequence[ScoredLine]) -> None:
        """Hold both versions' verdicts on the same lines against each other."""
        for before, after in zip(current, candidate, strict=True):
            self.lines += 1
            self.alarms_current += before.alarm
            self.alarms_candidate += after.alarm
            if (before.alarm_id is None) != (after.alarm_id is None):
                self.changed += 1
                self.latest.append(_difference(before, after))

    def to_dict(self) -> Result:
        return {
            "version": self.version,
            "state": "failed" if self.failed else "running",
            "reason": self.failed,
            "lines": self.lines,
            "alarms_current": self.alarms_current,
            "alarms_candidate": self.alarms_candidate,
            "changed": self.changed,
            "dropped": self.dropped,
            "differences": list(self.latest),
        }


def _difference(before: ScoredLine, after: ScoredLine) -> Result:
    """A line that is anomalous under one version only, without its text."""
    return {
        "template_id": before.template_id,
        "change": "silent" if after.alarm_id is None else "alarms",
        "score_current": round(before.score, 4),
        "score_candidate": round(after.score, 4),
    }


class Shadows:
    """The shadows of one scorer, at most ten, and the thread in which they score."""

    def __init__(self, registry: Registry, load: Callable[[str, str], Detector], *, metrics: Metrics) -> None:
        self._registry, self._load, self._metrics = registry, load, metrics
        self._shadows: dict[str, Shadow] = {}
        self._lock, self._waiting = Lock(), (0, 0)  # lines and characters
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="logmeta-shadow")

    def follow(
        self, opened: OpenSource, version: str | None, records: Sequence[LogRecord], lines: Sequence[ScoredLine]
    ) -> None:
        """Let the source's shadow score a batch that was just scored; one that begins now begins with the next. In the
        worker thread."""
        shadow = self._shadow(opened, version)
        if shadow is None or shadow.session is None or shadow.failed:
            return
        size = len(records), sum(len(record.text) for record in records)
        if not self._has_room(*size):
            shadow.dropped += len(records)
            self._metrics.shadow_lines.labels("dropped").inc(len(records))
            return
        future = self._pool.submit(self._score, shadow, shadow.session, records, lines)
        future.add_done_callback(partial(self._finish, opened.detector.source, shadow, size))

    def of(self, source: str) -> Result | None:
        """What came of a source's shadow so far, None where none is wanted."""
        version = self._registry.standing(source).shadow
        if version is None:
            return None
        with self._lock:
            shadow = self._shadows.get(source)
            if shadow is not None and shadow.version == version:
                return shadow.to_dict()
        return {**Shadow(version).to_dict(), "state": "waiting", "reason": f"for lines, or for one of {MOST} to end"}

    def begin_anew(self, source: str) -> None:
        """Forget what came of a source's shadow: it was decided on again."""
        with self._lock:
            self._shadows.pop(source, None)
            self._metrics.shadows.set(len(self._shadows))

    def close(self) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _shadow(self, opened: OpenSource, version: str | None) -> Shadow | None:
        """The source's running shadow; where it is another than is wanted, that one begins, if there is room."""
        source = opened.detector.source
        shadow = self._shadows.get(source)
        if shadow is not None and shadow.version == version:
            return shadow
        if shadow is not None:
            self.begin_anew(source)
        if version is None or (len(self._shadows) >= MOST and not self._end_unwanted()):
            return None
        begun = self._begun(opened, version)
        with self._lock:
            self._shadows[source] = begun
            self._metrics.shadows.set(len(self._shadows))
        return None

    def _has_room(self, lines: int, chars: int) -> bool:
        """Take the place of so many lines among those that wait; False when there is none."""
        with self._lock:
            wanted = self._waiting[0] + lines, self._waiting[1] + chars
            if wanted[0] > MAX_WAITING_LINES or wanted[1] > MAX_WAITING_CHARS:
                return False
            self._waiting = wanted
        return True

    def _begun(self, opened: OpenSource, version: str) -> Shadow:
        source = opened.detector.source
        try:
            detector = self._load(source, version)
        except (ArtifactError, UsageError) as error:
            logger.error("source %r has no shadow: %s", source, error, extra={"event.action": "shadow"})
            return Shadow(version, failed=str(error))
        if not is_recalibration(detector, of=opened.detector):
            return Shadow(version, detector.session())
        session = opened.session.copy()  # its streams go on where those of the version in use are
        session.recalibrate(detector)
        return Shadow(version, session)

    def _end_unwanted(self) -> bool:
        """Let go of shadows that nobody wants any more and whose sources are silent; whether there were any."""
        kept = [(source, shadow.version) for source, shadow in self._shadows.items()]
        gone = [source for source, version in kept if self._registry.standing(source).shadow != version]
        for source in gone:
            self.begin_anew(source)
        return bool(gone)

    def _score(
        self, shadow: Shadow, session: ScoringSession, records: Sequence[LogRecord], lines: Sequence[ScoredLine]
    ) -> None:
        if shadow.failed:
            return
        scored = session.score(records, explain="none")
        session.closed_windows(), session.incident_updates()  # nobody reads them here
        with self._lock:
            shadow.count(lines, scored)
        self._metrics.shadow_lines.labels("compared").inc(len(scored))

    def _finish(self, source: str, shadow: Shadow, size: tuple[int, int], future: Future[None]) -> None:
        with self._lock:
            self._waiting = self._waiting[0] - size[0], self._waiting[1] - size[1]
        error = None if future.cancelled() else future.exception()
        if error is None:
            return
        why = str(error) if isinstance(error, LogmetaError) else type(error).__name__  # others' words may quote a line
        shadow.failed, shadow.session = why, None
        trace = None if isinstance(error, LogmetaError) else error
        told = ("source %r: its shadow, version %s, failed and ended: %s", source, shadow.version, why)
        logger.error(*told, exc_info=trace, extra={"event.action": "shadow"})
