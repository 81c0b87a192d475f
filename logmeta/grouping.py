"""Whole windows (sessions above all) against the support's windows: what stops too early, lacks or repeats its lines.

Each kind of evidence is put on one scale by the support's own windows, each judged by the others (cross-fitted): a
conformal rank and a robust z. Their plain sum is the window's raw score; nothing is trained. A few of the support's
windows may be anomalies that nobody saw: what only so few have, begin or end with is unseen, and those nearest to a
window, or as odd as it, have no say.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Final, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from logmeta.errors import InputError
from logmeta.habits import Habits, hellinger, roots
from logmeta.window import FloatArray, IntArray

Reasons: TypeAlias = tuple[tuple[int, ...], ...]  # templates, window by window
MIN_WINDOWS: Final = 5
SPARED: Final = 0.06  # a share of windows: 5 % may be anomalies, and a few beside them cut short; see decision 0021
COLUMNS: Final = (
    "line", "lines", "new", "mix", "mix_of_three", "missing", "rare", "order", "order_worst",
    "end", "start", "longer", "shorter", "slower", "faster", "repeated", "level",
)  # fmt: skip
_SHAPE: Final = [COLUMNS.index(name) for name in ("longer", "shorter", "slower", "faster")]
_TOP: Final = 3
_MOST_Z: Final = 4.0


class Line(NamedTuple):
    """What a window keeps of a line: its number, its template, its raw score, level and time (NaN if unknown)."""

    line_no: int
    template: int
    raw: float
    level: int
    seconds: float


@dataclass(frozen=True)
class Windows:
    """Some windows as arrays; template numbers from `known` on share one column, the last of `counts`.

    `counts` (n, known + 1), `edges` (n, 2) first and last template, `shape` (n, 5): largest raw score, mean of the
    three largest, lines, seconds, highest level; `pairs` holds each window's neighbouring templates.
    """

    counts: FloatArray
    edges: IntArray
    shape: FloatArray
    pairs: tuple[tuple[tuple[int, int], ...], ...]

    @classmethod
    def of(cls, windows: Sequence[Sequence[Line]], known: int) -> Windows:
        """Windows of at least one line each."""
        numbers = [[min(line.template, known) for line in window] for window in windows]
        counts = np.zeros((len(windows), known + 1), dtype=np.float32)
        for row, of_window in zip(counts, numbers, strict=True):
            np.add.at(row, of_window, 1)
        edges = np.array([[n[0], n[-1]] for n in numbers], dtype=np.int64).reshape(-1, 2)
        shape = np.array([_shape(window) for window in windows], dtype=np.float32).reshape(-1, 5)
        return cls(counts, edges, shape, tuple(tuple(pairwise(n)) for n in numbers))

    def __len__(self) -> int:
        return len(self.counts)

    def between(self, start: int, stop: int) -> Windows:
        """Windows `start` to `stop - 1`."""
        return Windows(self.counts[start:stop], self.edges[start:stop], self.shape[start:stop], self.pairs[start:stop])


def _shape(window: Sequence[Line]) -> tuple[float, ...]:
    raw = sorted((line.raw for line in window), reverse=True)
    times = [line.seconds for line in window if line.seconds == line.seconds]
    seconds = max(times) - min(times) if times else 0.0
    level = max(line.level for line in window)
    return raw[0], float(np.mean(raw[:_TOP])), float(len(window)), seconds, float(level)


@dataclass(frozen=True)
class Scale:
    """How odd each feature is beside those of some windows, `features` (m, columns).

    Up to `spared` of the windows may be as odd as one that is judged, and have no say. The spread of a feature
    reaches to its quantile `upper`.
    """

    features: FloatArray
    spared: int = 0
    upper: float = 0.9

    def at_least(self, x: FloatArray) -> IntArray:
        """How many of the windows have at least each feature's value, shape (n, columns)."""
        places = [np.searchsorted(o, f, side="left") for o, f in zip(self._ordered.T, x.T, strict=True)]
        return np.asarray(len(self.features) - np.stack(places, axis=1))

    def parts(self, x: FloatArray) -> FloatArray:
        """What each feature adds to the raw score, shape (n, columns)."""
        told = np.maximum(self.at_least(x) - self.spared, 0)
        return self.sum(-np.log((1 + told) / (len(self.features) + 1)), x)

    def own_parts(self) -> FloatArray:
        """The same of the windows themselves, each judged by the others."""
        others = np.maximum(self.at_least(self.features) - 1 - self.spared, 0)
        return self.sum(-np.log((1 + others) / len(self.features)), self.features)

    def sum(self, ranks: FloatArray, x: FloatArray) -> FloatArray:
        """The same, where -log of each feature's rank is known already."""
        middle, spread = self._usual
        z = (x - middle) / spread
        nats = ranks / 3 + np.clip(np.log1p(np.maximum(z, 0)), 0, _MOST_Z)
        nats[:, _SHAPE] = ranks[:, _SHAPE] / 6  # length and duration drift with the load: they count, but little
        return np.asarray(nats, dtype=np.float32)

    @cached_property
    def _ordered(self) -> FloatArray:
        return np.sort(self.features, axis=0)

    @cached_property
    def _usual(self) -> tuple[FloatArray, FloatArray]:
        """Median and upper spread of the windows' features, each of shape (columns,)."""
        middle = np.median(self.features, axis=0)
        spread = np.quantile(self.features, self.upper, axis=0) - middle
        return middle, np.maximum(spread, 0.02 + 0.05 * np.abs(middle))


def spared_of(windows: int) -> int:
    """How many of so many windows may be anomalies that nobody saw."""
    return int(SPARED * windows)


@dataclass(frozen=True)
class WindowReference:
    """The support's windows, and how odd each of them looks to the others; `spared` of them may be anomalies.

    `left_out` has for each window that was not taken over the templates that were the reason.
    """

    support: Windows
    spared: int = 0
    left_out: Reasons = ()

    @classmethod
    def of(cls, support: Windows, left_out: Reasons = ()) -> WindowReference:
        """Windows that are ordinary as far as anybody knows."""
        return cls(support, spared_of(len(support)), left_out)

    def __post_init__(self) -> None:
        if len(self.support) < MIN_WINDOWS:
            raise InputError(
                f"the ordinary lines hold {len(self.support)} complete windows, at least {MIN_WINDOWS} are needed; "
                f"give more lines, or choose shorter windows (--window)"
            )

    @property
    def known(self) -> int:
        """How many templates the support taught."""
        return int(self.support.counts.shape[1]) - 1

    @cached_property
    def no_habits(self) -> Habits:
        """What is there before any window but the support's has been seen."""
        return Habits.none(self.known + 1)

    @cached_property
    def own_features(self) -> FloatArray:
        """Features of the support's windows, each against all the others, shape (n, columns)."""
        return self._features(self.support, own=True, habits=self.no_habits)

    @cached_property
    def own_scores(self) -> FloatArray:
        """Raw scores of the support's windows, each judged by the others, shape (n,): what calibrates."""
        return np.asarray(self.scale.own_parts().sum(axis=1))

    @cached_property
    def scale(self) -> Scale:
        """How odd features are beside the support's own."""
        return Scale(self.own_features, self.spared)

    def parts(self, windows: Windows) -> FloatArray:
        """What each kind of evidence adds to each window's raw score, shape (n, columns)."""
        return self.scale.parts(self.features(windows, self.no_habits))

    def features(self, windows: Windows, habits: Habits) -> FloatArray:
        """How far each window is from the support's, shape (n, columns); what is a habit of late is no distance."""
        return self._features(windows, own=False, habits=habits)

    def new_lines(self, windows: Windows) -> FloatArray:
        """How many lines of each window are of templates that no window of the support holds, shape (n,)."""
        return np.asarray(windows.counts[:, self._present == 0].sum(axis=1))

    @cached_property
    def strange(self) -> npt.NDArray[np.bool_]:
        """Which templates no more than the spared windows hold, shape (templates,)."""
        return np.asarray(self._present <= self.spared)

    @cached_property
    def _support_roots(self) -> FloatArray:
        return roots(self.support.counts)

    @cached_property
    def _top_counts(self) -> FloatArray:
        """The two largest counts of each template in a support window, shape (2, templates)."""
        return np.asarray(-np.sort(-self.support.counts, axis=0)[:2])

    @cached_property
    def _present(self) -> FloatArray:
        return np.asarray((self.support.counts > 0).sum(axis=0), dtype=np.float64)

    @cached_property
    def _edge_counts(self) -> tuple[IntArray, IntArray]:
        width = self.support.counts.shape[1]
        first, last = self.support.edges.T
        return np.bincount(first, minlength=width), np.bincount(last, minlength=width)

    @cached_property
    def _pairs(self) -> tuple[Counter[tuple[int, int]], Counter[int]]:
        pairs = Counter(pair for of_window in self.support.pairs for pair in of_window)
        befores: Counter[int] = Counter()
        for (before, _), n in pairs.items():
            befores[before] += n
        return pairs, befores

    def _features(self, windows: Windows, *, own: bool, habits: Habits) -> FloatArray:
        """One row per window; with `own` each support window is compared with the others only."""
        near = self._nearest(windows, own=own, habits=habits)
        missing, rare = self._presence(windows, own=own, habits=habits)
        order, worst = self._orders(windows, own=own, habits=habits)
        first, last = (self._edge(windows, i, own=own, habits=habits) for i in (0, 1))
        high, three, lines, seconds, level = windows.shape.T
        new = np.log1p(self.new_lines(windows))
        lines, seconds = np.log1p(lines), np.log1p(seconds)
        repeated = self._repeated(windows, own=own, habits=habits)
        columns = (high, three, new, near[:, 0], near.mean(axis=1), missing, rare, order, worst, last, first,
                   lines, -lines, seconds, -seconds, repeated, level)  # fmt: skip
        return np.stack(columns, axis=1).astype(np.float32)

    def _nearest(self, windows: Windows, *, own: bool, habits: Habits) -> FloatArray:
        """Hellinger distances to the three nearest support windows behind the spared ones, shape (n, 3)."""
        mixes = roots(windows.counts)
        like = mixes @ self._support_roots.T
        if own:
            np.fill_diagonal(like, -np.inf)
        nearest = -np.sort(-like, axis=1)[:, self.spared : self.spared + _TOP]
        return np.minimum(hellinger(nearest), habits.distance(mixes)[:, None])

    def _presence(self, windows: Windows, *, own: bool, habits: Habits) -> tuple[FloatArray, FloatArray]:
        """Surprise (nats) of all templates that are lacking together, and of the rarest that is there."""
        has = windows.counts > 0
        others = self._seen(self._present - has if own else self._present)
        share = (others + 0.5) / (len(self.support) - own + 1)
        absent = np.maximum(np.maximum(1 - share, 1e-6), habits.absent)
        share = np.maximum(share, habits.present)
        lacking, usual = -np.log(absent), others > 0.5
        return np.asarray((lacking * (~has & usual)).sum(axis=1)), np.asarray((-np.log(share) * has).max(axis=1))

    def _seen(self, others: FloatArray | IntArray) -> FloatArray:
        """How many windows do a thing, none where they may all be anomalies."""
        return np.where(others > self.spared, others, 0.0)

    def _orders(self, windows: Windows, *, own: bool, habits: Habits) -> tuple[FloatArray, FloatArray]:
        """Mean and largest surprise (nats) of a template behind the one before it."""
        pairs, befores = self._pairs
        out = np.zeros((len(windows), 2))
        for row, of_window in zip(out, windows.pairs, strict=True):
            mine = Counter(of_window) if own else Counter[tuple[int, int]]()
            before = Counter(a for a, _ in of_window) if own else Counter[int]()
            nats = [
                -np.log(
                    max(
                        (pairs[pair] - mine[pair] + 0.5) / (befores[pair[0]] - before[pair[0]] + 1),
                        habits.pairs.get(pair, 0),
                    )
                )
                for pair in of_window
            ]
            if nats:
                row[:] = np.mean(nats), max(nats)
        return out[:, 0], out[:, 1]

    def _edge(self, windows: Windows, which: int, *, own: bool, habits: Habits) -> FloatArray:
        """Surprise (nats) of starting (0) or ending (1) with a template."""
        edge = windows.edges[:, which]
        share = (self._seen(self._edge_counts[which][edge] - own) + 0.5) / (len(self.support) - own + 1)
        habit = (habits.first, habits.last)[which][edge]
        return np.asarray(-np.log(np.maximum(share, habit)))

    def _repeated(self, windows: Windows, *, own: bool, habits: Habits) -> FloatArray:
        """Largest log ratio of a template's count to the largest count of it in a support window."""
        top = self._top_counts
        most = np.where(windows.counts == top[0], top[1], top[0]) if own else top[0]
        return np.asarray(np.log((windows.counts + 1) / (np.maximum(most, habits.most) + 1)).max(axis=1))
