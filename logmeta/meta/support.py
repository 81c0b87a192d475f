"""A support set, prepared: ordinary lines to a context, a reference, and the features of each line given the past.

`corrupted` makes the other half of the inner loop's task: copies of stretches of the support with something wrong in
them, read from the context as it was there.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from logmeta.encode.sequence import Stretch
from logmeta.evidence import (
    Encoders,
    EvidenceReader,
    Memory,
    Reference,
    build_reference,
    sequence_evidence,
    stretch_of,
)
from logmeta.meta.features import Precedent, empty_carry, members_of, smoothed, smoothed_by_stream
from logmeta.parse import ParsedEvent, Parser, TemplateTree, is_timed
from logmeta.records import LogRecord
from logmeta.window import EVIDENCE, Context, FloatArray, IntArray

BURN_IN: Final = 0.3  # share of the support that only warms the context up
STRETCH: Final = 30
_WARM: Final = 120
_CHECKPOINTS: Final = 6


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The state of reading in the middle of the support, from which a corrupted stretch is read."""

    context: Context
    precedent: Precedent


@dataclass(frozen=True, slots=True)
class Support:
    """What onboarding knows of a source after reading its ordinary lines once, in order.

    `rows` (n, columns) is the evidence per record head, `x` (n, WIDTH) its features; both are prequential: line i
    was judged from the lines before it. The first `burn_in` rows only warm up.
    """

    memory: Memory
    events: list[ParsedEvent]
    streams: list[str | None]
    rows: FloatArray
    x: FloatArray
    burn_in: int
    checkpoints: dict[int, Checkpoint]
    lines: int

    def split(self) -> tuple[FloatArray, IntArray]:
        """Features of the lines that adaptation may use, (n, WIDTH), and the rows held out for calibration, (m,).

        Every third line behind the burn-in goes to adaptation, so both halves are spread over the whole support.
        """
        rows = np.arange(self.burn_in, len(self.x))
        return self.x[rows[::3]], rows[np.arange(len(rows)) % 3 > 0]

    def same_stream(self, stop: int) -> tuple[list[int], list[int]]:
        """Lines of the stream that goes on at line `stop`: the last ones before it, and those from it on."""
        mine = [i for i, name in enumerate(self.streams) if name == self.streams[stop]]
        border = mine.index(stop)
        return mine[max(0, border - _WARM) : border], mine[border : border + STRETCH]


def prepare(encoders: Encoders, records: Sequence[LogRecord], *, privacy: bool = True) -> Support:
    """Read ordinary records once: learn their templates, then judge each from those before it.

    With `privacy`, personal data and secrets are named before anything is learned (see `logmeta.privacy`).
    """
    timed = is_timed([record.text for record in records[:1000]])
    tree = TemplateTree()
    learner = Parser(tree, timed=timed, learn=True, privacy=privacy)
    for record in records:
        learner.read(record)
    parser = Parser(tree, timed=timed, privacy=privacy)
    parsed = [(parser.read(record), record.stream) for record in records]
    return _observe(encoders, parser, [(event, name) for event, name in parsed if event.is_head], lines=len(records))


def _observe(encoders: Encoders, parser: Parser, heads: list[tuple[ParsedEvent, str | None]], *, lines: int) -> Support:
    events, streams = [event for event, _ in heads], [name for _, name in heads]
    reader = EvidenceReader(encoders, parser, Context(dimension=encoders.dimension), None)
    burn_in = int(BURN_IN * len(heads))
    stops = np.linspace(burn_in, max(burn_in, len(heads) - STRETCH), _CHECKPOINTS).astype(int)
    pieces = list(itertools.pairwise(np.unique([0, *stops, len(heads)]).tolist()))
    parts, contexts = [], {}
    for start, stop in pieces:
        parts.append(reader.read(events[start:stop], streams[start:stop]).rows)
        contexts[stop] = reader.context.copy()
    rows = np.concatenate(parts)
    templates = reader.vectors_of(range(len(parser.templates)))
    reference, rows[:, len(EVIDENCE) :] = _reference(encoders, events, streams, templates)
    averaged, precedent, x = smoothed_by_stream(rows, streams), Precedent(), []
    checkpoints = {}
    for start, stop in pieces:
        x.append(precedent.features(averaged[start:stop]))
        checkpoints[stop] = Checkpoint(contexts[stop], precedent.copy())
    checkpoints.pop(len(heads))
    memory = Memory(
        parser.known, tuple(parser.templates), parser.timed, reader.context, reference, precedent, parser.privacy
    )
    return Support(memory, events, streams, rows, np.concatenate(x), burn_in, checkpoints, lines)


def _reference(
    encoders: Encoders, events: Sequence[ParsedEvent], streams: Sequence[str | None], templates: FloatArray
) -> tuple[Reference, FloatArray]:
    members = list(members_of(streams).values())
    stretches = [_stretch([events[i] for i in places], templates) for places in members]
    return build_reference(encoders, stretches, [i for places in members for i in places], templates)


def _stretch(events: Sequence[ParsedEvent], templates: FloatArray) -> Stretch:
    return stretch_of([event.shape.template_index for event in events], pauses_of(events), templates)


def pauses_of(events: Sequence[ParsedEvent]) -> FloatArray:
    """Seconds before each event, 0 where unknown or backwards, shape (n,)."""
    seconds = np.array([event.seconds for event in events], dtype=np.float64)
    steps = np.diff(seconds, prepend=seconds[:1])
    return np.where(np.isfinite(steps) & (steps > 0), steps, 0.0).astype(np.float32)


def corrupted(
    encoders: Encoders, support: Support, foreign: Sequence[str], *, seed: int, copies: int = 32
) -> FloatArray:
    """Features of the lines that something is wrong with in `copies` corrupted stretches, shape (m, WIDTH)."""
    rng = np.random.default_rng(seed)
    found = []
    stops = list(support.checkpoints)
    for _ in range(copies if stops else 0):
        stop = int(rng.choice(stops))
        parser = support.memory.parser()
        before, after = support.same_stream(stop)
        events, first = _corrupt([support.events[i] for i in after], parser, foreign, rng)
        found.append(_read_corrupted(encoders, support, parser, stop, before, events)[first:])
    return np.concatenate(found) if found else np.zeros((0, support.x.shape[1]), dtype=np.float32)


@dataclass(frozen=True, slots=True)
class KnownAnomalies:
    """Lines known to be anomalous: a template and features (m, WIDTH) of each, read alone behind the support."""

    templates: tuple[str, ...]
    x: FloatArray


def known_anomalies(encoders: Encoders, support: Support, anomalies: Sequence[str]) -> KnownAnomalies:
    """Read lines known to be anomalous; empty ones are left out, and all where the support is a line or two."""
    none = np.zeros((0, support.x.shape[1]), dtype=np.float32)
    if not (anomalies and support.checkpoints):
        return KnownAnomalies((), none)
    stop = max(support.checkpoints)
    parser = support.memory.parser()
    before, _ = support.same_stream(stop)
    when = support.events[stop - 1].seconds if stop else float("nan")
    parsed = [parser.event(text, 1)._replace(seconds=when, is_head=True) for text in anomalies if text]
    found = [_read_corrupted(encoders, support, parser, stop, before, [event]) for event in parsed]
    return KnownAnomalies(tuple(event.shape.template for event in parsed), np.concatenate([none, *found]))


def _read_corrupted(
    encoders: Encoders, support: Support, parser: Parser, stop: int, before: list[int], events: list[ParsedEvent]
) -> FloatArray:
    checkpoint = support.checkpoints[stop]
    reader = EvidenceReader(encoders, parser, checkpoint.context.copy(), None)
    rows = reader.read(events, [None] * len(events)).rows
    all_events = [*(support.events[i] for i in before), *events]
    numbers = [event.shape.template_index for event in all_events]
    stretch = stretch_of(numbers, pauses_of(all_events), reader.vectors_of(range(len(parser.templates))))
    reference = support.memory.reference
    rows[:, len(EVIDENCE) :] = sequence_evidence(encoders.sequence, [stretch], reference)[len(before) :]
    averaged, _ = smoothed(np.concatenate([support.rows[before], rows]), empty_carry())
    return checkpoint.precedent.copy().features(averaged[len(before) :])


Events = list[ParsedEvent]
Corruption = Callable[[Events, Parser, Sequence[str], np.random.Generator], tuple[Events, int]]


def _corrupt(events: Events, parser: Parser, foreign: Sequence[str], rng: np.random.Generator) -> tuple[Events, int]:
    """Corrupted events and the index of the first line that is wrong."""
    kinds: list[tuple[Corruption, float]] = [
        (_foreign_lines, 0.4 if foreign else 0.0),
        (_burst, 0.25),
        (_blow_up_numbers, 0.1),
        (_faster, 0.1),
        (_reorder, 0.05),
        (_drop, 0.1),
    ]
    weights = np.array([w for _, w in kinds])
    kind = kinds[int(rng.choice(len(kinds), p=weights / weights.sum()))][0]
    return kind(events, parser, foreign, rng)


def _foreign_lines(
    events: Events, parser: Parser, foreign: Sequence[str], rng: np.random.Generator
) -> tuple[Events, int]:
    at = int(rng.integers(1, max(2, len(events) // 2)))
    texts = [foreign[i] for i in rng.choice(len(foreign), int(rng.integers(1, 4)))]
    when = events[at - 1].seconds
    lines = [t for t in texts for _ in range(int(rng.choice([1, 1, 2, 5, 12])))]
    new = [parser.event(t, 1)._replace(seconds=when, is_head=True) for t in lines]
    return [*events[:at], *new, *events[at:]], at


def _burst(events: Events, parser: Parser, foreign: Sequence[str], rng: np.random.Generator) -> tuple[Events, int]:
    at = int(rng.integers(0, len(events)))
    copies = int(rng.integers(8, 60))
    return [*events[:at], *([events[at]] * copies), *events[at:]], at + min(4, copies)


def _blow_up_numbers(
    events: Events, parser: Parser, foreign: Sequence[str], rng: np.random.Generator
) -> tuple[Events, int]:
    at = int(rng.integers(0, max(1, len(events) // 2)))
    by = float(rng.choice([8, 30, 100, 1000]))
    blown = [e._replace(numbers=tuple((slot, value * by) for slot, value in e.numbers)) for e in events[at:]]
    return [*events[:at], *blown], at


def _faster(events: Events, parser: Parser, foreign: Sequence[str], rng: np.random.Generator) -> tuple[Events, int]:
    by = float(rng.choice([0.05, 0.2, 5.0, 20.0]))
    start = events[0].seconds
    timed = [e._replace(seconds=start + (e.seconds - start) * by) for e in events]
    return timed, len(events) // 2


def _reorder(events: Events, parser: Parser, foreign: Sequence[str], rng: np.random.Generator) -> tuple[Events, int]:
    order = rng.permutation(len(events))
    return [events[j]._replace(seconds=events[i].seconds) for i, j in enumerate(order)], 4


def _drop(events: Events, parser: Parser, foreign: Sequence[str], rng: np.random.Generator) -> tuple[Events, int]:
    gone = events[int(rng.integers(0, len(events)))].shape.template_index
    kept = [e for e in events if e.shape.template_index != gone]
    return (kept, len(kept) // 2) if len(kept) > 4 else (events, len(events))
