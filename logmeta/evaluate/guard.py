"""The guard of a new base model: no worse than the one before on the cells that both were judged on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from logmeta.errors import InputError
from logmeta.evaluate.results import OURS, Condition, Results, Row
from logmeta.evaluate.tables.bootstrap import mean

TOLERANCE: Final = {"ap": 0.02, "auroc": 0.02, "found@0.2": 1.0, "found@1": 1.0}  # of the mean over cells


@dataclass(frozen=True, slots=True)
class Fall:
    """A metric of ours whose mean over the common cells fell by more than it may."""

    metric: str
    before: float
    now: float

    def __str__(self) -> str:
        return f"{self.metric} {self.before:.3f} -> {self.now:.3f}"


def falls(now: Results, before: Results) -> list[Fall]:
    """What got worse from one run of `logmeta eval` to a later one, over the cells of logmeta that both have.

    Raises:
        InputError: they have no cell in common, so nothing can be said.
    """
    ours, theirs = _cells(now), _cells(before)
    common = [(row, theirs[cell]) for cell, row in ours.items() if cell in theirs]
    if not common:
        raise InputError("the two results files have no cell of logmeta in common; compare runs of the same command")
    return list(_fallen(common))


def _cells(results: Results) -> dict[tuple[str, str, Condition], Row]:
    return {(row.set, results.sets[row.set].sha256, row.condition): row for row in results.rows if row.method == OURS}


def _fallen(pairs: list[tuple[Row, Row]]) -> Iterator[Fall]:
    for metric, tolerance in TOLERANCE.items():
        both = [(mean(new.metrics.get(metric, [])), mean(old.metrics.get(metric, []))) for new, old in pairs]
        known = [(now, before) for now, before in both if now is not None and before is not None]
        if known:
            now, before = (sum(values) / len(known) for values in zip(*known, strict=True))
            if now < before - tolerance:
                yield Fall(metric, before, now)
