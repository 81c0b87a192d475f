"""What the streams of one source say together: how much each one talks, whether one fell silent, what follows what
across them.

Nothing of it speaks for a source of a single stream. Like the rest of a context it is prequential (a line is judged
from those before it, then counted), bounded, and in nats.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple

from logmeta.chances import LONG, SHORT, excess, make_room, unlikely_next

MAX_SHARES: Final = 2_000
MAX_PAIRS: Final = 20_000
_ESTABLISHED: Final = 50.0  # lines from which a stream is one that stays, not a request that ends
_FORGOTTEN: Final = 30.0  # a stream silent for so many of its longest pauses has left
_PATIENCE: Final = 2.0
_PAUSE: Final = 8  # lines from one look at silent streams to the next


@dataclass(slots=True)
class Share:
    """A stream's decayed counts of lines, the source's line it came with last, and its longest pause in lines."""

    long: float = 0.0
    short: float = 0.0
    line: int = 0
    longest: float = 0.0

    @property
    def established(self) -> bool:
        """Whether the stream has been there long enough to say what is usual for it."""
        return self.long >= _ESTABLISHED


@dataclass(slots=True)
class Followed:
    """How often a template was followed by one of another stream, and by how many different ones."""

    times: float = 0.0
    kinds: int = 0


class Together(NamedTuple):
    """Evidence in nats: an unusual order across streams, a stream louder than its share, established ones silent.

    `louder` has the stream's lines among the last tens and their usual number, `silent` the longest pause of the
    stream silent for longest, in lines, and how long it is silent now.
    """

    order: float
    imbalance: float
    silence: float
    louder: tuple[float, float]
    silent: tuple[float, float]


@dataclass(slots=True)
class Across:
    """State of a source's streams, known by fingerprints of their names. Lines without a stream are not counted."""

    lines: int = 0
    total: float = 0.0
    short_total: float = 0.0
    shares: dict[int, Share] = field(default_factory=dict)
    pairs: dict[tuple[int, int], float] = field(default_factory=dict)
    followed: dict[int, Followed] = field(default_factory=dict)
    last_stream: int = -1
    last_template: int = -1
    next_due: float = math.inf
    silence: float = 0.0
    silent: tuple[float, float] = (0.0, 0.0)

    def observe(self, stream: int, template: int, prior: float) -> Together:
        """Evidence against a line of `stream`, then count it; `prior` is its template's usual share of the lines."""
        share = self.shares.get(stream)
        if share is None:
            make_room(self.shares, MAX_SHARES)
            share = self.shares[stream] = Share(line=self.lines)
        order = self._order(stream, template, prior)
        imbalance, louder = self._imbalance(share)
        if self.lines > self.next_due:
            self._look_for_silence()
        self.last_stream, self.last_template = stream, template
        self.lines += 1
        return Together(order, imbalance, self.silence, louder, self.silent)

    def _order(self, stream: int, template: int, prior: float) -> float:
        """Surprise that this template follows that of the line before, where that is of another stream."""
        if self.last_stream in (-1, stream):
            return 0.0
        pair, before = (self.last_template, template), self._followed()
        count = self.pairs.get(pair, 0)
        nats = unlikely_next(count, before.times, before.kinds, prior)
        if not count:
            before.kinds += 1
            make_room(self.pairs, MAX_PAIRS)
        self.pairs[pair] = count + 1
        before.times += 1
        return nats

    def _followed(self) -> Followed:
        found = self.followed.get(self.last_template)
        if found is None:
            make_room(self.followed, MAX_PAIRS)
            found = self.followed[self.last_template] = Followed()
        return found

    def _imbalance(self, share: Share) -> tuple[float, tuple[float, float]]:
        """How much more often than usual an established stream came among the last tens of lines, and count it."""
        away = self.lines - share.line
        usual = share.long / (self.total + 1)
        share.short = share.short * 0.5 ** (away / SHORT[1]) + 1
        self.short_total = self.short_total * 0.5 ** (1 / SHORT[1]) + 1
        nats = excess(share.short, usual * self.short_total + 0.5) if share.established else 0.0
        share.long = share.long * 0.5 ** (away / LONG) + 1
        self.total = self.total * 0.5 ** (1 / LONG) + 1
        share.longest, share.line = max(share.longest, away), self.lines
        if share.established:
            self.next_due = min(self.next_due, self.lines + _PATIENCE * share.longest)
        return nats, (share.short, usual * self.short_total)

    def _look_for_silence(self) -> None:
        """How overdue established streams are together, and the one that is silent for longest."""
        self.silence, self.silent, self.next_due = 0.0, (0.0, 0.0), math.inf
        for share in [s for s in self.shares.values() if s.established]:
            away = self.lines - share.line
            if away > _FORGOTTEN * share.longest:
                share.long = 0.0
            elif away > _PATIENCE * share.longest:
                self.silence += 2.0 * math.log(away / share.longest)
                self.silent = max(self.silent, (share.longest, float(away)), key=lambda pause: pause[1])
                self.next_due = min(self.next_due, self.lines + _PAUSE)
            else:
                self.next_due = min(self.next_due, share.line + _PATIENCE * share.longest)

    def fade(self, weight: float) -> None:
        """Let which template follows which count for that part of what it did (0-1)."""
        self.pairs = {pair: weight * count for pair, count in self.pairs.items()}
        for one in self.followed.values():
            one.times *= weight

    def copy(self) -> Across:
        """A state of its own, equal to this one."""
        return replace(
            self,
            shares={stream: replace(share) for stream, share in self.shares.items()},
            pairs=self.pairs.copy(),
            followed={template: replace(one) for template, one in self.followed.items()},
        )
