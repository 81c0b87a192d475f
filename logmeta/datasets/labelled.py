"""Labelled logs as every loader gives them: ordinary lines to draw a support set from, later lines to judge on."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple

from logmeta.errors import InputError

Unit = Literal["line", "session"]
NORMAL: Final = 0
ANOMALOUS: Final = 1


class LabelledLine(NamedTuple):
    """A log line of a labelled set.

    `stream` names the session (block, request, run, pod) that the line belongs to, None where a source has only one.
    `seconds` is the line's time in epoch seconds, NaN where the set has none (or where the line's text tells it).
    `label` is 1 (anomalous), 0 (normal) or None (not known). Where `unit` is "session", every line carries the label
    of its session.
    """

    text: str
    stream: str | None = None
    seconds: float = float("nan")
    label: int | None = None


@dataclass(frozen=True, slots=True)
class Incident:
    """A stretch of the test lines, 1-based and inclusive, in which something was wrong.

    `symptom` is the first line that shows it; `keyword_free` says that no error word betrays it, `silent` that only
    an absence does.
    """

    first: int
    last: int
    kind: str = ""
    keyword_free: bool = False
    silent: bool = False
    symptom: int | None = None


@dataclass(frozen=True, slots=True)
class DataCard:
    """What a reader must know before trusting a figure from this set.

    `notes` tells how the lines were split into parts, and counts what the loader sampled or left out.
    """

    title: str
    origin: str
    licence: str
    label_quality: str
    known_leaks: str
    citation: str = ""
    notes: str = ""


@dataclass(frozen=True)
class LabelledSet:
    """One system's labelled log: what `logmeta eval` judges on.

    `ordinary` comes before `test` in time. A support set is drawn from the lines of `ordinary` that are not known to
    be anomalous; its anomalous lines, if any, only contaminate on request. `control` holds further normal sessions
    that differ from the test's in a known harmless way (a second AUROC is reported against them). Systems of one
    `family` are held out of meta-training together. Lines in `excluded` spans are scored but not judged.
    `keyword` is the system's own expression for "an error word", where its labels were made with one.
    """

    name: str
    family: str
    unit: Unit
    card: DataCard
    ordinary: Sequence[LabelledLine]
    test: Sequence[LabelledLine]
    control: Sequence[LabelledLine] = ()
    incidents: tuple[Incident, ...] = ()
    excluded: tuple[tuple[int, int], ...] = ()
    keyword: str | None = None
    noisy: bool = False
    only_auroc: bool = False
    sha256: str = field(default="")

    def __post_init__(self) -> None:
        if not self.ordinary or not self.test:
            empty = "test" if self.ordinary else "ordinary"
            raise InputError(f"set {self.name!r} has no {empty} lines; both parts are needed")
        self._check_spans()
        if not self.sha256:
            object.__setattr__(self, "sha256", digest(self))

    def _check_spans(self) -> None:
        lines = len(self.test)
        spans = [(i.first, i.last) for i in self.incidents]
        for first, last in [*spans, *self.excluded]:
            if not 1 <= first <= last <= lines:
                raise InputError(
                    f"labels of {self.name!r} point to lines {first}-{last}, its test log has lines 1-{lines}; "
                    f"line numbers are 1-based and inclusive"
                )
        ordered = sorted(spans)
        for (first, last), (then, _) in itertools.pairwise(ordered):
            if then <= last:
                raise InputError(
                    f"incidents of {self.name!r} overlap: one covers lines {first}-{last}, the next starts at {then}; "
                    f"merge them or cut the first"
                )

    @property
    def positives(self) -> int:
        """Anomalous units of the test part: lines, or sessions."""
        return self.count([line for line in self.test if line.label == ANOMALOUS])

    def count(self, lines: Sequence[LabelledLine]) -> int:
        """How many units some lines are: lines, or sessions."""
        return len({line.stream for line in lines}) if self.unit == "session" else len(lines)


def digest(data: LabelledSet) -> str:
    """Hash of all lines, streams, labels and spans: the same data, the same figures."""
    hashed = hashlib.sha256()
    for part in (data.ordinary, data.test, data.control):
        for line in part:
            hashed.update(f"{line.stream}\0{line.label}\0{line.text}\n".encode(errors="replace"))
        hashed.update(b"\0")
    hashed.update(repr((data.incidents, data.excluded)).encode())
    return hashed.hexdigest()[:16]
