"""Stops asking a scorer that does not answer, and tries it again now and then."""

from __future__ import annotations

from collections.abc import Callable

FAILURES = 3
OPEN_S = 5.0


class Breaker:
    """Opens after some failures in a row; then lets one request through every `OPEN_S` seconds."""

    def __init__(self, *, clock: Callable[[], float], say: Callable[[str], None]) -> None:
        self._clock, self._say = clock, say
        self._failures = 0
        self._open_until = 0.0

    @property
    def is_open(self) -> bool:
        return self._failures >= FAILURES

    def admits(self) -> bool:
        """Whether the scorer may be asked now."""
        return not self.is_open or self._clock() >= self._open_until

    def answered(self) -> None:
        if self.is_open:
            self._say("the scorer answers again; scoring goes on")
        self._failures = 0

    def failed(self, error: Exception) -> None:
        if self._failures + 1 == FAILURES:
            self._say(f"the scorer failed {FAILURES} times in a row, documents pass as skipped: {error}")
        self._failures += 1
        self._open_until = self._clock() + OPEN_S
