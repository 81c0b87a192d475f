"""A test of exchangeability, line by line: does what comes still rank among what came?

A gambler bets that ranks of new lines are not uniform; on exchangeable lines nobody can win, so a fortune is evidence
of change. Vovk, Nouretdinov, Gammerman. Testing exchangeability on-line. ICML 2003.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right, insort
from collections import deque
from dataclasses import dataclass, field
from typing import Final

JUMP: Final = 0.01
_STAKES: Final = (-1.0, -0.5, 0.0)


@dataclass(slots=True)
class Martingale:
    """The Simple Jumper: a fortune over three stakes, on small ranks, half on them, and on none.

    Small ranks are odd lines: a source whose lines grow less odd, as they do while it becomes known, is no worry.

    `nats` is the logarithm of the fortune since it was last at its lowest (a fortune below its stake begins anew), so a
    change is seen however long all was well before. No rank can multiply the fortune by more than 1.5.

    Vovk, Petej, Nouretdinov, Ahlberg, Carlsson, Gammerman. Retrain or not retrain: conformal test martingales for
    change-point detection. COPA 2021.
    """

    nats: float = 0.0
    shares: tuple[float, float, float] = (1 / 3, 1 / 3, 1 / 3)

    def see(self, p: float) -> float:
        """Bet on a rank from 0 to 1, uniform where nothing changed; gives `nats`."""
        moved = (
            ((1 - JUMP) * share + JUMP / 3) * (1 + stake * (p - 0.5))
            for share, stake in zip(self.shares, _STAKES, strict=True)
        )
        much, half, none = moved
        total = much + half + none
        self.nats += math.log(total)
        self.shares = (much / total, half / total, none / total)
        if self.nats < 0:
            self.nats, self.shares = 0.0, (1 / 3, 1 / 3, 1 / 3)
        return self.nats


@dataclass(slots=True)
class Ranks:
    """Ranks of values among all that came before them, of which the `most` latest are kept; none before `fewest`."""

    fewest: int
    most: int
    _ordered: list[float] = field(default_factory=list)
    _came: deque[float] = field(default_factory=deque)

    def __len__(self) -> int:
        return len(self._came)

    def see(self, value: float) -> float | None:
        """The share of earlier values that lie above this one, between 0 and 1; equal ones count half."""
        rank = self._rank(value) if len(self) >= self.fewest else None
        if len(self) == self.most:
            self._ordered.pop(bisect_left(self._ordered, self._came.popleft()))
        insort(self._ordered, value)
        self._came.append(value)
        return rank

    def _rank(self, value: float) -> float:
        above = len(self) - bisect_right(self._ordered, value)
        equal = len(self) - above - bisect_left(self._ordered, value)
        return (above + (equal + 1) / 2) / (len(self) + 1)
