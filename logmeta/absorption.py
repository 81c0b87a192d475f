"""Gated absorption: what a deploy changed becomes ordinary, but never by itself what is bad, rare or one stream's.

Lines whose templates keep being anomalous while a source goes through a deploy are put into quarantine. A template
that comes back across time and streams and sounds like nothing bad is absorbed: its lines are lowered, as by a
person's "not an anomaly". So there are two thresholds, one that moves for what drifts, and one that stays for what is
known to be bad. All that is absorbed is listed and can be undone.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import numpy as np

from logmeta.drift import BLOCKS, DriftMonitor
from logmeta.errors import UsageError
from logmeta.feedback import Absorbed
from logmeta.records import ScoredLine

if TYPE_CHECKING:
    from logmeta.detector import Detector

PER_DAY: Final = 50  # templates absorbed in 24 hours at most
MOST_ABSORBED: Final = 1_000
LEAST_SHARE: Final = 0.05  # of the present's lines is unseen: a deploy is no drip
_REPEATED: Final = 3  # blocks of the present in which a template was anomalous
_QUARANTINE: Final = 2  # blocks that it stays there at least
_SCORES: Final = 64
_MOST_STREAMS: Final = 16
_MOST_TEMPLATES: Final = 2_000


@dataclass(slots=True)
class _Candidate:
    """A template in quarantine: where it was anomalous, how much, and since which block it would be taken."""

    is_bad: bool
    blocks: deque[int] = field(default_factory=lambda: deque(maxlen=BLOCKS))
    scores: deque[float] = field(default_factory=lambda: deque(maxlen=_SCORES))
    streams: set[str | None] = field(default_factory=set)
    since: int | None = None

    def see(self, line: ScoredLine, block: int, lowered: float) -> None:
        if not self.blocks or self.blocks[-1] != block:
            self.blocks.append(block)
        self.scores.append(line.raw_score + lowered)
        if len(self.streams) < _MOST_STREAMS:
            self.streams.add(line.stream)


class Quarantine:
    """Follows the scored lines of one source beside its drift monitor. Bounded: 2,000 templates, the latest ones."""

    def __init__(self, detector: Detector, monitor: DriftMonitor) -> None:
        self._detector, self._monitor = detector, monitor
        self._candidates: OrderedDict[str, _Candidate] = OrderedDict()
        self._block = 0

    def use(self, detector: Detector) -> None:
        """Go on beside another version of the detector; what it has absorbed leaves the quarantine."""
        self._detector = detector
        for one in detector.absorbed:
            self._candidates.pop(one.template, None)

    def see(self, lines: Iterable[ScoredLine]) -> None:
        """Scored lines in order, which the monitor has seen already."""
        block, lowered = self._monitor.block, self._detector.lowered_by_template
        for line in lines:
            if line.alarm_id is not None and line.line_no == line.record_line_no:
                self._candidate(line).see(line, block, lowered.get(line.template, 0.0))

    def __len__(self) -> int:
        return len(self._candidates)

    def ready(self) -> tuple[Absorbed, ...]:
        """Templates that have passed every gate by now; asked once a block."""
        if self._monitor.block == self._block:
            return ()
        self._block = self._monitor.block
        latest = self._monitor.latest
        if latest.kind != "deploy" or latest.unseen_share < LEAST_SHARE:
            self._wait_again()
            return ()
        passed = [template for template in list(self._candidates) if self._passes(template)]
        return tuple(self._absorbed(template) for template in passed[: self._room()])

    def _candidate(self, line: ScoredLine) -> _Candidate:
        candidate = self._candidates.get(line.template)
        if candidate is None:
            candidate = self._candidates[line.template] = _Candidate(self._is_bad(line))
        self._candidates.move_to_end(line.template)
        if len(self._candidates) > _MOST_TEMPLATES:
            self._candidates.popitem(last=False)
        return candidate

    def _is_bad(self, line: ScoredLine) -> bool:
        """Whether a line would be alarming in any system: by its level, its words, or what people said of its like."""
        more = sum(float(of_kind[0]) for of_kind in self._detector.added([line.template]).values())
        return more > 0 or self._monitor.sounds_bad(line)

    def _passes(self, template: str) -> bool:
        candidate = self._candidates[template]
        oldest = self._block - BLOCKS
        again = sum(block > oldest for block in candidate.blocks) >= _REPEATED
        everywhere = len(candidate.streams) >= min(2, len(self._monitor.streams()))
        if candidate.is_bad or not (again and everywhere):
            candidate.since = None
            return False
        candidate.since = self._block if candidate.since is None else candidate.since
        return self._block - candidate.since >= _QUARANTINE

    def _wait_again(self) -> None:
        for candidate in self._candidates.values():
            candidate.since = None

    def _absorbed(self, template: str) -> Absorbed:
        candidate = self._candidates[template]
        scores = np.array(candidate.scores)
        at = datetime.now(UTC).isoformat(timespec="seconds")
        return Absorbed(template, float(scores.max() + scores.std()), len(scores), len(candidate.streams), at)

    def _room(self) -> int:
        """How many may be absorbed now. A clock that went back makes it fewer, never more."""
        day_ago = (datetime.now(UTC) - timedelta(days=1)).isoformat(timespec="seconds")
        absorbed = self._detector.absorbed
        today = sum(one.at > day_ago for one in absorbed)
        return max(0, min(PER_DAY - today, MOST_ABSORBED - len(absorbed)))


def absorbing(detector: Detector, more: Sequence[Absorbed]) -> Detector:
    """The detector with more absorbed: once per template, the latest counts."""
    kept = {one.template: one for one in (*detector.absorbed, *more)}
    return replace(detector, absorbed=tuple(kept.values()))


def without_absorbed(absorbed: Sequence[Absorbed], identity: str) -> tuple[Absorbed, ...]:
    """What stays absorbed without the one of that id, or without any for `all`.

    Raises:
        UsageError: none has it.
    """
    rest = tuple(one for one in absorbed if identity not in (one.id, "all"))
    if len(rest) == len(absorbed):
        raise UsageError(f"nothing absorbed has the id {identity!r}; see `logmeta absorb --list`")
    return rest
