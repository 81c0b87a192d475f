"""The days that a report is of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta


@dataclass(frozen=True, slots=True)
class Span:
    """From a midnight (UTC) until now."""

    since: datetime
    until: datetime

    @classmethod
    def of_days(cls, days: int, *, now: datetime | None = None) -> Span:
        """Today as far as it has come, and the whole days before it."""
        until = (now or datetime.now(UTC)).astimezone(UTC)
        midnight = until.replace(hour=0, minute=0, second=0, microsecond=0)
        return cls(midnight - timedelta(days=days - 1), until)

    @property
    def hours(self) -> float:
        return (self.until - self.since).total_seconds() / 3600

    @property
    def days(self) -> Sequence[datetime]:
        """The midnights that its days begin with."""
        count = (self.until.date() - self.since.date()).days + 1
        return [self.since + timedelta(days=i) for i in range(count)]

    def holds(self, at: str) -> bool:
        """Whether a time of the journal lies in it."""
        return self.since <= moment(at) <= self.until

    def place(self, at: str) -> float:
        """Where a time lies in its whole days, 0 to 1."""
        whole = timedelta(days=len(self.days))
        return min(1.0, max(0.0, (moment(at) - self.since) / whole))


def moment(at: str) -> datetime:
    """A time as the journal tells it: ISO 8601, UTC."""
    return datetime.fromisoformat(at)
