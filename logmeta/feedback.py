"""What people said of lines: "not an anomaly" lowers lines of the same template, "was an anomaly" raises its like.

A label is about one template and touches no other, so a false alarm that is silenced costs no other incident. It adds
to the normal-only score and never replaces it: a line of a silenced template that is odder still alarms.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from typing import Any, Final

import numpy as np

from logmeta.errors import UsageError
from logmeta.meta.features import WIDTH
from logmeta.records import JsonValue
from logmeta.window import FloatArray

MOST_LABELS: Final = 1_000
FEATURES_BYTES: Final = WIDTH * np.dtype(np.float16).itemsize
_MARGIN: Final = 0.5  # raw-score units: lines of a kind differ by as much


@dataclass(frozen=True, slots=True)
class Label:
    """A person's word on a line. `raw_score` is what the line scored without any label, `at` is ISO 8601.

    `features` are the line's (WIDTH float16 as bytes), None where only its document was at hand.
    """

    template: str
    anomalous: bool
    raw_score: float
    by: str | None = None
    at: str | None = None
    features: bytes | None = field(default=None, compare=False, repr=False)

    @property
    def id(self) -> str:
        """Hash of what it says: it names the label whatever happens to the others, as its number does not."""
        return hashlib.blake2s(repr(tuple(self.to_dict().values())).encode(), digest_size=8).hexdigest()

    def to_dict(self) -> dict[str, JsonValue]:
        """What it says, without its features."""
        return {name: value for name, value in asdict(self).items() if name != "features"}

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> Label:
        return cls(**fields)


@dataclass(frozen=True, slots=True)
class Absorbed:
    """A template that became ordinary by itself (`logmeta.absorption`).

    `raw_score` is the highest that its lines scored in quarantine, without any label, and their spread; `lines` (at
    most 64) and `streams` (at most 16) are those it was seen in there; `at` is ISO 8601.
    """

    template: str
    raw_score: float
    lines: int
    streams: int
    at: str

    @property
    def id(self) -> str:
        """A short hash of what it is, the same in every version of the detector."""
        return hashlib.blake2s(f"{self.template}\0{self.at}".encode(), digest_size=6).hexdigest()

    def to_dict(self) -> dict[str, JsonValue]:
        """As it is stored; `id` is worked out."""
        return asdict(self)

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> Absorbed:
        return cls(**fields)


def labelled(labels: Sequence[Label], new: Label) -> tuple[Label, ...]:
    """The labels with another one; earlier ones of its template that say the opposite are withdrawn.

    Raises:
        UsageError: there are 1,000 already.
    """
    kept = [label for label in labels if label.template != new.template or label.anomalous == new.anomalous]
    if len(kept) >= MOST_LABELS:
        raise UsageError(f"there are {len(kept)} labels already; undo some, or onboard the source from later lines")
    return (*kept, new)


def without(labels: Sequence[Label], number: int) -> tuple[Label, ...]:
    """The labels without the one of that number, counted from 1.

    Raises:
        UsageError: there is no such label.
    """
    if not 1 <= number <= len(labels):
        raise UsageError(f"there is no label {number}; there are {len(labels)}, see `logmeta feedback --list`")
    return (*labels[: number - 1], *labels[number:])


def features_of(labels: Sequence[Label], *, anomalous: bool) -> FloatArray:
    """Features of the lines labelled so, as far as they are known, shape (n, WIDTH)."""
    known = [label.features for label in labels if label.anomalous == anomalous and label.features is not None]
    return np.frombuffer(b"".join(known), dtype=np.float16).reshape(len(known), WIDTH)


@lru_cache(maxsize=1_024)
def lowered(labels: tuple[Label, ...], absorbed: tuple[Absorbed, ...], alarm_at: float) -> dict[str, float]:
    """By how much lines of a template are lowered: what its lines called ordinary score beyond the raw score at which
    alarms begin, the spread of these scores, and a margin. Of several words on a template the strongest counts."""
    scores: dict[str, list[float]] = {}
    for label in labels:
        if not label.anomalous:
            scores.setdefault(label.template, []).append(label.raw_score)
    highest = {one.template: one.raw_score for one in absorbed}
    for template, of_it in scores.items():
        highest[template] = max(highest.get(template, -np.inf), max(of_it) + float(np.std(of_it)))
    beyond = {template: high + _MARGIN - alarm_at for template, high in highest.items()}
    return {template: by for template, by in beyond.items() if by > 0}
