"""Episodes for meta-training: one source, a support set of its ordinary lines, labelled queries from later on.

An episode's support is drawn as `logmeta eval` draws it: a block or pieces spread over the ordinary part, 60 to 2,000
lines, sometimes with anomalies hidden in it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from logmeta.datasets.draws import Draw, TooFewError, make_draw, records
from logmeta.datasets.labelled import ANOMALOUS, NORMAL, LabelledSet
from logmeta.evidence import Encoders
from logmeta.meta.progress import Stage
from logmeta.meta.support import Support, corrupted, prepare
from logmeta.records import LogRecord
from logmeta.window import FloatArray, IntArray

_NEGATIVES: Final = 20_000
_CAUSES: Final = 2_000
_PER_INCIDENT: Final = 300


@dataclass(frozen=True, slots=True)
class Shots:
    """How an episode's support is drawn: `k` ordinary lines, draw `number` (even: a block, odd: spread pieces)."""

    k: int
    number: int = 0
    contamination: float = 0.0
    labels: int = 0

    @property
    def reserved(self) -> int:
        """Anomalies set aside for hiding among the support."""
        return 10 if self.contamination else 0


LINES: Final = (
    Shots(20, 1),
    Shots(60, 0),
    Shots(60, 1),
    Shots(200, 0),
    Shots(200, 1),
    Shots(200, 2),
    Shots(200, 3),
    Shots(200, 5, 0.05),
    Shots(600, 1),
    Shots(2_000, 0),
    Shots(2_000, 1),
    Shots(2_000, 3, 0.01),
)


@dataclass(frozen=True, slots=True)
class Episode:
    """Features of a support set (of the lines that adaptation sees and of those held out), of corrupted copies of it,
    and of labelled queries.

    `incidents` holds one array (lines, WIDTH) per incident, `causes` the lines known to be caused by one,
    `normal` the lines outside all incidents.
    """

    source: str
    support: FloatArray
    held_out: FloatArray
    corrupted: FloatArray
    incidents: list[FloatArray]
    causes: FloatArray
    normal: FloatArray


def read_episodes(
    encoders: Encoders,
    sets: Sequence[LabelledSet],
    foreign: Mapping[str, Sequence[str]],
    kept: Path,
    *,
    seed: int,
    stage: Stage,
) -> list[Episode]:
    """Episodes of all sets; those of a set are kept in a file below `kept`, and read from it if it is there."""
    found = []
    for data in sets:
        path = kept / f"{data.name}.npz"
        if not path.exists():
            _write(path, list(episodes(encoders, data, foreign[data.name], seed=seed)))
        found += _read(path, data.name)
        stage.step()
    return found


def _write(path: Path, found: Sequence[Episode]) -> None:
    """In half precision: there are gigabytes of them. Beside, then renamed."""
    arrays: dict[str, Any] = {}
    for i, one in enumerate(found):
        arrays |= {f"{i}.{name}": value.astype(np.float16) for name, value in _arrays(one).items()}
    beside = path.with_suffix(".part.npz")
    np.savez(beside, **arrays)
    beside.replace(path)


def _arrays(e: Episode) -> dict[str, FloatArray]:
    incidents = {f"incident.{i}": x for i, x in enumerate(e.incidents)}
    whole = ("support", "held_out", "corrupted", "causes", "normal")
    return {name: getattr(e, name) for name in whole} | incidents


def _read(path: Path, source: str) -> list[Episode]:
    with np.load(path) as stored:
        arrays: dict[int, dict[str, FloatArray]] = {}
        for name in stored.files:
            number, _, part = name.partition(".")
            arrays.setdefault(int(number), {})[part] = stored[name].astype(np.float32)
    return [_episode_of(source, parts) for parts in arrays.values()]


def _episode_of(source: str, parts: Mapping[str, FloatArray]) -> Episode:
    incidents = [x for name, x in parts.items() if name.startswith("incident.")]
    whole = {name: x for name, x in parts.items() if not name.startswith("incident.")}
    return Episode(source=source, incidents=incidents, **whole)


def episodes(encoders: Encoders, data: LabelledSet, foreign: Sequence[str], *, seed: int) -> Iterator[Episode]:
    """The episodes of one source. Supports larger than its ordinary part are cut to that, once."""
    most = len(data.ordinary)
    for shots in dict.fromkeys(replace(s, k=min(s.k, most)) for s in LINES):
        try:
            draw = make_draw(data, shots, shots.number, seed=seed)
        except TooFewError:
            continue  # too few anomalies to hide some and to judge on the others
        yield episode(encoders, draw, shots, foreign, seed=seed)


def episode(encoders: Encoders, draw: Draw, shots: Shots, foreign: Sequence[str], *, seed: int) -> Episode:
    """One episode of a source: a drawn support, and all its labelled later lines."""
    support = prepare(encoders, draw.support_records())
    data, rng = draw.data, np.random.default_rng([seed, shots.k, shots.number])
    x, head = query_features(encoders, support, records(data.test))
    labels = np.array([-1 if line.label is None else line.label for line in data.test])
    normal = np.unique(head[np.flatnonzero(labels == NORMAL)])
    causes = np.unique(head[np.flatnonzero(labels == ANOMALOUS)])
    spans = [np.unique(head[i.first - 1 : i.last]) for i in data.incidents]
    adapting, held_out = support.split()
    return Episode(
        source=data.name,
        support=adapting,
        held_out=support.x[held_out],
        corrupted=corrupted(encoders, support, foreign, seed=seed),
        incidents=[x[_thinned(rows, _PER_INCIDENT, rng)] for rows in spans],
        causes=x[_thinned(causes, _CAUSES, rng)],
        normal=x[_thinned(normal, _NEGATIVES, rng)],
    )


def query_features(encoders: Encoders, support: Support, lines: Sequence[LogRecord]) -> tuple[FloatArray, IntArray]:
    """Features of later records of the source, (records, WIDTH), and the record that each line belongs to, (lines,)."""
    reader = support.memory.reader(encoders)
    events = [reader.parser.read(record) for record in lines]
    found = reader.read(events, [record.stream for record in lines])
    return found.features, np.maximum.accumulate(np.maximum(found.head_of, 0))


def _thinned(rows: IntArray, most: int, rng: np.random.Generator) -> IntArray:
    return rows if len(rows) <= most else np.sort(rng.choice(rows, most, replace=False))


def foreign_lines(sets: Sequence[LabelledSet], *, per_source: int = 40) -> list[str]:
    """Lines that an incident is known to have caused, a few kinds per source: the inner loop's foreign lines."""
    out: list[str] = []
    for data in sets:
        kinds: dict[str, str] = {}
        for line in data.test:
            if line.label == ANOMALOUS:
                kinds.setdefault("".join(c for c in line.text if c.isalpha())[:60], line.text)
        out += list(kinds.values())[:per_source]
    return out
