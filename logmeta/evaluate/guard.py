"""The guard of a new base model: no worse than the one before on the cells that both were judged on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from statistics import mean
from typing import Final

from logmeta.errors import InputError
from logmeta.evaluate.results import OURS, Condition, Results, Row

WATCHED: Final = ("ap", "auroc", "found@0.2", "found@1")
TOLERANCE: Final = {"ap": 0.02, "auroc": 0.02}  # of the mean over cells
INCIDENTS: Final = 1.0  # fewer found, mean over cells


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
    common = sorted(ours.keys() & theirs.keys(), key=repr)
    if not common:
        raise InputError("the two results files have no cell of logmeta in common; compare runs of the same command")
    return list(_fallen([(ours[key], theirs[key]) for key in common]))


def _cells(results: Results) -> dict[tuple[str, str, Condition], Row]:
    return {(row.set, results.sets[row.set].sha256, row.condition): row for row in results.rows if row.method == OURS}


def _fallen(pairs: list[tuple[Row, Row]]) -> Iterator[Fall]:
    for metric in WATCHED:
        both = [(_mean(new, metric), _mean(old, metric)) for new, old in pairs]
        known = [(new, old) for new, old in both if new is not None and old is not None]
        if known:
            new, old = mean(n for n, _ in known), mean(o for _, o in known)
            if new < old - TOLERANCE.get(metric, INCIDENTS):
                yield Fall(metric, old, new)


def _mean(row: Row, metric: str) -> float | None:
    values = [value for value in row.metrics.get(metric, []) if value is not None]
    return mean(values) if values else None
