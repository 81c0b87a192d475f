"""Incidents found at a budget of false alarms, beside what chance would find.

The rules are those by which the command line is judged on live logs: flagged lines outside every span are grouped
into alarms as a person would count them (a pause of more than 50 lines, or a run of more than 200, starts a new one),
thresholds are walked down from the highest score until the groups outnumber the budget, and an incident is found
when a line inside its span is flagged.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from logmeta.datasets.labelled import Incident
from logmeta.window import BoolArray, FloatArray, IntArray

GAP: Final = 50
LONGEST: Final = 200
_THRESHOLDS: Final = 4_000
_MOST_OUTSIDE: Final = 0.02


@dataclass(frozen=True, slots=True)
class Found:
    """What a set of flagged lines finds.

    `hit` says of each incident whether it was found, `delay` how many lines after its first symptom (or its start),
    None where it was not found. `far_per_1k` counts false alarms per 1,000 lines outside all spans; `chance` is how
    many incidents flags thrown at random at that rate would find.
    """

    hit: tuple[bool, ...]
    delay: tuple[int | None, ...]
    far_per_1k: float
    chance: float

    @property
    def count(self) -> int:
        return sum(self.hit)


@dataclass(frozen=True)
class IncidentJudge:
    """Judges line scores of one labelled test log of `lines` lines."""

    incidents: Sequence[Incident]
    excluded: Sequence[tuple[int, int]]
    lines: int

    def outside(self) -> BoolArray:
        """Lines outside every incident and every excluded span, shape (lines,)."""
        out = np.ones(self.lines, dtype=bool)
        for first, last in [*((i.first, i.last) for i in self.incidents), *self.excluded]:
            out[first - 1 : last] = False
        return out

    def own(self, alarms: BoolArray) -> Found:
        """At the product's own alarms, counted one by one: `alarms` (lines,) marks the line on which each starts."""
        false = int((alarms & self.outside()).sum())
        return self._found(alarms, false)

    def at(self, scores: FloatArray, budget_per_1k: float) -> Found:
        """At the lowest threshold whose grouped false alarms stay within the budget; no label but "outside" is used."""
        outside = self.outside()
        flagged = scores >= self._threshold(scores, outside, budget_per_1k)
        return self._found(flagged, groups(np.flatnonzero(flagged & outside)))

    def _threshold(self, scores: FloatArray, outside: BoolArray, budget_per_1k: float) -> float:
        allowed = budget_per_1k * outside.sum() / 1000
        most = _MOST_OUTSIDE * outside.sum()
        distinct = np.unique(scores)[::-1]
        order = np.argsort(-scores[outside], kind="stable")
        where, ranked = np.flatnonzero(outside)[order], -scores[outside][order]
        best, seen, alarms = math.inf, -1, 0
        for threshold in distinct[:: max(1, len(distinct) // _THRESHOLDS)]:
            count = int(np.searchsorted(ranked, -threshold, side="right"))
            if count != seen:
                seen, alarms = count, groups(np.sort(where[:count])) if count <= most else len(where)
            if alarms > allowed or count > most:
                break
            best = float(threshold)
        return best

    def _found(self, flagged: BoolArray, false_alarms: int) -> Found:
        rate = false_alarms / max(1, int(self.outside().sum()))
        firsts = [self._first(flagged, i) for i in self.incidents]
        chance = sum(1 - (1 - rate) ** (i.last - i.first + 1) for i in self.incidents)
        delay = tuple(
            None if at is None else max(0, at - (i.symptom or i.first))
            for at, i in zip(firsts, self.incidents, strict=True)
        )
        return Found(tuple(at is not None for at in firsts), delay, 1000 * rate, chance)

    @staticmethod
    def _first(flagged: BoolArray, incident: Incident) -> int | None:
        inside = np.flatnonzero(flagged[incident.first - 1 : incident.last])
        return incident.first + int(inside[0]) if len(inside) else None


def groups(lines: IntArray) -> int:
    """Alarms that a person would count among flagged lines, given in order."""
    count, last, start = 0, -(10**9), 0
    for line in lines.tolist():
        if line - last > GAP or line - start > LONGEST:
            count, start = count + 1, line
        last = line
    return count
