"""The windows a scoring session has judged of late: what is usual among them is no longer news."""

from __future__ import annotations

from collections import deque
from typing import Final

import numpy as np

from logmeta.grouping import Scale, WindowReference, Windows
from logmeta.habits import BURST, Habits, Row, row_of
from logmeta.window import FloatArray

MOST_WINDOWS: Final = 2_000
MOST_CELLS: Final = 4_000_000
_AT_FIRST: Final = 5
_RENEWED: Final = 40


class RecentWindows:
    """Judges windows from those before them, and counts them; begins with the support's windows.

    Each kind of evidence is the smaller of two: beside the support, and beside the windows of late. Only windows
    that hold nothing but known templates are counted: lines that the support lacks, or that so few of its windows
    have as may be anomalies, stay news, however many come.
    Bounded in windows and in numbers kept (`MOST_CELLS`); the oldest go first.
    """

    def __init__(self, reference: WindowReference) -> None:
        self._reference = reference
        self._rows: deque[Row] = deque()
        self._features: deque[FloatArray] = deque()
        self._cells = self._left = 0
        self._habits = reference.no_habits
        self._scale = reference.scale
        self._count(reference.support, reference.own_features)

    def __len__(self) -> int:
        return len(self._rows)

    def judge(self, windows: Windows) -> FloatArray:
        """What each kind of evidence adds to each window's raw score, shape (n, columns), window after window."""
        out, start = [np.zeros((0, self._reference.own_features.shape[1]), dtype=np.float32)], 0
        while start < len(windows):
            if self._left == 0:
                self._renew()
            stop = min(start + self._left, len(windows))
            out.append(self._piece(windows.between(start, stop)))
            self._left -= stop - start
            start = stop
        return np.concatenate(out)

    def _piece(self, windows: Windows) -> FloatArray:
        x = self._reference.features(windows, self._habits)
        parts = np.minimum(self._reference.scale.parts(x), self._scale.parts(x))
        self._count(windows, x)
        return np.asarray(parts)

    def _renew(self) -> None:
        """Look again at what is usual, every few windows: the fewer there are, the sooner."""
        self._left = max(_AT_FIRST, len(self) // _RENEWED)
        if len(self) >= 2 * BURST:
            self._habits = Habits.of(self._rows)
            upper = max(0.5, 0.9 - BURST / len(self))  # a burst comes on top of the tenth
            self._scale = Scale(np.stack(self._features), BURST, upper)

    def _count(self, windows: Windows, x: FloatArray) -> None:
        known = windows.counts[:, self._reference.strange].sum(axis=1) == 0
        for i in np.flatnonzero(known).tolist():
            row = row_of(windows.counts[i].copy(), windows.edges[i].copy(), windows.pairs[i])
            self._rows.append(row)
            self._features.append(x[i].copy())
            self._cells += _size(row)
        while len(self) > MOST_WINDOWS or (self._cells > MOST_CELLS and len(self) > 1):
            self._cells -= _size(self._rows.popleft())
            self._features.popleft()


def _size(row: Row) -> int:
    return sum(len(part) for part in row)
