"""How far each shard was read, and the file that remembers it.

Operations of a shard are numbered without holes (`_seq_no`), but do not become visible in that order: one with a lower
number may show after one with a higher. So a hole is looked at again for a while; what is still missing then was
deleted, replaced, or is none of what is asked for.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import orjson

from logmeta.elastic.paths import Fields
from logmeta.errors import UsageError

FORMAT = 1
MAX_HOLES = 512  # per shard, well below the clauses a query may have


@dataclass(frozen=True, slots=True)
class Hole:
    """Numbers from `first` to `last` that were not there when something above them was; `since` in epoch seconds."""

    first: int
    last: int
    since: float


@dataclass(frozen=True, slots=True)
class Position:
    """Everything below `next` was read, but for the holes. `given_up` counts holes that had to be left early."""

    next: int = 0
    holes: tuple[Hole, ...] = ()
    given_up: int = 0

    def query(self) -> Fields:
        """Matches what was not read yet."""
        new: Fields = {"range": {"_seq_no": {"gte": self.next}}}
        late: list[Fields] = [{"range": {"_seq_no": {"gte": hole.first, "lte": hole.last}}} for hole in self.holes]
        return {"bool": {"should": [new, *late]}} if late else new

    def after(self, seq_nos: Sequence[int], *, now: float, overlap_s: float) -> Position:
        """The position once these numbers, in rising order, were read."""
        late = [number for number in seq_nos if number < self.next]
        new = seq_nos[len(late) :]
        kept = [part for hole in self.holes if now - hole.since < overlap_s for part in _without(hole, late)]
        holes = [*kept, *_between(self.next, new, now)]
        over = max(0, len(holes) - MAX_HOLES)
        return Position(new[-1] + 1 if new else self.next, tuple(holes[over:]), self.given_up + over)


@dataclass(slots=True)
class Checkpoint:
    """Positions by shard; `commit` is called once Elasticsearch has acknowledged what was made of a batch."""

    purpose: str
    file: Path | None = None
    positions: dict[str, Position] = field(default_factory=dict)

    @classmethod
    def load(cls, file: Path | None, *, purpose: str) -> Checkpoint:
        """What the file says, or a fresh start when there is none yet.

        Raises:
            UsageError: the file cannot be read or later written, is damaged, or belongs to another purpose.
        """
        if file is not None and not file.parent.is_dir():
            raise UsageError(f"the folder of the checkpoint {file} is not there; make it, or name another --checkpoint")
        if file is None or not file.exists():
            return cls(purpose, file)
        try:
            saved = orjson.loads(file.read_bytes())
            found = saved["format"], saved["purpose"]
            positions = {key: _position(value) for key, value in saved["shards"].items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise UsageError(f"{file} is no checkpoint ({error!r}); name another --checkpoint, or remove it") from error
        if found != (FORMAT, purpose):
            way_out = "give each command a --checkpoint of its own"
            raise UsageError(
                f"the checkpoint {file} is of {found[1]!r} (format {found[0]}), not {purpose!r}; {way_out}"
            )
        return cls(purpose, file, positions)

    def commit(self, positions: dict[str, Position]) -> None:
        """Remember them, in the file too. Raises UsageError when that cannot be written."""
        self.positions.update(positions)
        if self.file is None:
            return
        beside = self.file.with_name(self.file.name + ".new")
        content = {"format": FORMAT, "purpose": self.purpose, "shards": self.positions}
        try:
            with beside.open("wb") as out:
                out.write(orjson.dumps(content))
                out.flush()
                os.fsync(out.fileno())
            beside.replace(self.file)
        except OSError as error:
            raise UsageError(f"cannot write the checkpoint {self.file}: {error}; name another --checkpoint") from error


def _position(saved: Fields) -> Position:
    holes = tuple(Hole(**hole) for hole in saved["holes"])  # type: ignore[arg-type,union-attr]  # checked by the caller
    return Position(int(saved["next"]), holes, int(saved["given_up"]))  # type: ignore[arg-type]  # likewise


def _between(start: int, seq_nos: Sequence[int], now: float) -> list[Hole]:
    """The holes from `start` up to the last of the numbers."""
    holes = []
    for number in seq_nos:
        if number > start:
            holes.append(Hole(start, number - 1, now))
        start = number + 1
    return holes


def _without(hole: Hole, seq_nos: Sequence[int]) -> list[Hole]:
    """What is left of a hole when these numbers were found."""
    found = [number for number in seq_nos if hole.first <= number <= hole.last]
    return _between(hole.first, [*found, hole.last + 1], hole.since)
