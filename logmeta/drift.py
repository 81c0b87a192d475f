"""Whether a source still is what its detector learned, and what changed: gradual drift, a deploy or an incident.

Three kinds of evidence, each bounded in memory and in what one line can do: templates that the detector never saw, a
martingale over the ranks of scores, and alarms against the budget.
"""

from __future__ import annotations

import math
from collections import Counter, OrderedDict, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Final, Literal

import numpy as np

from logmeta.header import LEVELS, split_header
from logmeta.martingale import Martingale, Ranks
from logmeta.records import JsonValue, ScoredLine
from logmeta.told import REPEAT

if TYPE_CHECKING:
    from logmeta.detector import Detector

DriftKind = Literal["learning", "none", "gradual", "deploy", "incident"]
BLOCK: Final = 50  # lines that are looked at together
BLOCKS: Final = 20  # that make the present
SETTLING: Final = 20  # first blocks that are not ranked: a source's lines score high until their context is known
REFERENCE: Final = 20  # blocks that a later one is compared with at least, and at most
MOST_REFERENCE: Final = 2_000
CHANGED_NATS: Final = math.log(1_000)  # a fair gambler gets there once in a thousand games
_REPEATED: Final = 4  # blocks of the present that a template stands in when it is here to stay
_LATELY: Final = 5
_FEWEST: Final = 3  # templates that are here to stay, of a deploy,
_MOST_UNSEEN: Final = 0.5  # different ones per line of late: more is a flood, or a format that the parser does not know
_LARGE: Final = 0.1  # or the part of the lines that fewer make
_SEVERE: Final = 0.5  # how bad a new template must sound at least to count as bad, and worse than
_WARNING: Final = LEVELS["warning"]
_COMMON: Final = 0.95  # of the templates that the detector knows
_MOST_TEMPLATES: Final = 2_000
_MOST_STREAMS: Final = 16
_MOST_CHANGES: Final = 1_000
_SHOWN: Final = 5


@dataclass(slots=True)
class _Block:
    lines: int = 0
    odd: int = 0
    alarms: int = 0
    quiet: float = 0.0
    unseen: Counter[str] = field(default_factory=Counter)
    streams: set[str | None] = field(default_factory=set)


@dataclass(slots=True)
class _Unseen:
    """A template the detector never saw: where it was met first, and in which streams (at most 16) since."""

    first_block: int
    severe: bool
    streams: set[str | None] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Drift:
    """What the latest thousand lines say. `evidence` are sentences, the ones that decided first.

    `line_no` is the last line looked at, `unseen_share` is of the `lines` (0-1), `nats` the martingale's, `alarms`
    those among the lines, `alarms_per_day` all so far at the source's usual rate of lines, `settled` the templates
    never seen before that are here to stay.
    """

    kind: DriftKind
    line_no: int
    lines: int
    unseen_share: float
    nats: float
    alarms: int
    alarms_per_day: float
    budget_per_day: float
    settled: tuple[str, ...]
    evidence: tuple[str, ...]

    def to_dict(self) -> dict[str, JsonValue]:
        return {
            "kind": self.kind,
            "line_no": self.line_no,
            "lines": self.lines,
            "unseen_share": round(self.unseen_share, 4),
            "martingale_nats": round(self.nats, 2),
            "alarms": self.alarms,
            "alarms_per_day": round(self.alarms_per_day, 2),
            "budget_per_day": self.budget_per_day,
            "settled_templates": list(self.settled),
            "evidence": list(self.evidence),
        }


class DriftMonitor:
    """Follows the scored lines of one source. `latest` is what the last whole block said; other threads may read it."""

    def __init__(self, detector: Detector) -> None:
        self._encoders = detector.base.encoders
        self._budget, self._lines_per_day = detector.budget, detector.level.lines_per_day
        self._seen = self._alarms = 0
        self._known = detector.memory.templates
        self._blocks: deque[_Block] = deque([_Block()], maxlen=BLOCKS)
        self._unseen: OrderedDict[str, _Unseen] = OrderedDict()
        self._ranks, self._martingale = Ranks(REFERENCE, MOST_REFERENCE), Martingale()
        self._number = self._line_no = 0
        self._changes: deque[Drift] = deque(maxlen=_MOST_CHANGES)
        self.latest = self.look()

    def see(self, lines: Iterable[ScoredLine]) -> None:
        """Scored lines in order of arrival; continuations are part of their record."""
        for line in lines:
            if line.line_no == line.record_line_no:
                self._see(line)

    def _see(self, line: ScoredLine) -> None:
        if self._blocks[-1].lines == BLOCK:
            self._close(self._blocks[-1])
            self._blocks.append(_Block())
        self._line_no = line.line_no
        block = self._blocks[-1]
        block.lines += 1
        block.odd += line.alarm_id is not None and REPEAT not in line.flags
        block.alarms += line.alarm
        self._seen, self._alarms = self._seen + 1, self._alarms + line.alarm
        if len(block.streams) < _MOST_STREAMS:
            block.streams.add(line.stream)
        if line.new_template:
            block.unseen[line.template] += 1
            self._meet(line)
        block.quiet += 0.0 if line.alarm_id else line.raw_score

    @property
    def block(self) -> int:
        """How many whole blocks there were."""
        return self._number

    def _close(self, block: _Block) -> None:
        self._number += 1
        if self._number > SETTLING and block.odd < BLOCK:
            self._rank(block)
        before, self.latest = self.latest, self.look()
        if self.latest.kind != before.kind:
            self._changes.append(self.latest)

    def _rank(self, block: _Block) -> None:
        """Bet on a whole block's quiet lines: neighbouring lines are too alike to bet on each."""
        rank = self._ranks.see(block.quiet / (BLOCK - block.odd))
        if rank is not None:
            self._martingale.see(rank)

    def _meet(self, line: ScoredLine) -> None:
        known = self._unseen.get(line.template)
        if known is None:
            known = self._unseen[line.template] = _Unseen(self._number, self.sounds_bad(line))
        self._unseen.move_to_end(line.template)
        if len(self._unseen) > _MOST_TEMPLATES:
            self._unseen.popitem(last=False)
        if len(known.streams) < _MOST_STREAMS:
            known.streams.add(line.stream)

    def sounds_bad(self, line: ScoredLine) -> bool:
        """Whether a line is bad by the level that the line names, without one by its words."""
        header = split_header(line.message)
        return header.level > _WARNING if header.word else self._severity([line.template]) > self._severe

    @cached_property
    def _severe(self) -> float:
        """How bad a template must sound to count as bad; most sources never ask."""
        return max(_SEVERE, self._severity(self._known, share=_COMMON))

    def _severity(self, templates: Sequence[str], share: float = 1.0) -> float:
        """How bad templates sound, 0-1, which that share of them does not exceed."""
        return float(np.quantile(self._encoders.severities(self._encoders.text.vectors(templates)), share))

    def take(self) -> list[Drift]:
        """What was seen where the kind changed since the last call (the latest 1,000 changes)."""
        taken = list(self._changes)
        self._changes.clear()
        return taken

    def look(self) -> Drift:
        """What the present says."""
        lines = sum(block.lines for block in self._blocks)
        unseen = sum(block.unseen.total() for block in self._blocks)
        settled = self._settled()
        kind, evidence = self._verdict(settled)
        return Drift(
            kind=kind,
            line_no=self._line_no,
            lines=lines,
            unseen_share=unseen / max(1, lines),
            nats=self._martingale.nats,
            alarms=sum(block.alarms for block in self._blocks),
            alarms_per_day=self._alarms * self._lines_per_day / max(1, self._seen),
            budget_per_day=self._budget.per_day,
            settled=tuple(settled),
            evidence=tuple(evidence),
        )

    def _verdict(self, settled: Sequence[str]) -> tuple[DriftKind, list[str]]:
        calm = [template for template in settled if not self._unseen[template].severe]
        enough = len(calm) >= _FEWEST or self._share(calm) >= _LARGE
        if enough and 2 * len(calm) >= len(settled):
            return "deploy", [_deploy(calm, self.streams())]
        recent = list(self._blocks)[-_LATELY:]
        different = len({template for block in recent for template in block.unseen})
        if different > _MOST_UNSEEN * sum(block.lines for block in recent):
            return "incident", [f"{different} templates never seen before among the last {_LATELY * BLOCK} lines"]
        loud = [template for template in settled if template not in calm]
        odd = sum(block.odd for block in recent)
        if odd or loud:
            return "incident", [_odd(odd)] * bool(odd) + [_severe(loud)] * bool(loud)
        if self._martingale.nats >= CHANGED_NATS:
            return "gradual", [f"lines score higher than earlier ones: {self._martingale.nats:.1f} nats against it"]
        if len(self._ranks) < REFERENCE:
            seen, needed = self._number * BLOCK, (SETTLING + REFERENCE) * BLOCK
            return "learning", [f"{seen} of {needed} lines that later ones are compared with"]
        return "none", ["lines score as earlier ones did, and nothing new is here to stay"]

    def _share(self, templates: Sequence[str]) -> float:
        """The part of the present's lines that these templates make."""
        found = sum(block.unseen[template] for block in self._blocks for template in templates)
        return found / max(1, sum(block.lines for block in self._blocks))

    def _settled(self) -> list[str]:
        """Templates met first in the present that are here to stay: in several blocks, lately, in several streams."""
        blocks = list(self._blocks)
        seen = Counter(template for block in blocks for template in block.unseen)
        late = {template for block in blocks[-_LATELY:] for template in block.unseen}
        several = min(2, len(self.streams()))
        oldest = self._number - len(blocks) + 1
        return [
            template
            for template, known in self._unseen.items()
            if known.first_block >= oldest
            and seen[template] >= _REPEATED
            and template in late
            and len(known.streams) >= several
        ]

    def streams(self) -> set[str | None]:
        """Streams of the present (at most 16 a block)."""
        return set().union(*(block.streams for block in self._blocks))


def _deploy(settled: Sequence[str], streams: set[str | None]) -> str:
    where = f"in several of {len(streams)} streams" if len(streams) > 1 else "again and again"
    return f"{len(settled)} templates never seen before are here to stay, {where}: {_some(settled)}"


def _odd(count: int) -> str:
    return f"{count} of the last {_LATELY * BLOCK} lines are anomalous"


def _severe(settled: Sequence[str]) -> str:
    return f"templates never seen before sound bad: {_some(settled)}"


def _some(templates: Sequence[str]) -> str:
    more = f" and {len(templates) - _SHOWN} more" if len(templates) > _SHOWN else ""
    return "; ".join(repr(template[:80]) for template in templates[:_SHOWN]) + more
