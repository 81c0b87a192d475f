"""How many messages a minute, at most."""

from __future__ import annotations


class Pace:
    """A bucket that holds `per_minute` messages and fills up again within a minute. Times are in seconds."""

    def __init__(self, per_minute: float, *, now: float) -> None:
        self._most, self._left, self._at = per_minute, float(per_minute), now

    def take(self, now: float, *, keep: float = 0.0) -> bool:
        """Whether one more may go; `keep` is the share of the bucket that stays for what matters more."""
        self._left = min(self._most, self._left + max(0.0, now - self._at) * self._most / 60)
        self._at = max(self._at, now)
        if self._left - 1 < int(keep * self._most):
            return False
        self._left -= 1
        return True
