"""Two versions of a source's detector on the same lines: which alarms would change."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Final, Literal

from logmeta.detector import Detector
from logmeta.errors import UsageError
from logmeta.records import JsonValue, ScoredLine
from logmeta.scoring import score_together

Change = Literal["alarms", "silent"]
_SHOWN: Final = 500


@dataclass(frozen=True, slots=True)
class ChangedLine:
    """A line that is anomalous under one version only: `alarms` under the candidate, or `silent` under it."""

    before: ScoredLine
    after: ScoredLine

    @property
    def change(self) -> Change:
        return "silent" if self.after.alarm_id is None else "alarms"

    def to_dict(self) -> dict[str, JsonValue]:
        return {
            "line_no": self.before.line_no,
            "change": self.change,
            "starts_alarm": self.before.alarm or self.after.alarm,
            "score_before": self.before.score,
            "score_after": self.after.score,
            "template": self.before.template,
            "message": self.before.message[:_SHOWN],
        }


@dataclass(slots=True)
class Tally:
    """What both versions told of the lines so far."""

    lines: int = 0
    alarms_before: int = 0
    alarms_after: int = 0
    changed: int = 0

    def __str__(self) -> str:
        return (
            f"{self.lines} lines: {self.alarms_before} alarms before, {self.alarms_after} after; "
            f"{self.changed} lines are anomalous under one of them only"
        )


def differences(current: Detector, candidate: Detector, path: str, tally: Tally) -> Iterator[ChangedLine]:
    """Lines of a file or of standard input (`-`) whose verdict differs, in order; `tally` counts as they come.

    Raises:
        UsageError: the detectors are of two sources.
    """
    if current.source != candidate.source:
        raise UsageError(f"the versions are of two sources, {current.source!r} and {candidate.source!r}")
    batches = score_together((current, candidate), path)
    for before, after in chain.from_iterable(zip(*both, strict=True) for both in batches):
        tally.lines += 1
        tally.alarms_before += before.alarm
        tally.alarms_after += after.alarm
        if (before.alarm_id is None) != (after.alarm_id is None):
            tally.changed += 1
            yield ChangedLine(before, after)
