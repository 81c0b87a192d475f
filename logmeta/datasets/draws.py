"""Support draws: which lines a method is shown, and which units it is judged on afterwards.

Even draws take one contiguous block, as a person copies a piece of a log (draw 0 the very first lines); odd draws
take pieces spread over the ordinary part. Everything follows from the set, the shots and the draw's number.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Final, Protocol

import numpy as np

from logmeta.datasets.labelled import ANOMALOUS, Incident, LabelledLine, LabelledSet
from logmeta.errors import InputError
from logmeta.header import find_stamp
from logmeta.records import LogRecord

PIECES: Final = 4
_RESERVED_INCIDENTS: Final = 3


class Shots(Protocol):
    """How much of a set is shown: `k` ordinary lines or sessions (0: all), the share of anomalies hidden among them,
    how many anomalies come with a label. `reserved` anomalies are set aside for hiding or labelling, not judged.
    """

    @property
    def k(self) -> int: ...
    @property
    def contamination(self) -> float: ...
    @property
    def labels(self) -> int: ...
    @property
    def reserved(self) -> int: ...


class TooFewError(InputError):
    """The set has fewer ordinary units than the shots ask for."""


@dataclass(frozen=True)
class Draw:
    """One support draw. `support` are indices into `ordinary`, `hidden` and `anomalies` into `ordinary` (>= 0) or,
    where that has too few, into `test` (-1 - index); what was taken from `test` is not judged.

    `data` is the set with the reserved anomalies taken out of judgement: their incidents are excluded spans, their
    lines' labels unknown.
    """

    data: LabelledSet
    number: int
    support: tuple[int, ...]
    hidden: tuple[int, ...]
    anomalies: tuple[int, ...]

    def support_records(self) -> list[LogRecord]:
        """The support as a method sees it: no labels, hidden anomalies among the ordinary lines."""
        lines = [self.data.ordinary[i] for i in self.support]
        strange = [self.line(i) for i in self.hidden]
        if strange:
            rng = np.random.default_rng([self.number, 7])
            at = int(rng.integers(0, max(1, len(lines) - len(strange))))
            lines[at : at + len(strange)] = [_restamped(s, lines[at]) for s in strange]
        return records(lines)

    def anomaly_records(self) -> list[LogRecord]:
        """The labelled anomalies."""
        return records([self.line(i) for i in self.anomalies])

    def line(self, index: int) -> LabelledLine:
        """The line that an index of `hidden` or `anomalies` means."""
        return self.data.ordinary[index] if index >= 0 else self.data.test[-1 - index]


def records(lines: Sequence[LabelledLine]) -> list[LogRecord]:
    """Lines as a method sees them: text, stream and time, never the label."""
    return [
        LogRecord(i, line.text, line.stream, None if line.seconds != line.seconds else line.seconds)
        for i, line in enumerate(lines, 1)
    ]


def _restamped(line: LabelledLine, like: LabelledLine) -> LabelledLine:
    """A hidden line under the time of the ordinary line whose place it takes, where both write times alike."""
    own, other = find_stamp(line.text), find_stamp(like.text)
    text = line.text
    if own and other and own.lastgroup == other.lastgroup and len(own[0]) == len(other[0]):
        text = text[: own.start()] + other[0] + text[own.end() :]
    return line._replace(text=text, seconds=like.seconds)


def make_draw(data: LabelledSet, shots: Shots, number: int, *, seed: int = 0) -> Draw:
    """Draw `number` of a set with these shots.

    Raises:
        TooFewError: fewer ordinary lines (or sessions) than `shots.k`, or fewer anomalies than are needed.
    """
    rng = np.random.default_rng([seed, number])
    units = _units(data.ordinary, data.unit)
    ordinary = [u for u in units if all(data.ordinary[i].label != ANOMALOUS for i in u)]
    chosen = _chosen(len(ordinary), shots.k, number, rng, data)
    support = sorted(chain.from_iterable(ordinary[i] for i in chosen))
    pool, judged = _reserve(data, shots, np.random.default_rng([seed, number, 1]))
    hidden = pool[: round(shots.contamination * len(chosen))]
    labelled = pool[: shots.labels]
    return Draw(
        judged, number, tuple(support), tuple(chain.from_iterable(hidden)), tuple(chain.from_iterable(labelled))
    )


def _units(lines: Sequence[LabelledLine], unit: str) -> list[list[int]]:
    """Indices of the lines of each unit, units in the order they begin."""
    if unit == "line":
        return [[i] for i in range(len(lines))]
    sessions: dict[str | None, list[int]] = {}
    for i, line in enumerate(lines):
        sessions.setdefault(line.stream, []).append(i)
    return list(sessions.values())


def _chosen(available: int, k: int, number: int, rng: np.random.Generator, data: LabelledSet) -> list[int]:
    if k > available:
        raise TooFewError(f"{data.name!r} has {available} ordinary {data.unit}s, {k} were asked for")
    if k == 0 or k == available:
        return list(range(available))
    if number == 0:
        return list(range(k))
    if number % 2 == 0:
        start = int(rng.integers(0, available - k + 1))
        return list(range(start, start + k))
    return _spread(available, k, rng)


def _spread(available: int, k: int, rng: np.random.Generator) -> list[int]:
    """`k` of the units in a few pieces of equal length that do not touch."""
    sizes = [len(part) for part in np.array_split(np.arange(k), min(PIECES, k))]
    gaps = np.sort(rng.integers(0, available - k + 1, len(sizes)))
    starts = [int(gap) + sum(sizes[:i]) for i, gap in enumerate(gaps)]
    return [start + j for start, size in zip(starts, sizes, strict=True) for j in range(size)]


def _reserve(data: LabelledSet, shots: Shots, rng: np.random.Generator) -> tuple[list[list[int]], LabelledSet]:
    """Anomalous units to hide or to label, and the set without those that came from its test part."""
    if not shots.reserved:
        return [], data
    early = [u for u in _units(data.ordinary, data.unit) if data.ordinary[u[0]].label == ANOMALOUS]
    if len(early) >= shots.reserved:
        picked = rng.choice(len(early), shots.reserved, replace=False)
        return [early[int(i)] for i in picked], data
    return _from_incidents(data, shots, rng) if data.incidents else _from_test(data, shots, rng)


def _from_test(data: LabelledSet, shots: Shots, rng: np.random.Generator) -> tuple[list[list[int]], LabelledSet]:
    late = [u for u in _units(data.test, data.unit) if data.test[u[0]].label == ANOMALOUS]
    if len(late) < 2 * shots.reserved:
        raise TooFewError(
            f"{data.name!r} has {len(late)} anomalous {data.unit}s; setting {shots.reserved} aside would leave "
            f"too few to judge on"
        )
    picked = [late[int(i)] for i in rng.choice(len(late), shots.reserved, replace=False)]
    unknown = set(chain.from_iterable(picked))
    test = [line._replace(label=None) if i in unknown else line for i, line in enumerate(data.test)]
    return [[-1 - i for i in unit] for unit in picked], replace(data, test=test)


def _from_incidents(data: LabelledSet, shots: Shots, rng: np.random.Generator) -> tuple[list[list[int]], LabelledSet]:
    """Lines of up to three incidents, as somebody labels past incidents; those incidents are not judged."""
    known = [i for i in data.incidents if _symptoms(data, i)]
    picked = [known[int(i)] for i in rng.permutation(len(known))[:_RESERVED_INCIDENTS]]
    lines = sorted(chain.from_iterable(_symptoms(data, i) for i in picked))
    if len(lines) < shots.reserved:
        raise TooFewError(f"three incidents of {data.name!r} have {len(lines)} labelled lines, too few")
    some = [lines[int(i)] for i in rng.permutation(len(lines))[: shots.reserved]]
    return [[-1 - i] for i in some], without(data, picked)


def _symptoms(data: LabelledSet, incident: Incident) -> list[int]:
    return [i for i in range(incident.first - 1, incident.last) if data.test[i].label == ANOMALOUS]


def without(data: LabelledSet, incidents: Sequence[Incident]) -> LabelledSet:
    """The set with some incidents no longer judged: their spans are excluded, their lines' labels unknown."""
    spans = tuple((i.first, i.last) for i in incidents)
    gone = {n for first, last in spans for n in range(first - 1, last)}
    test = [line._replace(label=None) if i in gone else line for i, line in enumerate(data.test)]
    kept = tuple(i for i in data.incidents if i not in incidents)
    return replace(data, test=test, incidents=kept, excluded=data.excluded + spans)
