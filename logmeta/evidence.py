"""Log lines to evidence: parse, look up vectors, observe in context, add what the sequence transformer says.

The same reader serves onboarding (the support set, from an empty context), scoring (from the detector's context) and
meta-training, so that what is calibrated is what is scored.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np

from logmeta.encode.sequence import (
    HISTORY,
    STEP,
    Candidates,
    Remembered,
    SequenceModel,
    Stretch,
    nearest,
    surprise,
    surprise_in_steps,
)
from logmeta.encode.text import TemplateVectors
from logmeta.floods import Before, Flood
from logmeta.meta.features import COLUMNS, SMOOTHED, Precedent, empty_carry, smoothed
from logmeta.parse import ParsedEvent, Parser, TemplateTree
from logmeta.window import EVIDENCE, LEARNED, SUPPORT, Context, Fact, FloatArray

MAX_STREAMS: Final = 2_000
MAX_EMBEDDINGS: Final = 1_000
MAX_REMEMBERED: Final = 256
_CONTEXT_SCALE: Final = 5.0
_PIECE: Final = 448


@dataclass(frozen=True, slots=True)
class Encoders:
    """The shared, frozen networks: text encoder with its cache, severity head over its vectors, sequence model."""

    text: TemplateVectors
    severity: FloatArray
    sequence: SequenceModel

    @property
    def dimension(self) -> int:
        return len(self.severity) - 1

    def severities(self, vectors: FloatArray) -> FloatArray:
        """How bad templates sound, 0-1, shape (n,): a logistic regression on log levels of many systems."""
        return np.asarray(1 / (1 + np.exp(-(vectors @ self.severity[:-1] + self.severity[-1]))), dtype=np.float32)


@dataclass(frozen=True, slots=True)
class Reference:
    """What the sequence transformer compares with: the support's templates and contextual embeddings."""

    candidates: Candidates
    embeddings: FloatArray


@dataclass(slots=True)
class StreamState:
    """What a stream carries from batch to batch."""

    before: int = -1
    carry: FloatArray = field(default_factory=empty_carry)
    past: list[tuple[int, float]] = field(default_factory=list)  # (template number, pause before it)
    remembered: Remembered | None = None
    seconds: float = float("nan")


@dataclass(frozen=True, slots=True)
class Evidence:
    """Evidence of the record heads among some events: `head_of[i]` is the row of event i, -1 when it has none."""

    rows: FloatArray
    features: FloatArray
    head_of: list[int]
    facts: list[dict[str, Fact] | None]


class EvidenceReader:
    """Reads one source's events in order. Streams are bounded; the one unused for longest is forgotten, counted."""

    def __init__(
        self,
        encoders: Encoders,
        parser: Parser,
        context: Context,
        reference: Reference | None,
        precedent: Precedent | None = None,
    ) -> None:
        self.parser, self.context = parser, context
        self._precedent = precedent or Precedent()
        self._encoders, self._reference = encoders, reference
        self._vectors = np.zeros((0, encoders.dimension), dtype=np.float32)
        self._severities: list[float] = []
        self.streams: OrderedDict[str | None, StreamState] = OrderedDict()
        self._remembering: OrderedDict[int, StreamState] = OrderedDict()
        self.evicted_streams = 0
        self._flood = None if reference is None else Flood()
        self._over: Before | None = None  # what was known before a flood that ended in the last batch

    def read(self, events: Sequence[ParsedEvent], streams: Sequence[str | None]) -> Evidence:
        """Evidence of events in arrival order; `streams[i]` is the stream of event i."""
        self._look_up()
        heads: list[tuple[ParsedEvent, StreamState]] = []
        raw: list[list[float]] = []
        head_of: list[int] = []
        facts: list[dict[str, Fact] | None] = []
        for event, stream in zip(events, streams, strict=True):
            if not event.is_head:
                head_of.append(-1)
                continue
            state = self._stream(stream)
            number = event.shape.template_index
            vector, severity = self._vectors[number], self._severities[number]
            is_new = self._is_first(number, event.shape.template)
            raw.append(self.context.observe(event, state.before, vector, severity, stream))
            facts.append(self.context.facts)
            self._follow_flood(number, is_new=is_new)
            if number == self.parser.overflow:
                self.context.tallies.pop(number, None)  # the next of them is as new
            state.before = number
            head_of.append(len(heads))
            heads.append((event, state))
        rows, columns = self._finish(heads, raw)
        return Evidence(rows, columns, head_of, facts)

    def _is_first(self, number: int, template: str) -> bool:
        """Whether a template comes for the first time, as far as is known."""
        if number == self.parser.overflow and self._flood is not None:
            return self._flood.is_first(template)
        return number not in self.context.tallies

    def _follow_flood(self, number: int, *, is_new: bool) -> None:
        flood = self._flood
        if flood is None:
            return
        flood.see(is_new)
        if flood.begins:
            carries = {name: state.carry for name, state in self.streams.items()}
            templates = number + 1  # they are numbered as they come
            flood.before = Before(self.context.copy(), self._precedent.copy(), carries, templates)
            flood.before.context.take_back(flood.news)
        elif flood.ends and flood.before is not None:
            self._over, flood.before = flood.before, None
            self.context = self._over.context
            self.context.restart_clock()
            self._judge_as(self._over)

    def _judge_as(self, before: Before) -> None:
        """Smooth the next lines' evidence, and compare it with the past, as before a flood."""
        self._precedent = before.precedent.copy()
        for name, state in self.streams.items():
            state.carry = before.carries[name] if name in before.carries else empty_carry()

    def settle(self) -> None:
        """Between two batches: forget a flood that is over.

        How strong the evidence was in the batch in which it ended is no precedent, and its templates' numbers are
        free again.
        """
        over, self._over = self._over, None
        if over is None:
            return
        self._judge_as(over)
        number = over.templates
        self.parser.forget(number)
        self._vectors, self._severities = self._vectors[:number], self._severities[:number]
        for state in self.streams.values():
            state.past = [(n, pause) for n, pause in state.past if n < number]
            state.before = state.before if state.before < number else -1
        self._forget(list(self.streams.values()))

    def _look_up(self) -> None:
        """Encode the templates met since the last call, in one batch."""
        fresh = self.parser.templates[len(self._vectors) :]
        if fresh:
            vectors = self._encoders.text.vectors(fresh)
            self._vectors = np.concatenate([self._vectors, vectors])
            self._severities += self._encoders.severities(vectors).tolist()

    def _stream(self, name: str | None) -> StreamState:
        state = self.streams.get(name)
        if state is None:
            if len(self.streams) >= MAX_STREAMS:
                self.streams.popitem(last=False)
                self.evicted_streams += 1
            state = self.streams[name] = StreamState()
        else:
            self.streams.move_to_end(name)
        return state

    def _finish(
        self, heads: list[tuple[ParsedEvent, StreamState]], raw: list[list[float]]
    ) -> tuple[FloatArray, FloatArray]:
        rows = np.zeros((len(heads), len(COLUMNS)), dtype=np.float32)
        if raw:
            rows[:, : len(EVIDENCE)] = raw
        columns = np.zeros((len(heads), SMOOTHED), dtype=np.float32)
        by_stream: dict[int, list[int]] = {}
        for i, (_, state) in enumerate(heads):
            by_stream.setdefault(id(state), []).append(i)
        self._in_order(rows, heads, list(by_stream.values()))
        for members in by_stream.values():
            state = heads[members[0]][1]
            columns[members], state.carry = smoothed(rows[members], state.carry)
        return rows, self._precedent.features(columns)

    def _in_order(
        self, rows: FloatArray, heads: list[tuple[ParsedEvent, StreamState]], by_stream: list[list[int]]
    ) -> None:
        """Fill in next-event surprise and contextual distance, the last two columns of `rows`."""
        states = [heads[members[0]][1] for members in by_stream]
        in_steps = self._encoders.sequence.steps is not None and max(map(len, by_stream), default=0) <= STEP
        if not in_steps:
            self._forget(states)
        stretches = [
            self._go_on(state, [heads[i][0] for i in members]) for state, members in zip(states, by_stream, strict=True)
        ]
        if self._reference is None or not stretches:
            return
        if in_steps:
            found = self._evidence_in_steps(states, stretches, self._reference)
        else:
            found = sequence_evidence(self._encoders.sequence, stretches, self._reference)
        end = 0
        for stretch, members in zip(stretches, by_stream, strict=True):
            end += len(stretch.numbers)
            rows[members, len(EVIDENCE) :] = found[end - len(members) : end]

    def _evidence_in_steps(
        self, states: Sequence[StreamState], stretches: Sequence[Stretch], reference: Reference
    ) -> FloatArray:
        """As `sequence_evidence`, and remembered for the next lines; what is not remembered is read with its past."""
        pasts = [state.remembered for state in states]
        nats, hidden, later = surprise_in_steps(self._encoders.sequence, pasts, stretches, reference.candidates)
        for state, remembered in zip(states, later, strict=True):
            self._remember(state, remembered)
        return _columns(nats, nearest(hidden, reference.embeddings))

    def _forget(self, states: Sequence[StreamState]) -> None:
        for state in states:
            state.remembered = None

    def _remember(self, state: StreamState, remembered: Remembered) -> None:
        """For the streams that were read last; the others are read again together with their past."""
        state.remembered = remembered
        self._remembering[id(state)] = state
        self._remembering.move_to_end(id(state))
        if len(self._remembering) > MAX_REMEMBERED:
            _, oldest = self._remembering.popitem(last=False)
            oldest.remembered = None

    def _go_on(self, state: StreamState, events: list[ParsedEvent]) -> Stretch:
        """A stream's new events; behind those of its past unless what they leave is remembered."""
        for event in events:
            pause = event.seconds - state.seconds
            state.past.append((event.shape.template_index, pause if pause > 0 else 0.0))
            state.seconds = event.seconds if event.seconds == event.seconds else state.seconds
        read = state.past if state.remembered is None else state.past[-len(events) :]
        stretch = stretch_of([n for n, _ in read], np.array([p for _, p in read], np.float32), self._vectors)
        state.past = state.past[-HISTORY:]
        return stretch

    def forget_streams(self) -> None:
        """Begin every stream anew (another file), keeping what the source's context knows."""
        self.streams.clear()
        self._remembering.clear()
        self.context.restart_clock()

    def learned(self, memory: Memory, numbers: Sequence[int]) -> Memory:
        """The memory that this reader began with as it is by now, `numbers` being the templates read since then."""
        vectors = self.vectors_of(range(len(self.parser.templates)))
        before = np.zeros(len(vectors))
        before[: len(memory.templates)] = memory.context.lines * np.exp(memory.reference.candidates.log_prior)
        counts = np.maximum(before + np.bincount(numbers, minlength=len(vectors)), 0.5)
        candidates = Candidates(vectors, np.log(counts / counts.sum()).astype(np.float32))
        reference = replace(memory.reference, candidates=candidates)
        templates = tuple(self.parser.templates)
        since = memory.context.words
        self.context.words = {word: since.get(word, LEARNED) for word in self.context.words}
        return replace(
            memory, templates=templates, context=self.context, reference=reference, precedent=self._precedent
        )

    def vectors_of(self, numbers: Sequence[int]) -> FloatArray:
        """Template vectors by number, shape (n, dimension)."""
        self._look_up()
        return self._vectors[list(numbers)]


@dataclass(frozen=True, slots=True)
class Memory:
    """What reading a source's support leaves behind; later lines are parsed and judged from here."""

    tree: TemplateTree
    templates: tuple[str, ...]
    timed: bool
    context: Context
    reference: Reference
    precedent: Precedent
    privacy: bool = False

    def parser(self) -> Parser:
        """A parser of its own with the support's templates."""
        words = frozenset(word for word, since in self.context.words.items() if since == SUPPORT)
        parser = Parser(self.tree, timed=self.timed, privacy=self.privacy, words=words)
        for template in self.templates:
            parser.number_of(template)
        return parser

    def reader(self, encoders: Encoders) -> EvidenceReader:
        """A reader of later lines: it begins with a copy of this memory and no stream open."""
        context, precedent = self.context.copy(), self.precedent.copy()
        reader = EvidenceReader(encoders, self.parser(), context, self.reference, precedent)
        reader.forget_streams()
        return reader


def stretch_of(numbers: Sequence[int], pauses: FloatArray, table: FloatArray) -> Stretch:
    """Events by number, their vectors looked up in `table`."""
    at = np.asarray(numbers, dtype=np.int64)
    return Stretch(at, table[at], pauses)


def _surprise(
    model: SequenceModel, stretches: Sequence[Stretch], candidates: Candidates
) -> tuple[FloatArray, FloatArray]:
    """`surprise` over stretches of any length: long ones are read in pieces with enough history before each."""
    pieces, kept = [], []
    for stretch in stretches:
        for start in range(0, len(stretch.numbers), _PIECE):
            begin = max(0, start - HISTORY)
            cut = slice(begin, start + _PIECE)
            pieces.append(Stretch(stretch.numbers[cut], stretch.vectors[cut], stretch.pauses[cut]))
            kept.append(np.arange(len(pieces[-1].numbers)) >= start - begin)
    nats, hidden = surprise(model, pieces, candidates)
    inside = np.concatenate(kept)
    return nats[inside], hidden[inside]


def sequence_evidence(model: SequenceModel, stretches: Sequence[Stretch], reference: Reference) -> FloatArray:
    """Surprise in nats and scaled distance to the support's nearest contextual embedding, shape (n, 2).

    The n lines are those of all stretches, one after the other.
    """
    nats, hidden = _surprise(model, stretches, reference.candidates)
    return _columns(nats, nearest(hidden, reference.embeddings))


def _columns(nats: FloatArray, closest: FloatArray) -> FloatArray:
    return np.stack([nats, _CONTEXT_SCALE * np.clip(1 - closest, 0, 2)], axis=1).astype(np.float32)


def build_reference(
    encoders: Encoders, stretches: Sequence[Stretch], places: Sequence[int], templates: FloatArray
) -> tuple[Reference, FloatArray]:
    """What later lines are compared with, and the two sequence columns of the support itself, shape (n, 2).

    Args:
        stretches: the support's events, stream by stream.
        places: where each of them stands in the order of arrival, a permutation of 0 .. n - 1.
        templates: vectors of all known templates by number, shape (m, dimension).
    """
    numbers = np.concatenate([stretch.numbers for stretch in stretches])
    counts = np.bincount(numbers, minlength=len(templates)) + 0.5
    candidates = Candidates(templates, np.log(counts / counts.sum()).astype(np.float32))
    nats, hidden = (found[np.argsort(places)] for found in _surprise(encoders.sequence, stretches, candidates))
    kept = np.linspace(0, len(hidden) - 1, min(len(hidden), MAX_EMBEDDINGS)).astype(np.int64)
    like = hidden @ hidden[kept].T
    like[kept[None, :] >= np.arange(len(hidden))[:, None]] = -1.0  # a line is compared with the lines before it
    closest = like.max(axis=1)
    closest[0] = 1.0
    return Reference(candidates, np.ascontiguousarray(hidden[kept])), _columns(nats, closest)
