"""Trying again what may pass by itself: a server that restarts, is overloaded or out of reach."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

from logmeta.errors import BackendError

T = TypeVar("T")
FIRST_WAIT_S, LONGEST_WAIT_S = 0.5, 30.0


class Patience:
    """Repeats a step that failed for a passing reason, for `limit_s` (None: for ever), and says so once per trouble."""

    def __init__(self, limit_s: float | None, *, say: Callable[[str], None] = lambda _: None) -> None:
        self._limit_s, self._say = limit_s, say
        self._over = threading.Event()

    def give_up(self) -> None:
        """The command ends: whoever waits, in whatever thread, fails now."""
        self._over.set()

    def __call__(self, step: Callable[[], T]) -> T:
        """What the step returns. Raises its BackendError when that will not pass or the limit is over."""
        start, wait_s, told = time.monotonic(), FIRST_WAIT_S, False
        while True:
            try:
                done = step()
            except BackendError as error:
                is_over = self._limit_s is not None and time.monotonic() - start + wait_s > self._limit_s
                if not error.transient or is_over or self._over.is_set():
                    raise
                if not told:
                    self._say(f"{error} (trying again)")
                told = True
                self._over.wait(error.retry_after_s or wait_s)
                wait_s = min(2 * wait_s, LONGEST_WAIT_S)
            else:
                if told:
                    self._say("goes on")
                return done
