"""What the catalogue holds of each set: its files, its card, how to read it, and how much of it is read."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from logmeta.datasets.files import stored
from logmeta.datasets.labelled import DataCard, LabelledLine, LabelledSet, Unit
from logmeta.errors import InputError, UsageError


@dataclass(frozen=True, slots=True)
class Limits:
    """How much of a large set is read; every rule is deterministic and never looks at a label.

    `limit_sessions` keeps the sessions whose names have the smallest hashes, `max_runs` likewise the runs of each
    group of a fault injection campaign, `max_lines` the first lines of a log. None means the set's own default.
    """

    limit_sessions: int | None = None
    max_runs: int = 60
    max_lines: int | None = None

    def __post_init__(self) -> None:
        for name in ("limit_sessions", "max_runs", "max_lines"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise UsageError(f"{name} is {value}; it must be at least 1")


DEFAULT: Final = Limits()


@dataclass(frozen=True, slots=True)
class Entry:
    """A set of the catalogue. `layouts` lists alternatives; of one of them every file must lie in the data folder."""

    name: str
    family: str
    unit: Unit
    layouts: tuple[tuple[str, ...], ...]
    card: DataCard
    read: Callable[[Path, Limits], LabelledSet]

    def layout(self, data: Path) -> tuple[Path, ...] | None:
        """The files of the first layout that is complete, None where none is."""
        for names in self.layouts:
            paths = tuple(data / name for name in names)
            if all(stored(path) for path in paths):
                return paths
        return None

    def __call__(self, data: Path, limits: Limits = DEFAULT) -> LabelledSet:
        """Load the set from the data folder."""
        if self.layout(data) is None:
            raise InputError(self._missing(data))
        return self.read(data, limits)

    def _missing(self, data: Path) -> str:
        sought = [next(data / n for n in names if not stored(data / n)) for names in self.layouts]
        wanted = " or ".join(str(path) for path in sought)
        places = " or ".join(", ".join(names) for names in self.layouts)
        return (
            f"set {self.name!r} is not here: looked for {wanted}; get it from {self.card.origin} and put it into "
            f"{data} as {places} (nothing is downloaded), or point --data (or LOGMETA_DATA) elsewhere"
        )


def smallest_hashes(names: Iterable[str], limit: int | None) -> set[str]:
    """A sample of `limit` names that depends on nothing but the names; all of them where `limit` is None."""
    ordered = sorted(set(names), key=lambda name: hashlib.blake2s(name.encode()).digest())
    return set(ordered[:limit])


def split_in_time(lines: Sequence[LabelledLine]) -> tuple[list[LabelledLine], list[LabelledLine], int]:
    """Lines of sessions, in time order, as (ordinary, test, number of lines left out).

    Test is every session of the later half by first line. Ordinary is every session that ended before test began:
    one that went on has no end yet that could be learned, and no window crosses the border.
    """
    order = list(dict.fromkeys(line.stream for line in lines))
    judged = set(order[len(order) // 2 :])
    start = next((i for i, line in enumerate(lines) if line.stream in judged), len(lines))
    open_still = {line.stream for line in lines[start:]}
    ordinary = [line for line in lines[:start] if line.stream not in open_still]
    test = [line for line in lines[start:] if line.stream in judged]
    return ordinary, test, len(lines) - len(ordinary) - len(test)
