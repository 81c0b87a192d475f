"""Follows what is scored and sends alarms away, in a thread of its own."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Sequence
from threading import Event, Thread
from typing import Final

from logmeta.drift import Drift
from logmeta.records import ScoredLine
from logmeta.serve.delivery.kept import Kept
from logmeta.serve.delivery.notice import DRIFT_SEVERITY, Notice, alarm_notice, drift_notice
from logmeta.serve.delivery.poster import Answer, Poster
from logmeta.serve.delivery.settings import ACTION, WebhookSettings
from logmeta.serve.delivery.waiting import Entry, Waiting
from logmeta.serve.metrics import Metrics
from logmeta.serve.opened import OpenSource

logger = logging.getLogger(__name__)

LOOK_EVERY_S: Final = 0.25
KEEP_EVERY_S: Final = 1.0
SAY_EVERY_S: Final = 60.0
GIVE_UP: Final = 3  # failures of a message while others got through


class Deliverer:
    """A webhook that hears of alarms. `follow` puts them in a bounded queue and never waits; one thread sends.

    A receiver that is down is tried again for as long as it takes, at growing intervals. A message that it does not
    take while it takes others is given up.
    """

    def __init__(
        self,
        settings: WebhookSettings,
        metrics: Metrics,
        *,
        kept: Kept | None = None,
        clock: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        """Nothing is sent yet; what waits is `kept`, too. Raises UsageError when the CA file cannot be used."""
        self._settings, self._metrics, self._clock, self._jitter = settings, metrics, clock, jitter
        self._poster = Poster(settings)
        self.waiting = Waiting(settings, self._count, now=clock())
        metrics.webhook_waiting.set_function(lambda: len(self.waiting))
        self._news, self._ending = Event(), Event()
        self._thread = Thread(target=self._run, name="logmeta-webhook", daemon=True)
        self._not_before = float("-inf")
        self._said: dict[str, float] = {}
        self._failures = self._taken = 0
        self._kept, self._kept_at, self._kept_state = kept, float("-inf"), self.waiting.state

    def start(self) -> None:
        if self._settings.url.startswith("http:") and self._settings.token:
            logger.warning("the webhook's token goes over plain http: use https", extra=ACTION)
        logger.info("alarms go to the webhook at %s", self._settings.place, extra=ACTION)
        self._take_up()
        self._thread.start()

    def _take_up(self) -> None:
        """What waited when the scorer ended."""
        before = self._kept.read(self._settings.max_waiting) if self._kept else []
        self.waiting.take_up(before, self._clock())
        if before:
            logger.info("%d messages for the webhook wait since the last start", len(before), extra=ACTION)

    def follow(self, opened: OpenSource, lines: Sequence[ScoredLine], changes: Sequence[Drift]) -> None:
        """Take what is to be told of a scored batch."""
        console = self._settings.console
        for line in lines:
            if line.alarm:
                self.add(alarm_notice(line, console=console))
        for change in changes if self._settings.drift else ():
            if change.kind in DRIFT_SEVERITY:
                self.add(drift_notice(opened.detector.source, change, console=console))

    def add(self, notice: Notice) -> None:
        """Take one message; it may be counted instead of sent."""
        self.waiting.add(notice, self._clock())
        self._news.set()

    def close(self) -> None:
        """Send what waits for `leave_s` at most; what then waits is kept for the next start, or lost, and told."""
        self._ending.set()
        self._news.set()
        if self._thread.is_alive():
            self._thread.join(self._settings.leave_s)
        left = self.waiting.all()
        is_kept = self._kept is not None and self._kept.write(left)
        if left and is_kept:
            logger.warning("%d messages for the webhook wait for the next start", len(left), extra=ACTION)
        elif left:
            self._count("dropped", len(left))
            logger.error("%d messages for the webhook were not delivered", len(left), extra=ACTION)

    def _run(self) -> None:
        while not self._ending.is_set():
            self._news.wait(LOOK_EVERY_S)
            self._news.clear()
            while not self._ending.is_set() and self._step():
                pass
        self._leave()
        self._poster.close()

    def _leave(self) -> None:
        """What waits gets one try each, unless it is known that nobody takes it."""
        self.waiting.end(self._clock())
        if self._failures:
            self._not_before = self._clock()
        until = time.monotonic() + self._settings.leave_s
        while time.monotonic() < until and self._step():
            pass

    def _step(self) -> bool:
        """Try one message; whether another may follow at once."""
        now = self._clock()
        self._keep(now)
        if now < self._not_before:
            return False
        entry = self.waiting.due(now, failures=self._failures)
        if entry is None:
            return False
        answer = self._poster.post(entry.notice)
        {"delivered": self._delivered, "refused": self._refused, "failed": self._failed}[answer.outcome](entry, answer)
        return answer.outcome != "failed"

    def _keep(self, now: float) -> None:
        """Write down what waits, once a second at most."""
        if self._kept is None or now - self._kept_at < KEEP_EVERY_S or self.waiting.state == self._kept_state:
            return
        self._kept_at, self._kept_state = now, self.waiting.state
        self._kept.write(self.waiting.all())

    def _delivered(self, entry: Entry, _: Answer) -> None:
        if self._failures:
            logger.info("the webhook takes alarms again, %d wait", len(self.waiting) - 1, extra=ACTION)
        self._failures, self._taken = 0, self._taken + 1
        self._metrics.webhook_last_success.set_to_current_time()
        self._give_up(entry, "delivered")

    def _refused(self, entry: Entry, answer: Answer) -> None:
        self._failures = 0
        self._give_up(entry, "refused")
        self._say("the webhook at %s refuses a message, which is lost: %s", answer)

    def _failed(self, entry: Entry, answer: Answer) -> None:
        self._failures += 1
        self._count("failed", 1)
        entry.passed += entry.taken is not None and self._taken > entry.taken
        entry.taken = self._taken
        if entry.passed >= GIVE_UP:
            self._give_up(entry, "refused")
        wait_s = min(self._settings.longest_wait_s, self._settings.first_wait_s * 2 ** min(self._failures - 1, 30))
        self._not_before = self._clock() + max(answer.pause_s, wait_s * (0.5 + 0.5 * self._jitter()))
        self._say("the webhook at %s takes no alarms: %s; trying again", answer)

    def _give_up(self, entry: Entry, outcome: str) -> None:
        self.waiting.done(entry)
        self._count(outcome, 1)

    def _say(self, words: str, answer: Answer) -> None:
        """Each kind of trouble once a minute at most."""
        now = self._clock()
        if now - self._said.get(answer.outcome, float("-inf")) >= SAY_EVERY_S:
            self._said[answer.outcome] = now
            logger.error(words, self._settings.place, answer.why, extra=ACTION)

    def _count(self, outcome: str, count: int) -> None:
        self._metrics.webhook_deliveries.labels(outcome).inc(count)
