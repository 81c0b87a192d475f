"""What has become usual among the windows of late: known lines in another mixture, order or number than before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from logmeta.window import FloatArray, IntArray

SHARE: Final = 0.1  # so many of the windows of late must do a thing before it is a habit
BURST: Final = 20  # so many windows, however alike, change nothing: an incident does not excuse itself


class Row(NamedTuple):
    """A window as habits need it: how often it has each template, its first and last one, and the numbers of its
    neighbouring pairs, each once, with how often it has them."""

    counts: FloatArray
    edges: IntArray
    pairs: IntArray
    times: IntArray


@dataclass(frozen=True)
class Habits:
    """What at least `least` of the windows of late do; everything else has a share of 0 here.

    `present`, `absent`, `first`, `last` (templates,) are shares of windows; `pairs` says how often the second template
    follows the first; `most` (templates,) is the count that so many windows reach; `roots` (n, templates) are the
    square roots of each window's mix.
    """

    present: FloatArray
    absent: FloatArray
    first: FloatArray
    last: FloatArray
    pairs: Mapping[tuple[int, int], float]
    most: FloatArray
    roots: FloatArray
    least: int

    @classmethod
    def none(cls, width: int) -> Habits:
        """No habit at all, of so many templates: nothing becomes more usual by it."""
        nothing = np.zeros(width, dtype=np.float32)
        return cls(nothing, nothing, nothing, nothing, {}, nothing, np.zeros((0, width)), 0)

    @classmethod
    def of(cls, rows: Sequence[Row]) -> Habits:
        """Habits of some windows, more than `BURST` of them."""
        counts, edges = np.stack([row.counts for row in rows]), np.stack([row.edges for row in rows])
        windows, width = counts.shape
        least = least_of(windows)
        has = (counts > 0).sum(axis=0)
        first, last = (np.bincount(edges[:, i], minlength=width) for i in (0, 1))
        present, absent, begins, ends = (
            np.where(n >= least, n / windows, 0.0) for n in (has, windows - has, first, last)
        )
        most = np.partition(counts, windows - least, axis=0)[windows - least]
        return cls(present, absent, begins, ends, _pairs(rows, width, least), most, roots(counts), least)

    def distance(self, mixes: FloatArray) -> FloatArray:
        """Hellinger distance within which `least` windows of late lie, shape (n,), from roots (n, templates).

        Infinite where there is no habit.
        """
        if not len(self.roots):
            return np.full(len(mixes), np.inf, dtype=np.float32)
        like = np.partition(mixes @ self.roots.T, -self.least, axis=1)[:, -self.least]
        return hellinger(like)


def hellinger(like: FloatArray) -> FloatArray:
    """Distances of mixes from the dot products of their roots."""
    return np.asarray(np.sqrt(np.maximum(1 - np.maximum(like, 0), 0)))


def least_of(windows: int) -> int:
    """How many of so many windows make a habit: a tenth, and always more than a burst."""
    return max(int(np.ceil(SHARE * windows)), BURST + 1)


def roots(counts: FloatArray) -> FloatArray:
    """Square roots of each window's share of templates, shape (n, templates)."""
    return np.asarray(np.sqrt(counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)))


def row_of(counts: FloatArray, edges: IntArray, pairs: Sequence[tuple[int, int]]) -> Row:
    """One window's row."""
    numbers = [before * len(counts) + after for before, after in pairs]
    return Row(counts, edges, *np.unique(np.array(numbers, dtype=np.int64), return_counts=True))


def _pairs(rows: Sequence[Row], width: int, least: int) -> dict[tuple[int, int], float]:
    """How often a template follows another, for the pairs that `least` windows have."""
    pairs, place = np.unique(np.concatenate([row.pairs for row in rows]), return_inverse=True)
    times = np.bincount(place, weights=np.concatenate([row.times for row in rows]), minlength=len(pairs))
    before = np.bincount(pairs // width, weights=times, minlength=width)
    usual = np.flatnonzero(np.bincount(place, minlength=len(pairs)) >= least)
    return {(int(pairs[i] // width), int(pairs[i] % width)): float(times[i] / before[pairs[i] // width]) for i in usual}
