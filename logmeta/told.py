"""What an alarm has told of once stays told: news must not wear off because it is repeated.

A line that a source has never shown is news, and less so each time it comes back: the context learns it. Whoever
drips bad lines would have them learned. So a template that the detector never saw and whose line is anomalous, more
than those before it, is remembered, and its later lines belong to that alarm, without a new one: as long as they are
rare, and until somebody calls them ordinary.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Final

REPEAT: Final = "repeat"  # the flag of a line that belongs to an earlier alarm of its template
_MOST: Final = 2_000
_COMMON: Final = 0.05  # of the lines since the alarm: what comes so often is no drip
_FEWEST: Final = 50


@dataclass(slots=True)
class _Alarm:
    alarm_id: str
    since: int
    lines: int = 1


@dataclass(slots=True)
class Told:
    """Alarms by their template; bounded, the longest unseen is forgotten first."""

    lines: int = 0
    _alarms: OrderedDict[str, _Alarm] = field(default_factory=OrderedDict)

    def remember(self, template: str, alarm_id: str) -> None:
        """A line of an unseen template is anomalous, and not for the lines before it alone."""
        known = self._alarms.setdefault(template, _Alarm(alarm_id, self.lines))
        known.alarm_id = alarm_id
        self._alarms.move_to_end(template)
        if len(self._alarms) > _MOST:
            self._alarms.popitem(last=False)

    def forget(self, template: str) -> None:
        """The template is called ordinary by now."""
        self._alarms.pop(template, None)

    def again(self, template: str) -> str | None:
        """The alarm that a line belongs to by its template, if any; counts the line."""
        known = self._alarms.get(template)
        if known is None:
            return None
        known.lines += 1
        if known.lines >= _FEWEST and known.lines > _COMMON * (self.lines - known.since):
            return None
        self._alarms.move_to_end(template)
        return known.alarm_id
